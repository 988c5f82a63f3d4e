"""Which molecules a run trains on and holds out, and what each of them weighs in its loss."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from analysis.data import descriptors, frames, geometries, splits
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.runs import weights
from analysis.runs.config import LABELLED, Data, FineTuning, Loss, Selection
from analysis.runs.records import results_folder


class SelectionError(UserError, ValueError):
    """A run asks for molecules that are not there; the message says which, and what to do."""


@dataclass(frozen=True)
class Chosen:
    """The molecules of one run; `parts` and `left_out` are positions in them.

    `left_out` (int64 [n], sorted) are the molecules of the training part that the selection leaves out: they are
    neither trained on nor held out, but belong to the sets that a model is evaluated on. A run on a thinned training
    part has none: the molecules that it does not train on are ignored. `forces`, [A, 3] in eV/Å, are those of all
    atoms of `molecules`, where the geometries have any.
    """

    molecules: Molecules
    parts: splits.Split
    left_out: np.ndarray
    forces: np.ndarray | None = None


def choose_molecules(molecules: Molecules, data: Data) -> Chosen:
    """The molecules of one run: the seeded split of the database, what is selected of its training part, then thinned.

    They have the geometries that are asked for. Those without are left out last or, where the geometries have labels
    of their own, first: only some of the molecules have any.

    Raises SelectionError if a part holds fewer molecules than asked for, or if the selection or the geometries leave
    none, and frames.FramesError if frames are missing or damaged.
    """
    whole = _whole(molecules, data)
    validation, test = whole.validation, whole.test
    train = _select(molecules, whole.train, data)
    left_out = np.setdiff1d(whole.train, train if data.train_molecules is None else whole.train)
    if data.held_out_molecules is not None:
        half = data.held_out_molecules // 2
        validation = _drawn(validation, half, data)
        test = _drawn(test, data.held_out_molecules - half, data)
    used = np.sort(np.concatenate([train, validation, test, left_out]))
    found, forces = molecules.select(used), None
    if data.geometries in LABELLED:
        labelled = frames.read(frames_folder(), data.geometries, found)
        found, forces = labelled.molecules, labelled.forces
    elif data.geometries == "mixed":
        found = geometries.mixed(found)
    there = used[np.isin(molecules.index[used], found.index)]
    parts = [np.searchsorted(there, np.intersect1d(part, there)) for part in (train, validation, test, left_out)]
    for name, part in zip(("training", "validation", "test"), parts, strict=False):
        if not len(part):
            raise SelectionError(f"no {name} molecule has geometries {data.geometries!r}: draw more")
    return Chosen(found, splits.Split(*parts[:3]), parts[3], forces)


def frames_folder() -> Path:
    """Where labelled frames lie."""
    return results_folder() / "frames"


def training_part(molecules: Molecules, data: Data) -> np.ndarray:
    """Positions, in the whole database, of the molecules that a run trains on: int64 [n], sorted.

    Raises SelectionError if the selection leaves none, or fewer than asked for.
    """
    return _select(molecules, _whole(molecules, data).train, data)


def _whole(molecules: Molecules, data: Data) -> splits.Split:
    """The split of the whole database or, where not all molecules have labels, of those that have some."""
    folder = frames_folder() if data.geometries in LABELLED else None
    return _split(molecules, data.split_seed, data.held_out, data.geometries, folder)


@lru_cache(maxsize=4)
def _split(molecules: Molecules, seed: int, held_out: float, geometries: str, labels: Path | None) -> splits.Split:
    """Drawn once for all runs of a study; `labels` is the folder that they lie in."""
    whole = splits.split(molecules, seed, held_out)
    if labels is None:
        return whole
    labelled = frames.read(labels, geometries, molecules).molecules
    there = np.flatnonzero(np.isin(molecules.index, labelled.index))
    parts = {name: np.intersect1d(getattr(whole, name), there) for name in ("train", "validation", "test")}
    if none := [name for name, part in parts.items() if not len(part)]:
        raise SelectionError(f"no molecule of the {none[0]} part has a frame of {geometries} in {labels}: make more")
    return splits.Split(**parts)


def _drawn(held_out: np.ndarray, number: int, data: Data) -> np.ndarray:
    """So many molecules of a held-out part at random; raises SelectionError if it has fewer."""
    if number > len(held_out):
        raise SelectionError(
            f"held_out_molecules {data.held_out_molecules:,}: half of them can't be drawn from the {len(held_out):,} "
            f"molecules of a held-out part with geometries {data.geometries!r}: ask for fewer"
        )
    return splits.random_subset(held_out, number, seed=data.split_seed)


def _select(molecules: Molecules, train: np.ndarray, data: Data) -> np.ndarray:
    selection, seed = data.selection, data.split_seed
    chosen = _of_sizes(molecules, train, selection, "no training molecule")
    if selection.most_heavy is not None:
        heavy = molecules.heavy_atoms[chosen]
        if (least := heavy.min()) > selection.most_heavy:
            raise SelectionError(
                f"no training molecule has at most {selection.most_heavy} heavy atoms; the least is {least}"
            )
        chosen = chosen[heavy <= selection.most_heavy]
    if selection.cap_per_size is not None:
        chosen = splits.cap_per_size(molecules, selection.cap_per_size, seed=seed, among=chosen)
    if selection.random_control:
        chosen = splits.random_subset(train, len(chosen), seed=seed)
    if data.train_molecules is None:
        return chosen
    if data.train_molecules > len(chosen):
        raise SelectionError(
            f"the selection leaves {len(chosen):,} training molecules, fewer than the {data.train_molecules:,} to be "
            "drawn from them: select more, or draw fewer (the profile full draws none: it takes them all)"
        )
    return splits.random_subset(chosen, data.train_molecules, seed=seed)


def fine_tuned(molecules: Molecules, train: np.ndarray, fine: FineTuning) -> np.ndarray:
    """Which of the training molecules at positions `train` (int [n]) a fine-tuning takes: int [≤ n].

    Raises SelectionError if it takes none.
    """
    subject = "no training molecule to fine-tune on"
    among = _of_sizes(molecules, train, fine, subject)
    if fine.rings is None:
        return among
    rings = descriptors.ring_counts(molecules.select(among))
    if rings.max() < fine.rings:
        raise SelectionError(f"{subject} has {fine.rings} rings; they have at most {rings.max()}")
    return among[rings >= fine.rings]


def _of_sizes(molecules: Molecules, among: np.ndarray, limits: Selection | FineTuning, subject: str) -> np.ndarray:
    sizes = molecules.n_atoms[among]
    found = among[(sizes >= (limits.smallest or 0)) & (sizes <= (limits.largest or sizes.max()))]
    if len(found) == 0:
        raise SelectionError(
            f"{subject} has between {limits.smallest or 1} and {limits.largest or 'any number of'} atoms; "
            f"they have {sizes.min()} to {sizes.max()}"
        )
    return found


def loss_weights(loss: Loss, sizes: np.ndarray) -> np.ndarray | None:
    """The weight of each training molecule, float64 [n], from their numbers of atoms; None for the unmodified loss.

    Raises weights.WeightError, which names size and rate, if a weight is not finite or negative.
    """
    if loss.weighting == "none":
        return None
    return weights.loss_weights(loss.weighting, sizes, loss.rate, floor=loss.floor)
