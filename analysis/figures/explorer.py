"""What readers can touch of the recorded errors: a slider from one mean to the other, and every test molecule.

The book's scripts (`book/_ext/interactive`) draw what `slider` and `explorer` return; `sliding_mean` is the same on
paper. Errors are the recorded ones: no script computes any.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from ase.data import covalent_radii
from matplotlib import colormaps

from analysis.data import thesis
from analysis.data.as_text import packed
from analysis.data.descriptors import CUTOFF, ELEMENTS, NODES, ring_counts
from analysis.data.molecules import BOND, Molecules
from analysis.evaluation import accuracy, decomposition
from analysis.figures import final_comparison, style
from analysis.figures.words import mark, say
from analysis.runs.records import Record

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far of the way from the training set's mean to each size's own the curves of `sliding_mean` are."""
ERROR_STEP, LENGTH_STEP = 1e-4, 1e-3
"""Errors (eV) and positions (Å) of `explorer` are whole numbers of these."""

Models = Mapping[str, Sequence[Record]]
"""The records of each model, one per seed."""


def sliding_mean(models: Models, *, lang: str) -> style.BookFigure:
    """MSE by size of Default and Custom, as the mean taken away slides from the training set's to each size's own."""
    sizes = list(thesis.COMMON_SIZES)
    curves = {
        (record.id, name, share): decomposition.with_mean_at(record.groups, "size", share).loc[sizes]
        for name in final_comparison.MODELS
        for record in models[name]
        for share in SHARES
    }
    data = pd.concat(curves, names=["run", "model", "share", "n_atoms"]).rename("mse_eV2").reset_index()
    alt = mark(
        "Two plots, one per model, of the mean squared error by number of atoms on a log scale, with a curve for each "
        "position of the mean: from nearly flat, with the mean of the training set, to a deep valley, with that of "
        "each size."
    )
    with style.figure(say(alt, lang), data, height=3.8, legend=3) as figure:
        plots = figure.subplots(1, 2, sharey=True)
        tones = [colormaps[style.COLOUR_MAP](0.9 * share) for share in SHARES]
        for axes, (name, of_model) in zip(plots, data.groupby("model", sort=False), strict=True):
            for tone, (share, rows) in zip(tones, of_model.groupby("share"), strict=True):
                axes.plot(rows.groupby("n_atoms")["mse_eV2"].mean(), color=tone, label=_position(share, lang))
            axes.set_title(say(final_comparison.NAMES[name], lang), fontsize="medium")
            style.size_axis(axes, lang, major=5)
            style.log_axis(axes, lang, name="" if axes is plots[1] else say("MSE (eV²)", lang), ticks=(1.0,))
    return figure


def _position(share: float, lang: str) -> str:
    if share in (0, 1):
        return say("each size’s own mean" if share else "the training set’s mean", lang)
    return style.percent(share, lang)


def slider(models: Models, molecules: Molecules) -> dict:
    """What the slider draws: per model, seed and size the three terms of the error, eV².

    The mean squared error of all molecules of a size, with the mean a share t of the way from the training set's to the
    size's own, is `network` + t · `cross` + t² · `offset`. `molecules` is how many QM9 has of each of `sizes`.
    """
    sizes = list(thesis.COMMON_SIZES)
    found: dict = {
        "sizes": sizes,
        "molecules": [int(np.sum(molecules.n_atoms == size)) for size in sizes],
        "models": {},
    }
    for name in final_comparison.MODELS:
        terms = [decomposition.decompose(record.groups, "size").loc[sizes] for record in models[name]]
        network = [of_run["as_reported"] - of_run["cross"] - of_run["offset"] for of_run in terms]
        found["models"][name] = {
            "runs": [record.id for record in models[name]],
            "network": [_rounded(of_run) for of_run in network],
            "cross": [_rounded(of_run["cross"]) for of_run in terms],
            "offset": [_rounded(of_run["offset"]) for of_run in terms],
        }
    return found


def _rounded(values: pd.Series) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def explorer(models: Models, molecules: Molecules) -> dict:
    """What the explorer shows: every molecule of the test part, and its recorded errors by each model and seed.

    `arrays` are packed as `as_text.packed` does it:

    - `index`, QM9's, as differences; `n_atoms`; `rings`; `numbers` of all atoms; `positions` [3, A] in `length_step`;
    - `error_…` [seeds, M] of each model in `error_step`, predicted − true U0 with the training set's mean;
    - `smiles`, a line each.

    `shifts` has, per model and size, how far a size's own mean lies from the training set's, eV per atom: with it an
    error moves by N · shift. `runs` are the ids of the records; `radii` (Å), `bond`, `cutoff` (Å) and `nodes` are what
    bonds are drawn by and molecules compared by (see `descriptors.novelty`).

    Raises ValueError if the models were not tested on the same molecules.
    """
    places = {name: accuracy.test_positions(records[0], molecules) for name, records in models.items()}
    place, *others = places.values()
    if not all(np.array_equal(place, other) for other in others):
        raise ValueError(f"the models {', '.join(models)} were not tested on the same molecules")
    shown = molecules.select(place)
    arrays = {
        "index": np.diff(shown.index, prepend=0).astype(np.uint16),
        "n_atoms": shown.n_atoms.astype(np.uint8),
        "rings": ring_counts(shown).astype(np.uint8),
        "numbers": shown.numbers.astype(np.uint8),
        "positions": np.round(shown.positions.T / LENGTH_STEP).astype(np.int16),
        **{
            f"error_{name}": np.round(accuracy.test_errors(records) / ERROR_STEP).astype(np.int32)
            for name, records in models.items()
        },
        "smiles": np.frombuffer("\n".join(shown.smiles).encode("ascii"), np.uint8),
    }
    return {
        **packed(arrays),
        "error_step": ERROR_STEP,
        "length_step": LENGTH_STEP,
        "shifts": {name: _shifts(records[0]) for name, records in models.items()},
        "runs": {name: [[record.id, record.config.seed] for record in records] for name, records in models.items()},
        "radii": {int(z): float(covalent_radii[z]) for z in ELEMENTS.values()},
        "bond": BOND,
        "cutoff": CUTOFF,
        "nodes": NODES,
    }


def _shifts(record: Record) -> dict[int, float]:
    rows = record.groups[(record.groups["kind"] == "size") & (record.groups["part"] == "held_out")]
    return dict(zip(rows["group"].astype(int).tolist(), rows["shift"].tolist(), strict=True))
