"""Errors of U0 on QM9 that others have published, and ours beside them.

`MODELS` is the one place of these numbers. They are constants of the literature: each names the entry of
`book/references.bib` that it is from, and the one in whose text it was read, which is not always the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from ase import units
from matplotlib.ticker import NullLocator

from analysis.figures import style
from analysis.figures.baseline import minutes
from analysis.figures.words import say
from analysis.runs.records import Record

_MEV = 1000  # meV per eV
CHEMICAL_ACCURACY = _MEV * units.kcal / units.mol
"""1 kcal/mol, in meV."""


@dataclass(frozen=True)
class Published:
    """A mean absolute error of U0 (meV) that a source gives for a model, and what it says of the training.

    Parameters
    ----------
    model, year
        As the source calls it, and the source's year; None for a later training with other software.
    mae, spread
        Mean absolute error over the source's test molecules and, where it gives one, its spread over trainings, meV.
    source
        Key of the bibliography: whose model, or whose training, it is.
    read_in
        Key of the text that the number was read in; None if it was not read but is quoted from memory.
    molecules
        Training molecules, where the text says how many.
    epochs, at_most
        Passes over them, and whether that is only the most that there may be.
    gpu_hours, gpu, days
        What the training took, on which graphics card, or how long it may take at most.
    """

    model: str
    year: int | None
    mae: float
    source: str
    read_in: str | None
    spread: float | None = None
    molecules: int | None = None
    epochs: int | None = None
    at_most: bool = False
    gpu_hours: int | None = None
    gpu: str | None = None
    days: int | None = None


MODELS: Mapping[str, Published] = MappingProxyType(
    {
        # "Cormorant and EGNN are trained on 100,000 structures" (Musaelian2023, Methods), the others on 110,000.
        "cormorant": Published("Cormorant", 2019, 22, "Anderson2019", "Musaelian2023", molecules=100_000),
        # Fivefold cross-validation: training/results/README.md of kgcnn 4.0.0.
        "schnet_again": Published("SchNet, kgcnn 4.0", None, 14.2, "Reiser2021", "Reiser2021", spread=0.2, epochs=800),
        "schnet": Published("SchNet", 2018, 14, "Schutt2018", "Musaelian2023", molecules=110_000),
        "schnetpack": Published(
            "SchNet, SchNetPack 1.0", None, 12, "SchNetPack2021", "SchNetPack2021", molecules=100_000
        ),
        "egnn": Published("EGNN", 2021, 11, "Satorras2021", "Musaelian2023", molecules=100_000),
        "painn_again": Published("PaiNN, kgcnn 4.0", None, 9.9, "Reiser2021", "Reiser2021", spread=0.3, epochs=872),
        "physnet": Published("PhysNet", 2019, 8.15, "Unke2019", None),
        "equiformer": Published("Equiformer", 2023, 6.59, "Liao2023", "Liao2024", molecules=110_000),
        "dimenet": Published("DimeNet++", 2020, 6.3, "Gasteiger2020", "Musaelian2023", molecules=110_000),
        "spherenet": Published("SphereNet", 2022, 6.3, "Liu2022", "Musaelian2023", molecules=110_000),
        "equiformer_2": Published(
            "EquiformerV2",
            2024,
            6.17,
            "Liao2024",
            "Liao2024",
            molecules=110_000,
            epochs=300,
            gpu_hours=137,
            gpu="A6000",
        ),
        # Epochs: the file examples/ET-QM9.yaml of TorchMD-NET; it stops after 150 without progress.
        "torchmd_net": Published(
            "TorchMD-NET", 2022, 6.15, "Tholke2022", "Liao2024", molecules=110_000, epochs=3000, at_most=True
        ),
        "painn": Published("PaiNN", 2021, 5.85, "Schutt2021", "Liao2024", molecules=110_000),
        "allegro": Published(
            "Allegro", 2023, 4.7, "Musaelian2023", "Musaelian2023", spread=0.2, molecules=110_000, days=14
        ),
        "mace": Published("MACE", 2023, 4.1, "Kovacs2023", None),
        # Molecules and epochs: the file examples/TensorNet-QM9.yaml of TorchMD-NET.
        "tensornet": Published(
            "TensorNet", 2023, 3.9, "Simeon2023", "DeepChem2024", molecules=110_000, epochs=3000, at_most=True
        ),
    }
)
"""Largest error first."""


def facts(*, lang: str) -> dict[str, str]:
    """What the table of published errors says; the same keys in both languages.

    `accuracy` is chemical accuracy (meV), and for each of `MODELS` there are `…_mae`, with an asterisk if the number
    was not read in a text, `…_molecules` and `…_training`.
    """
    found = {"accuracy": style.number(CHEMICAL_ACCURACY, lang)}
    for name, published in MODELS.items():
        spread = "" if published.spread is None else f" ± {style.plain_number(published.spread, lang)}"
        unread = "" if published.read_in else "*"
        found[f"{name}_mae"] = f"{style.plain_number(published.mae, lang)}{spread}{unread}"
        found[f"{name}_molecules"] = "–" if published.molecules is None else style.number(published.molecules, lang)
        found[f"{name}_training"] = _training(published, lang)
    return found


def own_facts(records: Sequence[Record], searched: Sequence[Record], *, lang: str) -> dict[str, str]:
    """Our own errors, to stand beside the published ones; the same keys in both languages.

    Parameters
    ----------
    records
        The baseline's, one per seed: `mae` and `rmse` over their held-out molecules (meV), `times_published` how many
        times SchNet's published error that is, `epochs`, `train`, `updates`, `minutes`.
    searched
        The same network with what the hyperparameter search chose, one per seed: `searched_mae`, `searched_lowest` and
        `searched_highest` are of their errors over the test half (meV), and `searched_…` their settings.
    """
    mae = [_mae(record) for record in records]
    rmse = [_MEV * float(np.sqrt(np.mean(record.errors["error"].astype(float) ** 2))) for record in records]
    found = [_test_mae(record) for record in searched]
    config, chosen = records[0].config, searched[0].config.training
    return {
        "mae": style.mean_and_deviation(mae, lang, 0),
        "rmse": style.mean_and_deviation(rmse, lang, 0),
        "times_published": style.number(float(np.mean(mae)) / MODELS["schnet"].mae, lang),
        "epochs": style.number(config.training.epochs, lang),
        "updates": style.number(int(records[0].steps["step"].iloc[-1]), lang),
        "minutes": style.number(float(np.mean([minutes(record) for record in records])), lang),
        "searched_mae": style.mean_and_deviation(found, lang, 0),
        "searched_lowest": style.number(min(found), lang),
        "searched_highest": style.number(max(found), lang),
        "searched_rate": style.plain_number(float(f"{chosen.learning_rate:.2g}"), lang),
        "searched_batch": style.number(chosen.batch_size, lang),
        "searched_epochs": style.number(chosen.epochs, lang),
    }


def beside_ours(records: Sequence[Record], searched: Sequence[Record], *, lang: str) -> style.BookFigure:
    """Published mean absolute errors on a log scale, largest above, beside ours and chemical accuracy.

    Parameters are those of `own_facts`. Of ours, a point is a seed.
    """
    rows = [(say("Default, this book", lang), [_mae(record) for record in records], "own")]
    rows.append((say("the search’s choice", lang), [_test_mae(record) for record in searched], "own"))
    rows += [
        (_name(published), [published.mae], "read" if published.read_in else "unread") for published in MODELS.values()
    ]
    looks = {
        "own": {"color": style.VERMILION, "marker": "D", "label": say("this book", lang)},
        "read": {"color": style.BLUE, "marker": "o", "label": say("published", lang)},
        "unread": {
            "color": style.BLUE,
            "marker": "o",
            "markerfacecolor": "white",
            "label": say("published, not checked", lang),
        },
    }
    data = [
        {"series": name, "run": record.id, "seed": record.config.seed, "mae_meV": value}
        for of_name, (name, values, _) in zip((records, searched), rows, strict=False)
        for record, value in zip(of_name, values, strict=True)
    ]
    data += [{"series": _name(published), "mae_meV": published.mae} for published in MODELS.values()]
    alt = say(
        "Mean absolute errors on a log scale, a model per row: those of this book far to the right, above chemical "
        "accuracy; the published ones all below it, from the largest to the smallest.",
        lang,
    )
    with style.figure(alt, pd.DataFrame(data), height=0.27 * len(rows) + 1.2) as figure:
        axes = figure.subplots()
        said = set()
        for place, (_, values, kind) in enumerate(rows):
            look = looks[kind] | ({"label": None} if kind in said else {})
            said.add(kind)
            axes.plot(values, [place] * len(values), linestyle="", markersize=6, **look)
        accuracy = say("chemical accuracy", lang)
        axes.axvline(CHEMICAL_ACCURACY, color=style.BLACK, linestyle="--", linewidth=1, label=accuracy)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_xscale("log")
        axes.set_xlabel(say("Mean absolute error of U₀ (meV)", lang))
        ticks = [value for value in (3, 10, 30, 100, 300) if value < 2 * max(max(values) for _, values, _ in rows)]
        axes.set_xticks(ticks, [style.number(tick, lang) for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def _name(published: Published) -> str:
    return published.model if published.year is None else f"{published.model} ({published.year})"


def _training(published: Published, lang: str) -> str:
    said = []
    if published.epochs is not None:
        count = style.number(published.epochs, lang)
        said.append(say("at most {count} epochs" if published.at_most else "{count} epochs", lang, count=count))
    if published.gpu_hours is not None:
        card = "" if published.gpu is None else f" ({published.gpu})"
        said.append(say("{count} GPU hours", lang, count=style.number(published.gpu_hours, lang)) + card)
    if published.days is not None:
        said.append(say("at most {count} days", lang, count=style.number(published.days, lang)))
    return ", ".join(said) or "–"


def _mae(record: Record) -> float:
    return _MEV * float(record.errors["error"].astype(float).abs().mean())


def _test_mae(record: Record) -> float:
    return _MEV * float(record.errors["error"][record.errors["test"]].astype(float).abs().mean())
