import hashlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.data import splits
from analysis.data.molecules import Molecules
from analysis.data.splits import Split

# Records tell by this that they were made from the same split.
QM9_SPLIT = "42f979d2ed22e0dfbe330c42c289dc59d7e2838b63b46c9d9a764d0790504d9f"

seeds = st.integers(0, 2**32)


def hydrogen_rings(sizes: list[int]) -> Molecules:
    """One molecule for each size; nothing but the sizes matters."""
    total = sum(sizes)
    return Molecules(
        index=np.arange(len(sizes)) + 1,
        n_atoms=np.array(sizes, dtype=np.int64),
        numbers=np.ones(total, dtype=np.uint8),
        positions=np.arange(3.0 * total).reshape(-1, 3),
        energy=np.zeros(len(sizes)),
        smiles=np.full(len(sizes), ""),
    )


some_sizes = st.lists(st.integers(1, 6), min_size=1, max_size=60)


# ---- the split -------------------------------------------------------------------------------------------------------


def test_the_split_of_qm9(qm9_molecules: Molecules):
    parts = splits.split(qm9_molecules)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (104_664, 13_083, 13_084)
    assert len(parts.held_out) == 26_167
    assert parts.fingerprint(qm9_molecules) == QM9_SPLIT


def test_the_split_of_qm9_is_fair(qm9_molecules: Molecules):
    """Each part's mean size and share of fluorine lie within four standard errors of the whole's."""
    parts = splits.split(qm9_molecules)
    fluorine = qm9_molecules.element_counts([9])[:, 0] > 0
    for part in (parts.train, parts.validation, parts.test):
        for values in (qm9_molecules.n_atoms, fluorine):
            error = values.std() / math.sqrt(len(part))
            assert abs(values[part].mean() - values.mean()) < 4 * error


@given(st.integers(12, 400), st.integers(1, 99), seeds)
def test_parts_make_up_the_whole(n_molecules: int, percent: int, seed: int):
    molecules = hydrogen_rings([1] * n_molecules)
    n_held_out = -(-n_molecules * percent // 100)
    if n_held_out < 2 or n_held_out == n_molecules:
        with pytest.raises(ValueError, match="a part would be empty"):
            splits.split(molecules, seed, percent / 100)
        return
    parts = splits.split(molecules, seed, percent / 100)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(n_molecules))
    assert len(parts.held_out) == n_held_out
    assert len(parts.test) - len(parts.validation) in (0, 1)
    assert parts.held_out.tolist() == sorted({*parts.validation.tolist(), *parts.test.tolist()})
    for part in (parts.train, parts.validation, parts.test, parts.held_out):
        assert (np.diff(part) > 0).all()


def test_the_share_is_taken_as_it_is_written():
    """In floating point 0.07 · 100 is a little more than 7, 0.55 · 100 than 55 and 0.14 · 50 than 7."""
    for n_molecules, share, held_out in [
        (100, 0.07, 7),
        (100, 0.55, 55),
        (50, 0.14, 7),
        (130, 0.2, 26),
        (131, 0.2, 27),
    ]:
        assert len(splits.split(hydrogen_rings([1] * n_molecules), 0, share).held_out) == held_out


def test_seeds_make_the_split(few_molecules: Molecules):
    first, again, other = (splits.split(few_molecules, seed) for seed in (1, 1, 2))
    assert first.fingerprint(few_molecules) == again.fingerprint(few_molecules) != other.fingerprint(few_molecules)
    np.testing.assert_array_equal(first.train, again.train)


@pytest.mark.parametrize("held_out", [0, 1, -0.1, 1.5, math.nan])
def test_an_impossible_share_is_refused(few_molecules: Molecules, held_out: float):
    with pytest.raises(ValueError, match=r"held_out is .*; it must be between 0 and 1"):
        splits.split(few_molecules, held_out=held_out)


