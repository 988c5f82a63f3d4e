"""Which end of a training is the settled one: chosen on the validation part, with seeds that no claim is judged by.

A constant learning rate leaves the weights of the last step in motion. ``python -m harness.endings`` trains the
report's two models once per seed, keeps several ends of each training side by side, and records what each end's error
on the validation part is; no other molecule is looked at. The rule, written before the first of these trainings: the
end with the smallest mean squared error, geometric mean over models and seeds.
"""

import copy
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pytorch_lightning as pl
import torch
import typer
from pytorch_lightning.callbacks import Callback
from torch.optim.swa_utils import AveragedModel

from analysis.data import qm9, thesis
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.figures import style
from analysis.figures.words import messages, say
from analysis.runs import checkout, measured, records
from analysis.runs.config import RunConfig, Selection
from analysis.training import loop
from harness.kept import Kept
from harness.machine import Machine

SHARES = (1 / 30, 0.1, 0.2, 1 / 3, 0.5)
"""Of the steps, the last ones: those whose weights' mean is an end.

The first, an epoch of thirty, joined the others after one training of each model had shown the shortest of them to be
the best mean.
"""
SEEDS = (900, 901)
"""None of these is among the seeds of a claim. Three were meant; that many took too long."""
_ENDS = messages({"last": "last step", "best epoch": "best epoch"})
MODELS = {
    "default": {},
    "custom": {"data": {"selection": Selection(smallest=thesis.LARGE + 1)}, **thesis.CUSTOM},
}


class Ends(Callback):
    """Keeps the mean of the weights over the last `SHARES` of the steps, and the weights of the best epoch."""

    def __init__(self) -> None:
        self.means: dict[float, AveragedModel] = {}
        self.best: dict[str, torch.Tensor] = {}
        self._lowest = np.inf

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the means."""
        self._steps = sum(trainer.datamodule.steps_of_epochs)
        self.means = {share: AveragedModel(module.model) for share in SHARES}

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        """One step more."""
        for share, mean in self.means.items():
            if trainer.global_step > round(self._steps * (1 - share)):
                mean.update_parameters(module.model)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the weights if the validation loss was never as low."""
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self._lowest:
            self._lowest, self.best = loss, copy.deepcopy(module.model.state_dict())


def ends(config: RunConfig, molecules: Molecules) -> dict[str, dict[str, float]]:
    """Of each end of one training, on its validation part: see `summary`."""
    kept = Ends()
    with tempfile.TemporaryDirectory() as folder:
        trained = loop.train(config, molecules, folder, callbacks=[kept], logger=None)
    positions = trained.parts.validation
    sizes = trained.molecules.n_atoms[positions]

    def of(model: torch.nn.Module) -> dict[str, float]:
        return summary(loop.predict_errors(model, trained.packed, positions), sizes)

    found = {"last": of(trained.model)}
    found |= {name_of(share): of(mean.module) for share, mean in kept.means.items()}
    trained.model.load_state_dict(kept.best)
    return found | {"best epoch": of(trained.model)}


def name_of(share: float) -> str:
    """What the mean of the weights of the last steps is called, by their share of all."""
    return f"mean of the last {share:.0%}"


def summary(errors: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """Mean squared error (eV²) of all and of the large molecules, and the common error per atom (eV).

    `errors` are predicted − true U0, eV [n]; `sizes` numbers of atoms [n]. The common error per atom is the least
    squares slope of the errors over the sizes, through 0.
    """
    large = sizes > thesis.LARGE
    return {
        "mse": float(np.mean(errors**2)),
        "mse_large": float(np.mean(errors[large] ** 2)),
        "per_atom": float(errors @ sizes / (sizes @ sizes)),
    }


class Endings(measured.Frozen):
    """The record: of every model and seed, each end's summary."""

    machine: Machine
    git: measured.Git
    results: dict[str, dict[str, dict[str, dict[str, float]]]]


class EndingsError(UserError, RuntimeError):
    """There is no record of the ends, or it was damaged; the message names the file."""


def default_path() -> Path:
    """Where the record lies."""
    return records.results_folder() / "preregistration" / "endings.json"


def read_record(path: Path | None = None) -> Endings:
    """Read the record; raises EndingsError if it is missing or damaged."""
    return measured.read(path or default_path(), Endings, EndingsError, "python -m harness.endings")


def means(record: Endings) -> dict[str, float]:
    """Of each end the mean squared error, eV², geometric mean over models and seeds."""
    each = [of_seed for of_model in record.results.values() for of_seed in of_model.values()]
    return {end: float(np.exp(np.mean([np.log(one[end]["mse"]) for one in each]))) for end in each[0]}


def chosen(record: Endings) -> str:
    """The end that the rule chooses: that with the smallest mean squared error."""
    found = means(record)
    return min(found, key=found.__getitem__)


def table(record: Endings, *, lang: str) -> style.WordTable:
    """A row per end: validation error of each model (mean and deviation over seeds), and the common error per atom.

    Of the latter the deviation between the seeds, which is the drift.
    """
    rows: dict[str, dict[str, str]] = {}
    for model, of_seeds in record.results.items():
        for end in means(record):
            ended = [one[end] for one in of_seeds.values()]
            of_end = rows.setdefault(_said(end, lang), {})
            per_atom = float(np.std([1e3 * one["per_atom"] for one in ended], ddof=1))
            label = model.capitalize()
            of_end[f"{label}: MSE (eV²)"] = style.mean_and_deviation([one["mse"] for one in ended], lang, 4)
            of_end[f"{label}: {say('drift (meV per atom)', lang)}"] = style.number(per_atom, lang, 1)
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("End", lang))


def _said(end: str, lang: str) -> str:
    if end in _ENDS:
        return say(_ENDS[end], lang)
    share = next(share for share in SHARES if name_of(share) == end)
    return say("mean of the last {share}", lang, share=style.percent(share, lang))


def main(out: Annotated[Path | None, typer.Argument(help="The record.")] = None) -> None:
    """Train, or go on after a kill, and record which end is how good on the validation part."""
    out = out or default_path()
    folder = out.parent / f".{out.stem}.partial"
    folder.mkdir(parents=True, exist_ok=True)
    kept = Kept(folder, {"models": str(MODELS), "shares": SHARES})
    molecules = qm9.load()
    results: dict[str, dict] = {}
    for seed in SEEDS:
        for name, parts in MODELS.items():
            job = {"model": name, "seed": seed}
            found = kept.get(job)
            if found is None:
                found = kept.keep(job, ends(RunConfig(experiment="endings", seed=seed, **parts), molecules))
            results.setdefault(name, {})[str(seed)] = found
            typer.echo(f"{name}, seed {seed}: " + ", ".join(f"{end} {one['mse']:.4f}" for end, one in found.items()))
    record = Endings(
        machine=Machine.here(),
        git=checkout.git_state(),
        results=results,
    )
    measured.write(out, record)


if __name__ == "__main__":
    typer.run(main)
