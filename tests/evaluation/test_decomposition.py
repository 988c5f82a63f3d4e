"""The identity behind the artefact: on every set of every record, and molecule by molecule with a recorded network."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import study
from analysis.data import offsets, splits
from analysis.data.neighbours import neighbour_pairs
from analysis.evaluation import decomposition
from analysis.runs import protocols, records, selection
from analysis.runs.config import Data, Selection
from analysis.training import loop, networks
from analysis.training.batches import PackedMolecules

FOLDERS = sorted(path.parent for path in records.results_folder().glob("*/*/run.json"))
KINDS = ("all", "size", "element")
TERMS = list(decomposition.TERMS)


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def record(request) -> records.Record:
    """Each record in turn, loaded once for all that is asked of it."""
    return records.load(request.param)


@pytest.fixture(scope="module")
def parts_of(record) -> dict[str, pd.DataFrame]:
    return {kind: decomposition.decompose(record.groups, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def training_mean_of(qm9_molecules):
    """The mean per atom of what a run trains on, by the run's `Data`, from energies alone."""

    @cache
    def mean(data: Data) -> float:
        return offsets.fit(qm9_molecules, selection.training_part(qm9_molecules, data)).mean

    return mean


@pytest.fixture(scope="module")
def sets(qm9_molecules) -> dict[str, pd.DataFrame]:
    return {kind: decomposition.sets_of(qm9_molecules, kind) for kind in KINDS}


# ---- the identity


def test_the_terms_add_up_to_the_error_as_reported_in_every_set(record, parts_of):
    for kind, parts in parts_of.items():
        known = parts["held_out"].notna()
        reported = protocols.mse(record.groups, kind)
        for column in ("as_reported", "held_out"):
            pd.testing.assert_series_equal(parts[column], reported[column])
        total, size = parts[TERMS].sum(axis=1), parts[TERMS].abs().sum(axis=1)
        off = ((total - parts["as_reported"]).abs() / size)[known]
        assert off.max() < 1e-13  # 2⁻⁵³ is 1.1e-16, and sums over 10⁵ molecules are rounded on the way
        assert known.sum() >= {"all": 1, "size": 16, "element": 5}[kind]
        assert (decomposition.shares(parts).sum(axis=1)[known] - 1).abs().max() < 1e-10


def test_the_offset_term_follows_from_the_data_alone(record, parts_of, sets, training_mean_of):
    if record.config.data.train_molecules is not None:  # a thinned run sees other sets than the whole ones
        with pytest.raises(AssertionError):
            pd.testing.assert_series_equal(parts_of["size"]["molecules"], sets["size"]["molecules"], check_names=False)
        return
    if record.config.training.offsets != "references-mean":
        for parts in parts_of.values():
            assert (parts[["shift", "cross", "offset"]] == 0).all(axis=None)
        return
    mean = training_mean_of(record.config.data)
    if record.has_weights:
        assert mean == pytest.approx(record.offsets().mean, abs=1e-12)
    for kind, parts in parts_of.items():
        predicted = decomposition.offset_of(sets[kind], mean)
        np.testing.assert_array_equal(parts["molecules"], sets[kind].loc[parts.index, "molecules"])
        np.testing.assert_allclose(parts["shift"], sets[kind].loc[parts.index, "mean"] - mean, rtol=0, atol=1e-12)
        # Where the two means agree to six digits, so does their difference squared to fewer.
        np.testing.assert_allclose(predicted[parts.index], parts["offset"], rtol=1e-7, atol=1e-15)


EXAMPLES = {
    "all molecules": lambda molecules: study.BaselineParameters(seeds=[0]).configs(molecules)[0],
    "large ones": lambda molecules: study.FinalComparisonParameters(seeds=[0]).configs(molecules)[1],
}