def test_too_few_molecules_to_split():
    with pytest.raises(ValueError, match=r"2 molecules can't be split with 0\.2 held out"):
        splits.split(hydrogen_rings([1, 1]))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 1], [2], []), "test: a part of a split is a row of at least one position"),
        (([0, 1], [2], [2, 3]), "position 2 is in more than one part"),
        (([1, 0], [2], [3]), "train: positions must be 0 or more, sorted"),
        (([0, 0], [2], [3]), "train: positions must be 0 or more, sorted"),
        (([0, 1], [-1], [3]), "validation: positions must be 0 or more"),
        (([0.0, 1.0], [2], [3]), "train: a part of a split is a row"),
        (([[0, 1]], [2], [3]), "train: a part of a split is a row"),
    ],
)
def test_parts_that_make_no_split_are_refused(parts: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        Split(*(np.array(part) for part in parts))


def test_a_split_cannot_be_changed():
    mine = np.array([0, 1])
    parts = Split(mine, np.array([2]), np.array([3]))
    mine[0] = 7
    assert parts.train.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        parts.train[0] = 5


def test_the_fingerprint_is_that_of_the_indices(few_molecules: Molecules):
    parts = Split(np.array([0, 2]), np.array([1]), np.array([3, 4]))
    index = few_molecules.index
    expected = hashlib.sha256()
    for name, part in (("train", [0, 2]), ("validation", [1]), ("test", [3, 4])):
        expected.update(f"{name} {len(part)} ".encode() + struct.pack(f"<{len(part)}q", *index[part]))
    assert parts.fingerprint(few_molecules) == expected.hexdigest()
    # The same molecules in another table, at other positions.
    chosen = few_molecules.select([4, 2, 0, 3, 1])
    moved = Split(np.array([1, 2]), np.array([4]), np.array([0, 3]))
    assert moved.fingerprint(chosen) == parts.fingerprint(few_molecules)
    swapped = Split(parts.train, np.array([3]), np.array([1, 4]))
    assert swapped.fingerprint(few_molecules) != parts.fingerprint(few_molecules)


# ---- sets by size and element ----------------------------------------------------------------------------------------


def test_sets_by_size(qm9_molecules: Molecules):
    sizes = splits.by_size(qm9_molecules)
    assert list(sizes) == [*range(3, 28), 29]
    assert (len(sizes[18]), len(sizes[24]), len(sizes[29])) == (17442, 712, 35)  # design.md
    assert (qm9_molecules.n_atoms[sizes[18]] == 18).all()


@given(some_sizes, st.data())
def test_sets_by_size_are_a_partition(sizes: list[int], data):
    molecules = hydrogen_rings(sizes)
    among = np.array(data.draw(st.lists(st.integers(0, len(sizes) - 1), unique=True)), dtype=int)
    groups = splits.by_size(molecules, among)
    assert list(groups) == sorted({sizes[m] for m in among})
    for size, members in groups.items():
        assert members.tolist() == sorted(m for m in among.tolist() if sizes[m] == size)


def test_sets_by_element(qm9_molecules: Molecules):
    elements = splits.by_element(qm9_molecules)
    assert list(elements) == ["H", "C", "N", "O", "F"]
    shares = [len(members) / len(qm9_molecules) for members in elements.values()]
    np.testing.assert_allclose(shares, [0.9997, 0.99998, 0.6106, 0.8509, 0.0147], atol=5.1e-5)  # design.md
    assert all("F" in qm9_molecules.smiles[m] for m in elements["F"])
    assert not any("F" in qm9_molecules.smiles[m] for m in np.setdiff1d(elements["C"], elements["F"])[::50])


def test_elements_that_no_molecule_holds_have_no_set(few_molecules: Molecules):
    water = few_molecules.select(few_molecules.smiles == "O")
    assert list(splits.by_element(water)) == ["H", "O"]


# ---- draws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cap", [2000, 4000, 6000])
def test_caps_of_the_report(qm9_molecules: Molecules, cap: int):
    sizes, counts = np.unique(qm9_molecules.n_atoms, return_counts=True)
    capped = splits.cap_per_size(qm9_molecules, cap, seed=0)
    found, kept = np.unique(qm9_molecules.n_atoms[capped], return_counts=True)
    np.testing.assert_array_equal(found, sizes)
    np.testing.assert_array_equal(kept, np.minimum(counts, cap))


@given(some_sizes, st.integers(1, 8), seeds, st.data())
def test_a_cap_keeps_what_it_can(sizes: list[int], cap: int, seed: int, data):
    molecules = hydrogen_rings(sizes)
    positions = st.integers(0, len(sizes) - 1)
    among = np.array(data.draw(st.lists(positions, unique=True, min_size=1)))
    capped = splits.cap_per_size(molecules, cap, seed, among)
    assert (np.diff(capped) > 0).all()
    assert set(capped.tolist()) <= set(among.tolist())
    for size in {sizes[m] for m in among}:
        available = sum(sizes[m] == size for m in among)
        assert sum(sizes[m] == size for m in capped) == min(cap, available)
    # The order of `among` is nobody's business, and a smaller cap keeps a part of what a larger one keeps.
    np.testing.assert_array_equal(capped, splits.cap_per_size(molecules, cap, seed, among[::-1]))
    assert set(capped.tolist()) <= set(splits.cap_per_size(molecules, cap + 1, seed, among).tolist())


@given(some_sizes, st.integers(1, 8))
def test_the_first_of_each_size_are_those_that_a_loop_would_keep(sizes: list[int], cap: int):
    kept, counts = [], {}
    for position, size in enumerate(sizes):
        counts[size] = counts.get(size, 0) + 1
        if counts[size] <= cap:
            kept.append(position)
    molecules = hydrogen_rings(sizes)
    np.testing.assert_array_equal(splits.first_per_size(molecules, cap), kept)
    with pytest.raises(ValueError, match="a cap of 0 molecules per size leaves none"):
        splits.first_per_size(molecules, 0)


def test_the_first_of_a_size_are_no_fair_sample(qm9_molecules: Molecules):
    """QM9 is in the order of its indices, which is that of an enumeration."""
    assert (np.diff(qm9_molecules.index) > 0).all()
    first = splits.first_per_size(qm9_molecules, 2000)
    drawn = splits.cap_per_size(qm9_molecules, 2000, seed=0)
    assert len(first) == len(drawn)
    nitrogen = qm9_molecules.element_counts((7,))[:, 0] > 0
    assert nitrogen[first].mean() < 0.9 * nitrogen[drawn].mean()


def test_a_size_is_drawn_by_itself(qm9_molecules: Molecules):
    whole = splits.cap_per_size(qm9_molecules, 100, seed=3)
    some = splits.cap_per_size(qm9_molecules, 100, 3, np.flatnonzero(qm9_molecules.n_atoms >= 18))
    np.testing.assert_array_equal(some, whole[qm9_molecules.n_atoms[whole] >= 18])


def test_draws_are_fair():
    """Over many seeds each of 20 molecules is drawn in a quarter of the draws of 5."""
    molecules = hydrogen_rings([4] * 20)
    for draw in (
        lambda seed: splits.cap_per_size(molecules, 5, seed),
        lambda seed: splits.random_subset(np.arange(20), 5, seed),
    ):
        counts = np.bincount(np.concatenate([draw(seed) for seed in range(2000)]), minlength=20)
        # Four standard deviations of a binomial law, 2000 draws of probability 1/4.
        assert np.abs(counts - 500).max() < 4 * math.sqrt(2000 * 0.25 * 0.75)


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=80), seeds, st.data())
def test_random_subsets(among: list[int], seed: int, data):
    n = data.draw(st.integers(1, len(among)))
    drawn = splits.random_subset(np.array(among), n, seed)
    assert len(drawn) == n
    assert (np.diff(drawn) > 0).all()
    assert set(drawn.tolist()) <= set(among)
    np.testing.assert_array_equal(drawn, splits.random_subset(np.array(sorted(among)), n, seed))
    larger = splits.random_subset(np.array(among), min(n + 1, len(among)), seed)
    assert set(drawn.tolist()) <= set(larger.tolist())


