import numpy as np
import pandas as pd
import pytest

from analysis.data import offsets
from analysis.runs import protocols


@pytest.fixture(scope="module")
def made_up(few_molecules):
    """Errors of a made-up model, and what it was trained with."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(few_molecules))
    train, held_out = order[: len(order) // 2], order[len(order) // 2 :]
    found = {part: (of, rng.normal(0.1, 0.5, len(of))) for part, of in (("train", train), ("held_out", held_out))}
    return found, offsets.fit(few_molecules, train)


@pytest.fixture(scope="module")
def sums(few_molecules, made_up) -> pd.DataFrame:
    return protocols.group_sums(few_molecules, *made_up)


def test_held_out_is_the_mean_square_over_molecules_not_trained_on(few_molecules, made_up, sums):
    positions, e = made_up[0]["held_out"]
    for size, row in protocols.mse(sums, "size").iterrows():
        of_size = few_molecules.n_atoms[positions] == size
        assert row["molecules"] == of_size.sum()
        if of_size.any():
            assert row["held_out"] == pytest.approx(np.mean(e[of_size] ** 2), rel=1e-12)
        else:
            assert np.isnan(row["held_out"])


def test_as_reported_is_each_sets_own_mean_removed_from_the_target(few_molecules, made_up, sums):
    """Spelt out for every molecule: predict with the training mean, compare with targets less the set's own mean."""
    found, fitted = made_up
    training_mean = fitted.mean
    residual = few_molecules.energy - offsets.reference_energies(few_molecules)
    e = np.empty(len(few_molecules))
    for positions, of_part in found.values():
        e[positions] = of_part
    prediction = residual + e - training_mean * few_molecules.n_atoms
    reported = protocols.mse(sums, "element")["as_reported"]
    for symbol, number in {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}.items():
        holds = few_molecules.element_counts((number,))[:, 0] > 0
        own_mean = np.mean((residual / few_molecules.n_atoms)[holds])
        target = residual - own_mean * few_molecules.n_atoms
        assert reported[symbol] == pytest.approx(np.mean((prediction - target)[holds] ** 2), rel=1e-10)


def test_the_whole_database_is_a_group_too(few_molecules, made_up, sums):
    row = protocols.mse(sums, "all").loc["all"]
    assert row["held_out"] == pytest.approx(np.mean(made_up[0]["held_out"][1] ** 2))
    assert sums[sums["kind"] == "all"]["molecules"].sum() == len(few_molecules)


def test_without_a_shift_the_protocols_differ_by_the_training_molecules_alone(few_molecules, made_up):
    found, _ = made_up
    own = offsets.fit(few_molecules, np.arange(len(few_molecules)))
    sums = protocols.group_sums(few_molecules, found, own)
    everything = np.concatenate([e for _, e in found.values()])
    assert protocols.mse(sums, "all").loc["all", "as_reported"] == pytest.approx(np.mean(everything**2))


def test_a_model_trained_without_a_mean_has_none_to_mix_up(few_molecules, made_up):
    found, _ = made_up
    fitted = offsets.fit(few_molecules, found["train"][0], "least-squares")
    assert (protocols.group_sums(few_molecules, found, fitted)["shift"] == 0).all()


def test_sizes_are_whole_numbers_in_order(sums):
    index = protocols.mse(sums, "size").index
    assert index.is_monotonic_increasing
    assert index.dtype.kind == "i"


def test_an_unknown_kind_is_refused(sums):
    with pytest.raises(ValueError, match=r"no groups of kind 'colour'; there are \['all', 'element', 'size'\]"):
        protocols.mse(sums, "colour")


def test_several_sizes_as_one_set_are_all_of_them_or_one(sums):
    everything, by_size = protocols.mse(sums, "all").loc["all"], protocols.mse(sums, "size")
    whole = protocols.mse_of_sizes(sums, range(1, 30))
    for column in ("molecules", "held_out", "as_reported"):
        assert whole[column] == pytest.approx(everything[column], rel=1e-9)
    size = int(by_size["molecules"].idxmax())
    one = protocols.mse_of_sizes(sums, [size, 1000])
    for column in ("molecules", "held_out", "as_reported"):
        assert one[column] == pytest.approx(by_size.loc[size, column], rel=1e-9)


def test_several_sizes_share_one_own_mean(few_molecules, made_up, sums):
    found, fitted = made_up
    training_mean = fitted.mean
    e = np.empty(len(few_molecules))
    for positions, of_part in found.values():
        e[positions] = of_part
    large = few_molecules.n_atoms > np.median(few_molecules.n_atoms)
    n = few_molecules.n_atoms[large]
    residual = (few_molecules.energy - offsets.reference_energies(few_molecules))[large] / n
    shifted = e[large] + n * (residual.mean() - training_mean)
    sizes = set(n.tolist())
    assert protocols.mse_of_sizes(sums, sizes)["as_reported"] == pytest.approx(np.mean(shifted**2), rel=1e-9)


def test_sizes_that_no_molecule_has_give_no_number(sums):
    none = protocols.mse_of_sizes(sums, [1000])
    assert none["molecules"] == 0
    assert np.isnan(none["held_out"])
    assert np.isnan(none["as_reported"])
