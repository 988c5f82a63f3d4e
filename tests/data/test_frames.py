"""Labelled frames come back as they were written, and what is not whole, or of other molecules, is refused in words."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.data import frames
from analysis.data.frames import FramesError, Labelled
from analysis.data.molecules import Molecules

PROTOCOL, VERSIONS = {"temperature_K": 1000.0, "steps": [15, 30]}, {"tblite": "0"}


def labelled(own: Molecules, seed: int = 0) -> Labelled:
    """Made up: somewhat displaced, with some forces."""
    rng = np.random.default_rng(seed)
    positions = frames.rounded(own.positions + rng.normal(0, 0.2, own.positions.shape))
    moved = replace(own, positions=positions, energy=rng.normal(-1000, 100, len(own)))
    return Labelled(moved, rng.normal(0, 3, own.positions.shape), "GFN2-xTB")


def write(path: Path, one: Labelled, own: Molecules, **changes: object) -> None:
    given = {"time_fs": np.full(len(own), 15.0), "protocol": PROTOCOL, "versions": VERSIONS, "left_out": [7]}
    frames.write(path, one, own, **given | changes)


@pytest.fixture(scope="module")
def own(few_molecules) -> Molecules:
    return few_molecules.select(np.random.default_rng(3).permutation(len(few_molecules))[:60])


@pytest.fixture
def written(own, tmp_path) -> tuple[Labelled, Path]:
    """In two shards of 40 and of 20 molecules."""
    whole = labelled(own)
    for number, part in enumerate((np.arange(40), np.arange(40, 60))):
        write(frames.path_of(tmp_path, "made-up", number), whole.select(part), own.select(part))
    return whole, tmp_path


def test_energies_and_positions_come_back_exactly_and_forces_to_the_resolution(written, few_molecules):
    whole, folder = written
    found = frames.read(folder, "made-up", few_molecules)
    assert found.level == "GFN2-xTB"
    kept = few_molecules.select(np.isin(few_molecules.index, whole.molecules.index))
    for name in ("index", "n_atoms", "numbers", "smiles"):  # in the order of those that were given
        np.testing.assert_array_equal(getattr(found.molecules, name), getattr(kept, name))
    expected = whole.select(np.argsort(whole.molecules.index))
    assert found.molecules.fingerprint() == expected.molecules.fingerprint()
    assert np.abs(found.forces - expected.forces).max() <= frames.FORCE / 2 * (1 + 1e-9)
    np.testing.assert_array_equal(found.molecules.positions, frames.rounded(found.molecules.positions))
    again = frames.read(folder, "made-up", few_molecules.select(np.arange(len(few_molecules))[::-1]))
    np.testing.assert_array_equal(again.molecules.index, found.molecules.index[::-1])
    np.testing.assert_array_equal(again.select(np.arange(len(again))[::-1]).forces, found.forces)


def test_a_file_says_how_it_was_made(written):
    _, folder = written
    about = frames.about(str(frames.path_of(folder, "made-up", 1)))
    assert about == frames.About("GFN2-xTB", PROTOCOL, VERSIONS, [7])


def test_a_file_takes_no_more_than_its_numbers_do(written):
    whole, folder = written
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 2 * 6 * len(whole.forces) + 24 * len(whole) + 2 * 5000  # what Parquet says of itself


def test_some_of_them_keep_their_forces(own):
    whole = labelled(own)
    order = np.random.default_rng(1).permutation(len(own))[:20]
    some = whole.select(order)
    assert some.level == whole.level
    assert some.molecules.fingerprint() == whole.molecules.select(order).fingerprint()
    for got, wanted in enumerate(order):
        np.testing.assert_array_equal(
            some.forces[slice(*some.molecules.offsets[got : got + 2])],
            whole.forces[slice(*whole.molecules.offsets[wanted : wanted + 2])],
        )
    mask = np.isin(np.arange(len(own)), order)
    np.testing.assert_array_equal(whole.select(mask).forces, whole.select(np.sort(order)).forces)
    assert len(whole.select([])) == 0


def test_forces_fit_the_molecules_and_cannot_be_changed(own):
    forces = np.zeros(own.positions.shape)
    one = Labelled(own, forces, "a")
    forces[0] = 1
    assert not one.forces.any()
    with pytest.raises(ValueError, match="read-only"):
        one.forces[0] = 1
    for wrong in (forces[:-1], forces[:, :2], forces.ravel()):
        with pytest.raises(FramesError, match="do not fit positions"):
            Labelled(own, wrong, "a")
    forces[own.offsets[2] + 1, 1] = np.nan
    with pytest.raises(FramesError, match=f"molecule {own.index[2]}, atom 2: the force on it is not finite"):
        Labelled(own, forces, "a")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("what", "most", "words"), [("positions", 3.2767, "moved by"), ("forces", 32.767, "pulled by")]
)
def test_what_a_file_cannot_hold_is_refused_by_name_and_never_wrapped(what, most, words, sign, own, tmp_path):
    atom = own.offsets[5] + 1
    start = labelled(own)

    def with_value(value: float) -> Labelled:
        if what == "forces":
            forces = start.forces.copy()
            forces[atom, 2] = value
            return replace(start, forces=forces)
        positions = start.molecules.positions.copy()
        positions[atom, 2] = frames.rounded(own.positions)[atom, 2] + value
        return replace(start, molecules=replace(start.molecules, positions=frames.rounded(positions)))

    path = frames.path_of(tmp_path, "a", 0)
    unit = frames.LENGTH if what == "positions" else frames.FORCE
    too_much = with_value(sign * (most + unit))
    assert np.flatnonzero(frames.beyond(too_much, own)).tolist() == [5]
    with pytest.raises(FramesError, match=f"molecule {own.index[5]}, atom 2: it is {words} .* at most"):
        write(path, too_much, own)
    assert list(tmp_path.iterdir()) == []
    most_there_is = with_value(sign * most)
    assert not frames.beyond(most_there_is, own).any()
    write(path, most_there_is, own)
    found = frames.read(tmp_path, "a", own)
    assert getattr(found if what == "forces" else found.molecules, what)[atom, 2] == pytest.approx(
        getattr(most_there_is if what == "forces" else most_there_is.molecules, what)[atom, 2], abs=1e-9
    )


def test_what_does_not_fit_together_is_not_written(own, tmp_path):
    path, one = frames.path_of(tmp_path, "a", 0), labelled(own)
    with pytest.raises(FramesError, match="not of the molecules that they are said to be of"):
        write(path, one, own.select(np.arange(len(own))[::-1]))
    with pytest.raises(FramesError, match="60 frames but 3 times"):
        write(path, one, own, time_fs=np.zeros(3))
    off = replace(one, molecules=replace(one.molecules, positions=one.molecules.positions + 3e-5))
    with pytest.raises(FramesError, match=f"molecule {own.index[0]}, atom 1: its place is no multiple of 0.0001 Å"):
        write(path, off, own)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_missing_is_named_with_what_makes_it(written, own):
    _, folder = written
    advice = "restore it, or make it with `python -m harness.frames"
    for missing in (folder, folder / "none"):
        with pytest.raises(FramesError, match=f"xtb-md-00.parquet is missing: {advice} xtb-md --out {missing}`"):
            frames.read(missing, "xtb-md", own)
    frames.path_of(folder, "made-up", 0).unlink()
    with pytest.raises(FramesError, match=f"made-up-00.parquet is missing: {advice}"):
        frames.read(folder, "made-up", own)
    with pytest.raises(FramesError, match=r"made-up-00\.parquet is missing"):
        frames.about(frames.path_of(folder, "made-up", 0))


def cut(content: bytes) -> bytes:
    return content[:-9]


def foreign(_: bytes) -> bytes:
    return b"PAR1 or not"


@pytest.mark.parametrize("damage", [cut, foreign, lambda _: b""])
def test_a_damaged_file_is_named_with_what_makes_it_anew(damage: Callable[[bytes], bytes], written, own):
    _, folder = written
    path = frames.path_of(folder, "made-up", 1)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FramesError, match=rf"{re.escape(str(path))} can't be read \(.*\): restore it, or remove it"):
        frames.read(folder, "made-up", own)


def test_no_flipped_bit_passes_for_a_frame(written, own):
    whole, folder = written
    path = frames.path_of(folder, "made-up", 1)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    expected = frames.read(folder, "made-up", own)
    for place in rng.choice(len(content), 150, replace=False):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            found = frames.read(folder, "made-up", own)
        except FramesError:
            continue
        # What nobody reads: who wrote it, statistics of a column.
        assert found.molecules.fingerprint() == expected.molecules.fingerprint()
        np.testing.assert_array_equal(found.forces, expected.forces)
        assert found.level == whole.level


def test_a_table_of_something_else_is_no_frames(own, tmp_path):
    pq.write_table(pa.table({"index": [1, 2]}), frames.path_of(tmp_path, "a", 0))
    with pytest.raises(FramesError, match="it holds no frames of this version"):
        frames.read(tmp_path, "a", own)


def test_frames_of_other_molecules_are_refused(written, own):
    _, folder = written
    last = own.select([len(own) - 1])
    methane = np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1.0]])
    foreign = replace(last, n_atoms=[5], numbers=np.array([6, 1, 1, 1, 1]), positions=methane)
    with pytest.raises(FramesError, match=f"{last.index[0]}: it has 5 atoms, and its frame {last.n_atoms[0]}"):
        frames.read(folder, "made-up", foreign)
    shaken = replace(last, positions=last.positions + np.eye(3)[0])
    with pytest.raises(FramesError, match="the geometry that displacements count from, are others"):
        frames.read(folder, "made-up", shaken)
    renamed = replace(last, numbers=last.numbers[::-1])
    assert not np.array_equal(renamed.numbers, last.numbers)
    with pytest.raises(FramesError, match=f"not of these molecules: molecule {last.index[0]}: its elements"):
        frames.read(folder, "made-up", renamed)


def test_molecules_none_of_which_has_a_frame_are_refused(written, few_molecules):
    whole, folder = written
    others = few_molecules.select(~np.isin(few_molecules.index, whole.molecules.index))
    with pytest.raises(FramesError, match=f"none of the {len(others)} molecules has a frame"):
        frames.read(folder, "made-up", others)


def test_files_that_contradict_each_other_are_refused(written, own):
    whole, folder = written
    path, part = frames.path_of(folder, "made-up", 2), np.arange(3)
    write(path, replace(whole.select(part), level="B3LYP"), own.select(part))
    with pytest.raises(FramesError, match=r"several levels \(B3LYP, GFN2-xTB\)"):
        frames.read(folder, "made-up", own)
    write(path, whole.select(part), own.select(part))
    with pytest.raises(FramesError, match="a molecule has several frames"):
        frames.read(folder, "made-up", own)


def test_a_shard_without_frames_is_one(own, tmp_path):
    for number, part in enumerate(([], np.arange(4))):
        write(frames.path_of(tmp_path, "a", number), labelled(own).select(part), own.select(part))
    assert len(frames.read(tmp_path, "a", own)) == 4
    frames.path_of(tmp_path, "a", 1).unlink()
    with pytest.raises(FramesError, match="none of the 60 molecules"):
        frames.read(tmp_path, "a", own)


def test_a_failed_write_leaves_what_was_there(written, own, full_disk):
    whole, folder = written
    path = frames.path_of(folder, "made-up", 0)
    before = path.read_bytes()
    with full_disk(1000), pytest.raises(OSError, match=path.name):
        write(path, whole, own)
    assert path.read_bytes() == before
    assert len(list(folder.iterdir())) == 2
