"""A run handed to SchNetPack's own command line, `spktrain`, and what that has trained made a record.

`export` writes a folder: the run's molecules as an ASE database, its split, its configuration, and `train.sh`, which
calls `spktrain` with the configuration as Hydra overrides (SchNetPack 2.2). `record` reads what the training left
there. SchNetPack draws the batches in another order than `loop`, with torch's generator; everything else is the same.
"""

import importlib
import json
import os
import pickle
import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel

from analysis.data import databases, offsets
from analysis.data.errors import UserError
from analysis.data.files import reason, whole_file
from analysis.data.molecules import Molecules
from analysis.runs import records
from analysis.runs.config import Loss, RunConfig, Training
from analysis.runs.records import Record
from analysis.runs.selection import choose_molecules
from analysis.training import loop, networks, recording
from analysis.training.batches import ENERGY
from analysis.training.callbacks import MOST_ROWS

EXPERIMENT = "spktrain"
"""The experiment of records that are made of what `spktrain` has trained."""
SCRIPT = "train.sh"

_RUN = "run.json"
_TRAINED = Path("runs", "trained")  # where SchNetPack writes, below the folder
_DATABASE, _SPLIT = Path("data", "qm9.db"), Path("data", "split.npz")
_VALIDATION_BATCH = 1024
_WEIGHT_DECAY = 0.01  # torch's default for AdamW; SchNetPack's configuration sets it to 0
_NEIGHBOURS = "schnetpack.transform.MatScipyNeighborList"
_CLASSES = ("schnetpack.", "torch.nn.")  # whose objects a model is made of
_OFFSETS = "postprocessors."  # the names of a model's buffers that have them
_ROUNDED = 1e-3  # eV per atom
_TIME = re.compile(r"^\[([\d: ,-]+)\]\[[\w.]+\]\[\w+\] - (.*)$", re.MULTILINE)
_SCRIPT = """\
#!/bin/sh
# {what}
# Trained by SchNetPack's command line: `sh {script}`, with further overrides after it if you like. Started again, it
# goes on from its last checkpoint. After that `python -m analysis record` and this folder's name make a record of it.
cd "$(dirname "$0")" || exit 1
# Before it tests the model spktrain loads its own checkpoint as a pickle, which torch since 2.6 refuses ("Weights only
# load failed") unless it is told that the file is trusted.
export TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1
exec spktrain \\
  {overrides} \\
  "$@"
"""


class SpktrainError(UserError, RuntimeError):
    """A run that `spktrain` can't train, or a folder that is not what `export` and `spktrain` leave."""


def overrides(config: RunConfig) -> list[str]:
    """The configuration of a run as Hydra overrides of SchNetPack's `experiment=qm9_atomwise`.

    The numbers of molecules are not among them: `export` counts.

    Raises SpktrainError, which names them, if there are settings that SchNetPack's configuration has no counterpart of.
    """
    if without := list(_without_counterpart(config)):
        raise SpktrainError(f"spktrain has no counterpart of {', '.join(without)}: export a run without")
    model, training = config.model, config.training
    mean, references = training.offsets == "references-mean", training.offsets != "none"
    remove = f"{{_target_: schnetpack.transform.RemoveOffsets, property: {ENERGY}, "
    add = f"{{_target_: schnetpack.transform.AddOffsets, property: {ENERGY}, "
    transforms = [
        "{_target_: schnetpack.transform.SubtractCenterOfMass}",
        f"{remove}remove_atomrefs: {references}, remove_mean: {mean}}}",
        f"{{_target_: {_NEIGHBOURS}, cutoff: {model.data_cutoff}}}",
        "{_target_: schnetpack.transform.CastTo32}",
    ]
    postprocessors = [
        "{_target_: schnetpack.transform.CastTo64}",
        f"{add}add_atomrefs: {references}, add_mean: {mean}}}",
    ]
    return [
        "experiment=qm9_atomwise",
        "data=custom",
        f"data.datapath=${{run.data_dir}}/{_DATABASE.name}",
        f"+data.split_file=${{run.data_dir}}/{_SPLIT.name}",
        f"+data.property_units={{{ENERGY}: eV}}",
        "+data.distance_unit=Ang",
        f"data.transforms=[{', '.join(transforms)}]",
        f"data.batch_size={training.batch_size}",
        f"+data.val_batch_size={_VALIDATION_BATCH}",
        f"globals.cutoff={model.training_cutoff}",
        f"globals.property={ENERGY}",
        f"globals.lr={training.learning_rate}",
        f"model/representation={model.representation}",
        f"model.representation.n_atom_basis={model.n_atom_basis}",
        f"model.representation.n_interactions={model.n_interactions}",
        f"model.representation.radial_basis.n_rbf={model.n_rbf}",
        f"+model.representation.shared_interactions={model.shared_interactions}",
        f"model.postprocessors=[{', '.join(postprocessors)}]",
        f"task.optimizer_args.weight_decay={_WEIGHT_DECAY}",
        "task.scheduler_cls=null",
        f"trainer.max_epochs={training.epochs}",
        "+trainer.log_every_n_steps=1",
        "~callbacks.early_stopping",
        "~callbacks.ema",
        # The model that is kept is that of the last epoch, as in a record, and not that of the least validation loss.
        "callbacks.model_checkpoint.monitor=epoch",
        "callbacks.model_checkpoint.mode=max",
        "logger=csv",
        f"run.id={_TRAINED.name}",
        f"+seed={config.seed}",
        "print_config=false",
    ]