def test_seeds_make_the_draws(qm9_molecules: Molecules):
    everything = np.arange(len(qm9_molecules))
    for draw in (
        lambda seed: splits.random_subset(everything, 1000, seed),
        lambda seed: splits.cap_per_size(qm9_molecules, 100, seed),
    ):
        first, again, other = draw(1), draw(1), draw(2)
        np.testing.assert_array_equal(first, again)
        assert len(np.intersect1d(first, other)) < len(first) / 2


def test_a_control_is_no_copy_of_the_split(qm9_molecules: Molecules):
    """With one seed for both, a random subset holds each part in proportion."""
    parts = splits.split(qm9_molecules, seed=0)
    control = splits.random_subset(np.arange(len(qm9_molecules)), 26_167, seed=0)
    share = np.isin(control, parts.held_out).mean()
    assert abs(share - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 26_167)


@pytest.mark.parametrize("cap", [0, -5])
def test_an_impossible_cap_is_refused(few_molecules: Molecules, cap: int):
    with pytest.raises(ValueError, match=f"a cap of {cap} molecules per size leaves none"):
        splits.cap_per_size(few_molecules, cap, seed=0)


def test_nothing_to_cap(few_molecules: Molecules):
    with pytest.raises(ValueError, match="there are no molecules to draw from"):
        splits.cap_per_size(few_molecules, 5, 0, np.zeros(0, dtype=int))


@pytest.mark.parametrize("n", [0, -1, 11])
def test_an_impossible_number_is_refused(n: int):
    with pytest.raises(ValueError, match=f"{n} molecules can't be drawn from 10"):
        splits.random_subset(np.arange(10), n, seed=0)