@pytest.mark.parametrize("which", EXAMPLES)
def test_the_terms_are_those_of_the_molecules_themselves(which, qm9_molecules):
    """A recorded network predicts every molecule of three sizes, and each term is a plain mean over them."""
    config = EXAMPLES[which](qm9_molecules)
    record = records.find(config, qm9_molecules.fingerprint(), records.results_folder())
    whole = splits.split(qm9_molecules, seed=config.data.split_seed)
    train = selection.training_part(qm9_molecules, config.data)
    positions = np.flatnonzero(np.isin(qm9_molecules.n_atoms, [11, 17, 24]))
    molecules = qm9_molecules.select(positions)
    mean = record.offsets().mean
    packed = PackedMolecules(
        molecules,
        neighbour_pairs(molecules, config.model.data_cutoff),
        targets=molecules.energy - offsets.Offsets(mean).of(molecules),
    )
    model = networks.build_from(config.model, postprocessors=networks.postprocessors(record.offsets(), "energy_U0"))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in record.state_dict().items()})
    e = loop.predict_errors(model, packed, np.arange(len(molecules)))
    parts = decomposition.decompose(record.groups, "size")
    for size in (11, 17, 24):
        of_size = molecules.n_atoms == size
        own = np.mean(offsets.Offsets().left_per_atom(molecules)[of_size])
        shifted = e[of_size] + size * (own - mean)
        held_out = np.mean(e[of_size & np.isin(positions, whole.held_out)] ** 2)
        trained = of_size & np.isin(positions, train)
        left_out = of_size & np.isin(positions, np.setdiff1d(whole.train, train))
        expected = {
            "held_out": held_out,
            "leakage": np.sum(e[trained] ** 2 - held_out) / of_size.sum(),
            "left_out": np.sum(e[left_out] ** 2 - held_out) / of_size.sum(),
            "cross": 2 * (own - mean) * np.mean(e[of_size] * size),
            "offset": (size * (own - mean)) ** 2,
        }
        assert trained.any() or left_out.any()
        assert sum(expected.values()) == pytest.approx(np.mean(shifted**2), rel=1e-12)
        assert parts.loc[size, "as_reported"] == pytest.approx(np.mean(shifted**2), rel=1e-5)
        for term, value in expected.items():
            # The record's errors were predicted in other batches: float32 rounds them by some 10⁻⁶ eV.
            assert parts.loc[size, term] == pytest.approx(value, rel=1e-3, abs=1e-5), (size, term)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 0.5), st.booleans())