def _without_counterpart(config: RunConfig) -> Iterator[str]:
    """The settings, with their values, that SchNetPack's configuration can't express."""
    if config.training.offsets == "least-squares":
        yield "training.offsets 'least-squares'"
    exported = {"batch_size", "learning_rate", "epochs", "offsets"}
    parts: tuple[tuple[str, BaseModel, BaseModel, set[str]], ...] = (
        ("training", config.training, Training(), exported),
        ("loss", config.loss, Loss(), set()),
    )
    for part, given, usual, known in parts:
        for name, value in given:
            if name not in known and value != getattr(usual, name):
                yield f"{part}.{name} {value!r}"
    if config.fine_tuning is not None:
        yield "fine_tuning"
    if config.start is not None:
        yield f"start {config.start!r}"


def export(config: RunConfig, molecules: Molecules, folder: str | os.PathLike[str]) -> Path:
    """Write the folder from which `spktrain` trains a run, and give its script; `molecules` is the whole database.

    Raises SpktrainError for a run that it can't train, and FileExistsError if there is such a folder already.
    """
    folder = Path(folder)
    settings = overrides(config)
    chosen = loop.pack(config, molecules)[0]
    parts = {"train": chosen.parts.train, "val": chosen.parts.validation, "test": chosen.parts.test}
    counts = [f"{'+' if part == 'test' else ''}data.num_{part}={len(rows)}" for part, rows in parts.items()]
    (folder / _DATABASE).parent.mkdir(parents=True, exist_ok=True)
    databases.write(folder / _DATABASE, chosen.molecules)
    with whole_file(folder / _SPLIT) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{f"{part}_idx": rows for part, rows in parts.items()})
    about = {
        "config": config.model_copy(update={"experiment": EXPERIMENT}).model_dump(mode="json"),
        "molecules_fingerprint": molecules.fingerprint(),
    }
    (folder / _RUN).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    what = f"Run {config.run_id(molecules.fingerprint())} of {config.experiment}, seed {config.seed}."
    words = " \\\n  ".join(shlex.quote(word) for word in (*settings, *counts))
    script = folder / SCRIPT
    script.write_text(_SCRIPT.format(what=what, script=SCRIPT, overrides=words), encoding="utf-8")
    return script


def record(
    folder: str | os.PathLike[str], molecules: Molecules, *, results: str | os.PathLike[str] | None = None
) -> Record:
    """The record, in the experiment "spktrain", of what `spktrain` has trained in a folder of `export`.

    Its learning curves lack the smallest and largest losses, which SchNetPack does not log, and `run.json` says by
    "trained_with" where it comes from. Of the model's file only objects of SchNetPack's and torch's modules are made:
    nothing else that it may hold is executed.

    Raises SpktrainError, which names the file, if something is missing, damaged, not trained to its end or of other
    molecules, and FileExistsError if the run is recorded already.
    """
    folder = Path(folder)
    config = _config(folder / _RUN, molecules)
    place = records.folder_of(config, molecules.fingerprint(), results or records.results_folder())
    if place.exists():
        raise FileExistsError(f"{place} exists: this run is recorded")
    trained = folder / _TRAINED
    seconds = _seconds(trained / "cli.log")
    state = _state(trained / "best_model")
    fitted = _offsets(state, config, molecules, trained / "best_model")
    chosen, _, packed = loop.pack(config, molecules, fitted)
    model = networks.build_from(config.model, postprocessors=networks.postprocessors(fitted, ENERGY))
    ours = {name: value for name, value in model.state_dict().items() if name.startswith(_OFFSETS)}
    try:
        model.load_state_dict({name: value for name, value in state.items() if not name.startswith(_OFFSETS)} | ours)
    except RuntimeError as error:
        raise SpktrainError(f"{trained / 'best_model'} is of another network: {reason(error)}") from error
    history, steps = _curves(trained, len(chosen.parts.train), config)
    run = loop.Trained(
        model, chosen.molecules, chosen.parts, chosen.left_out, packed, fitted, history, steps,
        {"data": 0.0, "training": seconds, "validation": 0.0},
    )  # fmt: skip
    return recording.record(config, molecules, run, place, trained_with=EXPERIMENT)


def _config(path: Path, molecules: Molecules) -> RunConfig:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        config, fingerprint = RunConfig.model_validate(about["config"]), about["molecules_fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"{path} can't be read ({reason(error)}): `python -m analysis export` writes such a folder"
        raise SpktrainError(said) from error
    if fingerprint != molecules.fingerprint():
        raise SpktrainError(f"{path} is of other molecules than those here: export the run again")
    return config


def _seconds(path: Path) -> float:
    """From the beginning of the training to its end, by SchNetPack's log; the last of several starts."""
    try:
        said = {message: time for time, message in _TIME.findall(path.read_text(encoding="utf-8"))}
        start, end = (datetime.fromisoformat(said[f"Starting {what}."]) for what in ("training", "testing"))
    except (OSError, ValueError, KeyError) as error:
        raise SpktrainError(f"{path} does not say that a training has ended: run {SCRIPT} to its end") from error
    return max(0.0, (end - start).total_seconds())


def _state(path: Path) -> dict[str, torch.Tensor]:
    """The parameters in the file of a whole model, of which only SchNetPack's and torch's modules are let in."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        if foreign := [name for name in names if not name.startswith(_CLASSES)]:
            raise SpktrainError(f"{path} holds more than a model of SchNetPack's ({foreign[0]}): it is not loaded")
        found = [getattr(importlib.import_module(place), name) for place, _, name in (n.rpartition(".") for n in names)]
        with torch.serialization.safe_globals(found):
            return torch.load(path, map_location="cpu", weights_only=True).state_dict()
    except (OSError, RuntimeError, pickle.UnpicklingError, AttributeError, ImportError) as error:
        if isinstance(error, SpktrainError):
            raise
        raise SpktrainError(f"{path} can't be read as a model ({reason(error)}): run {SCRIPT} to its end") from error


def _offsets(state: dict[str, torch.Tensor], config: RunConfig, molecules: Molecules, path: Path) -> offsets.Offsets:
    """What was removed from the energies, as the model holds it: SchNetPack's references are rounded to float32."""
    chosen = choose_molecules(molecules, config.data)
    expected = offsets.fit(chosen.molecules, chosen.parts.train, config.training.offsets)
    mean = state.get(f"{_OFFSETS}1.mean", torch.zeros(1)).item()
    table = state.get(f"{_OFFSETS}1.atomref", torch.zeros(offsets.Z_MAX)).flatten()
    references = {z: table[z].item() for z in expected.references}
    differ = [mean - expected.mean, *(energy - expected.references[z] for z, energy in references.items())]
    if not np.allclose(differ, 0, atol=_ROUNDED):
        raise SpktrainError(
            f"{path} was trained with other offsets than those of the run's molecules ({np.abs(differ).max():.3g} eV "
            "apart): train in the folder as it was exported"
        )
    return offsets.Offsets(mean, references, removes_mean=expected.removes_mean)


def _curves(trained: Path, molecules: int, config: RunConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The losses per epoch and per step from SchNetPack's CSV logs, a file for each start; the last word counts."""
    paths = sorted(trained.glob("csv/version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))
    try:
        logged = pd.concat([pd.read_csv(path) for path in paths])
        of_steps = logged.dropna(subset="train_loss").drop_duplicates("step", keep="last").sort_values("step")
        of_epochs = logged.dropna(subset="val_loss").drop_duplicates("epoch", keep="last").sort_values("epoch")
    except (OSError, ValueError, KeyError) as error:
        raise SpktrainError(f"{trained / 'csv'} has no log of the losses: run {SCRIPT} to its end") from error
    size, epochs = config.training.batch_size, config.training.epochs
    per_epoch = -(-molecules // size)
    if len(of_steps) != per_epoch * epochs or len(of_epochs) != epochs:
        raise SpktrainError(f"{trained / 'csv'} has {len(of_epochs)} of {epochs} epochs: run {SCRIPT} to its end")
    losses = of_steps["train_loss"].to_numpy(float)
    sizes = np.full(per_epoch, size)
    sizes[-1] = molecules - size * (per_epoch - 1)
    unknown = {"lowest": np.nan, "highest": np.nan}
    history = pd.DataFrame(
        {
            "epoch": np.arange(epochs) + 1,
            "train_loss": np.average(losses.reshape(epochs, per_epoch), axis=1, weights=sizes),
            "validation_loss": of_epochs["val_loss"].to_numpy(float),
            **unknown,
        }
    )
    step = np.arange(len(losses)) + 1
    steps = pd.DataFrame({"step": step, "epoch": step / per_epoch, "loss": losses, **unknown})
    blocks = steps.groupby((step - 1) // -(-len(step) // MOST_ROWS))
    steps = blocks.agg({"step": "last", "epoch": "last", "loss": "mean", "lowest": "mean", "highest": "mean"})
    return history, steps.astype({"step": np.int32, **dict.fromkeys(("epoch", "loss", *unknown), np.float32)})