def test_the_terms_add_up_for_any_network_and_a_constant_per_atom_changes_nothing(few_molecules, seed, c, selected):
    """A network that predicts c·N more, with a training mean that is c less, is the same model."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(few_molecules))
    train, held_out, left_out = np.split(order, [len(order) // 3, 2 * len(order) // 3])
    groups = {"train": train, "held_out": held_out, "left_out": left_out}
    if not selected:
        groups["train"] = np.concatenate([train, groups.pop("left_out")])
    found = {part: (of, rng.normal(0.1, 0.5, len(of))) for part, of in groups.items()}
    moved = {part: (of, e + c * few_molecules.n_atoms[of]) for part, (of, e) in found.items()}
    mean = offsets.fit(few_molecules, groups["train"]).mean
    for kind in KINDS:
        parts = decomposition.decompose(protocols.group_sums(few_molecules, found, offsets.Offsets(mean)), kind)
        other = decomposition.decompose(protocols.group_sums(few_molecules, moved, offsets.Offsets(mean + c)), kind)
        np.testing.assert_allclose(other["as_reported"], parts["as_reported"], rtol=1e-9, atol=1e-12)
        for each in (parts, other):
            whole = each[each["held_out"].notna()]
            np.testing.assert_allclose(whole[TERMS].sum(axis=1), whole["as_reported"], rtol=1e-10, atol=1e-12)
        assert (parts["left_out"].fillna(0) == 0).all() != selected


def test_a_set_without_held_out_molecules_has_no_held_out_terms(few_molecules):
    order = np.arange(len(few_molecules))
    smallest = few_molecules.n_atoms == few_molecules.n_atoms.min()
    found = {
        part: (order[mask], np.full(mask.sum(), 0.1))
        for part, mask in {"train": smallest, "held_out": ~smallest}.items()
    }
    parts = decomposition.decompose(protocols.group_sums(few_molecules, found, offsets.Offsets(-4.2)), "size")
    first = parts.iloc[0]
    assert first[["held_out", "leakage", "left_out"]].isna().all()
    assert first[["cross", "offset", "as_reported"]].notna().all()
    assert parts.iloc[1:][TERMS].notna().all(axis=None)


def test_a_network_that_knows_its_molecules_by_heart_leaks(few_molecules):
    order = np.arange(len(few_molecules))
    train, held_out = order[::2], order[1::2]
    found = {"train": (train, np.zeros(len(train))), "held_out": (held_out, np.full(len(held_out), 2.0))}
    fitted = offsets.fit(few_molecules, order)
    parts = decomposition.decompose(protocols.group_sums(few_molecules, found, fitted), "all").loc["all"]
    assert parts["held_out"] == 4
    assert parts["leakage"] == pytest.approx(-4 * len(train) / len(order))
    assert parts["offset"] == parts["cross"] == pytest.approx(0, abs=1e-20)


def test_leakage_is_distinguished_from_chance(qm9_molecules):
    """Errors drawn alike for trained and held-out molecules lie within chance; smaller ones on the trained do not."""
    molecules = qm9_molecules.select(np.flatnonzero(np.isin(qm9_molecules.n_atoms, [12, 14, 18]))[:9000])
    rng = np.random.default_rng(0)
    order = rng.permutation(len(molecules))
    train, held_out = order[:7200], order[7200:]

    def found(factor: float) -> pd.Series:
        seeds = []
        for _ in range(3):
            e = rng.normal(0, 0.2, len(molecules))
            e[train] *= factor
            parts = {"train": (train, e[train]), "held_out": (held_out, e[held_out])}
            table = pd.DataFrame(
                {"index": molecules.index[held_out], "n_atoms": molecules.n_atoms[held_out], "error": e[held_out]}
            )
            seeds.append((protocols.group_sums(molecules, parts, offsets.Offsets(-4.2)), table))
        return decomposition.leakage_in_errors(*map(list, zip(*seeds, strict=True)))

    alike = pd.concat([found(1.0) for _ in range(30)])
    assert set(alike.index) == {12, 14, 18}
    assert alike.std() == pytest.approx(1, abs=0.25)
    assert abs(alike.mean()) < 0.4
    assert found(0.7).max() < -5


# ---- shares


def test_the_share_of_a_curve_counts_every_set_alike():
    parts = pd.DataFrame({"cross": [1.0, -1.0], "offset": [2.0, 4.0], "as_reported": [4.0, 8.0]})
    assert decomposition.share_of_curve(parts) == pytest.approx(0.5)
    parts = parts.assign(held_out=[1.0, 5.0], leakage=0.0, left_out=0.0)
    shares = decomposition.shares(parts)
    assert shares["moved"].tolist() == [0.75, 0.375]
    assert shares["held_out"].tolist() == [0.25, 0.625]


# ---- from the data alone


def test_the_sets_are_those_of_the_errors(qm9_molecules, sets):
    per_atom = offsets.Offsets().left_per_atom(qm9_molecules)
    size = sets["size"].loc[19]
    of_size = qm9_molecules.n_atoms == 19
    assert size["molecules"] == of_size.sum()
    assert size["mean"] == pytest.approx(per_atom[of_size].mean())
    assert size["mean_nn"] == 19**2
    fluorine = qm9_molecules.element_counts((9,))[:, 0] > 0
    assert sets["element"].loc["F", "mean_nn"] == pytest.approx(np.mean(qm9_molecules.n_atoms[fluorine] ** 2.0))
    assert sets["all"].loc["all", "molecules"] == len(qm9_molecules)
    with pytest.raises(ValueError, match="no sets of kind 'colour'"):
        decomposition.sets_of(qm9_molecules, "colour")


def test_a_selection_moves_the_training_mean(qm9_molecules):
    whole = decomposition.training_mean(qm9_molecules)
    assert whole == pytest.approx(offsets.Offsets().left_per_atom(qm9_molecules).mean(), abs=2e-3)
    large = decomposition.training_mean(qm9_molecules, Selection(smallest=18))
    assert large - whole > 0.05
    assert decomposition.training_mean(qm9_molecules, split_seed=1) != whole


def test_a_set_that_is_the_training_set_has_no_offset(sets):
    mean = sets["size"].loc[20, "mean"]
    curve = decomposition.offset_of(sets["size"], mean)
    assert curve[20] == 0
    assert curve.drop(20).min() > 0


def test_curves_cross_where_a_sets_mean_is_half_way_between_the_training_means():
    sizes = pd.DataFrame({"mean": [-4.4, -4.2, -4.0], "mean_nn": [100.0, 121.0, 144.0]}, index=[10, 11, 12])
    one, other = decomposition.offset_of(sizes, -4.35), decomposition.offset_of(sizes, -4.05)
    assert decomposition.crossings(one, other) == pytest.approx([11])  # exactly half-way
    one = decomposition.offset_of(sizes, -4.45)  # half-way is −4.25: between 10 and 11
    (crossing,) = decomposition.crossings(one, other)
    assert 10 < crossing < 11


def test_crossings_are_found_between_sizes_that_both_curves_have():
    one = pd.Series({10: 1.0, 11: 4.0, 13: 1.0, 14: 0.0})
    other = pd.Series({10: 2.0, 11: 2.0, 12: 9.0, 13: 2.0, 14: 1.0})
    assert decomposition.crossings(one, other) == pytest.approx([10.5, 12.0])
    assert decomposition.crossings(one, one + 1) == []
