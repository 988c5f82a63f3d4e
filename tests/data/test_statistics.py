import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.formula import Formula
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv
from scipy.stats import spearmanr

from analysis.data import splits, statistics, thesis
from analysis.data.molecules import Molecules

# Counts over the whole of QM9 (design.md, section 2), not taken from this code.
QM9_SIZES = {
    10: 483, 11: 1053, 12: 2189, 13: 4027, 14: 6758, 15: 10216, 16: 13824, 17: 16969, 18: 17442, 19: 18146,
    20: 12403, 21: 13166, 22: 4428, 23: 6362, 24: 712, 25: 1923, 26: 59, 27: 356, 28: 0, 29: 35,
}  # fmt: skip
QM9_SHARES = {"H": 0.9997, "C": 0.99998, "N": 0.6106, "O": 0.8509, "F": 0.0147}

FORMULAS = ["CH4", "H2O", "NH3", "CO2", "C2H6", "CHF3", "HCN", "C9H20", "C2H4O2", "F2"]


def build(*formulas: str) -> Molecules:
    """Molecules of these formulas, their atoms in a row 1 Å apart."""
    molecules = [Atoms(formula) for formula in formulas]
    numbers = np.concatenate([molecule.numbers for molecule in molecules])
    positions = np.zeros((len(numbers), 3))
    positions[:, 0] = np.arange(len(numbers))
    return Molecules(
        index=np.arange(1, len(formulas) + 1),
        n_atoms=np.array([len(molecule) for molecule in molecules]),
        numbers=numbers,
        positions=positions,
        energy=np.zeros(len(formulas)),
        smiles=np.full(len(formulas), ""),
    )


@pytest.fixture(scope="module")
def stoichiometry() -> pd.DataFrame:
    """QM9's own formula column ([H, C, N, O, F] per molecule), which the loader does not read."""
    folder = Path(importlib.util.find_spec("qm9pack").origin).parent / "data"
    wanted = csv.ConvertOptions(include_columns=["Stoichiometry"])
    parts = [csv.read_csv(folder / f"qm9_part{part}.csv", convert_options=wanted).to_pandas() for part in (1, 2, 3)]
    text = pd.concat(parts, ignore_index=True)["Stoichiometry"].str.strip("[]").str.split(",", expand=True)
    return text.astype(int).set_axis(list("HCNOF"), axis=1)


def test_element_shares_of_qm9(qm9_molecules):
    table = statistics.element_share(qm9_molecules)
    assert list(table.index) == ["H", "C", "N", "O", "F"]
    assert thesis.ELEMENT_SHARES == {"H": 1, "C": 1, "N": 0.62, "O": 0.85, "F": 0.02}  # as printed
    for element, share in QM9_SHARES.items():
        decimals = len(str(share)) - 2
        assert round(table.loc[element, "share"], decimals) == share


def test_elements_agree_with_qm9s_own_formulas(qm9_molecules, stoichiometry):
    table = statistics.element_share(qm9_molecules)
    assert table["molecules"].to_dict() == (stoichiometry > 0).sum().to_dict()


def test_sizes_of_qm9(qm9_molecules):
    table = statistics.size_counts(qm9_molecules)
    assert list(table.index) == list(range(3, 30))
    assert table["molecules"].loc[10:].to_dict() == QM9_SIZES
    assert table["molecules"].loc[:9].sum() == 130_831 - sum(QM9_SIZES.values())
    assert table["share"].sum() == pytest.approx(1)


def test_the_sizes_above_one_per_cent_are_not_those_of_the_report(qm9_molecules):
    table = statistics.common_sizes(qm9_molecules)
    assert list(table.index[table["common"]]) == [*range(12, 24), 25]
    assert list(table.index[table["in_report"]]) == list(range(10, 26))
    assert list(table.index[table["in_report"] & ~table["common"]]) == [10, 11, 24]


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.13])
def test_common_sizes_are_the_sets_that_the_study_takes(qm9_molecules, share):
    table = statistics.common_sizes(qm9_molecules, share)
    sets = splits.by_size(qm9_molecules).items()
    assert list(table.index[table["common"]]) == [size for size, of in sets if len(of) > share * len(qm9_molecules)]


def test_a_size_of_just_the_share_is_not_common():
    molecules = build("CO2", "CH4", "CH4", "H2O2")
    for share, common in ((0.25, [5]), (0.24, [3, 4, 5])):
        table = statistics.common_sizes(molecules, share)
        assert list(table.index[table["common"]]) == common


def test_the_reports_sizes_stand_in_the_table_even_where_no_molecule_has_them():
    table = statistics.common_sizes(build("CH4", "H2O"), 0.4)
    assert list(table.index) == list(range(3, 26))
    assert table["molecules"].sum() == 2
    assert list(table.index[table["common"]]) == [3, 5]


@pytest.mark.parametrize("share", [0, 1, -0.01, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="share = "):
        statistics.common_sizes(build("CH4"), share)


def test_fluorine_departs_from_the_trend_as_no_other_element(qm9_molecules, stoichiometry):
    shift = statistics.size_shift(qm9_molecules)
    sizes = stoichiometry.sum(axis=1)
    for element in "HCNOF":
        holds = stoichiometry[element] > 0
        assert shift.loc[element, "mean_with"] == pytest.approx(sizes[holds].mean())
        assert shift.loc[element, "mean_without"] == pytest.approx(sizes[~holds].mean())
    assert shift["total_variation"].idxmax() == "F"
    assert shift["total_variation"].drop("F").max() < 0.5 * shift.loc["F", "total_variation"]


def test_rows_of_element_by_size_sum_to_one_and_keep_the_means(qm9_molecules):
    table = statistics.element_by_size(qm9_molecules)
    assert table.sum(axis=1).to_numpy() == pytest.approx(np.ones(5))
    means = table.to_numpy() @ table.columns.to_numpy()
    assert means == pytest.approx(statistics.size_shift(qm9_molecules)["mean_with"].to_numpy())


def test_a_hand_made_census():
    molecules = build("CH4", "H2O", "CO2", "HF")
    assert statistics.element_share(molecules)["molecules"].to_dict() == {"H": 3, "C": 2, "N": 0, "O": 2, "F": 1}
    by_size = statistics.element_by_size(molecules)
    assert list(by_size.columns) == [2, 3, 4, 5]
    assert by_size.loc["O"].tolist() == [0, 1, 0, 0]
    assert by_size.loc["C"].tolist() == [0, 0.5, 0, 0.5]
    assert by_size.loc["N"].isna().all()
    shift = statistics.size_shift(molecules)
    assert shift.loc["O", "total_variation"] == pytest.approx(0.5)  # 3 atoms: all of the row, half of the database
    assert shift.loc["F"].tolist() == pytest.approx([2, 11 / 3, 0.75])
    assert shift.loc["N", ["mean_with", "total_variation"]].isna().all()
    heavy = statistics.heavy_by_size(molecules)
    assert heavy.loc[1].tolist() == [1, 1, 0, 1]
    assert heavy.loc[3].tolist() == [0, 1, 0, 0]
    composition = statistics.composition_by_size(molecules)
    assert composition.loc[3, "heavy_atoms_mean"] == 2
    assert composition.loc[3, "hydrogen_share_mean"] == pytest.approx(1 / 3)
    assert composition.loc[4, "molecules"] == 0
    assert composition.loc[4].drop("molecules").isna().all()


def test_heavy_atoms_of_qm9(qm9_molecules, stoichiometry):
    table = statistics.heavy_by_size(qm9_molecules)
    heavy = stoichiometry.drop(columns="H").sum(axis=1)
    pairs = Counter(zip(heavy, stoichiometry.sum(axis=1), strict=True))
    assert table.to_numpy().sum() == len(qm9_molecules)
    assert {pair: table.loc[pair] for pair in pairs} == pairs
    assert table.index[-1] == 9


def test_size_is_confounded_with_hydrogen_and_hardly_with_heavy_atoms(qm9_molecules, stoichiometry):
    correlations = statistics.size_correlations(qm9_molecules)
    sizes = stoichiometry.sum(axis=1)
    expected = {
        "heavy_atoms": sizes - stoichiometry["H"],
        "hydrogens": stoichiometry["H"],
        "hydrogen_share": stoichiometry["H"] / sizes,
    }
    for name, values in expected.items():
        assert correlations[name] == pytest.approx(spearmanr(sizes, values).statistic)


def test_composition_of_qm9(qm9_molecules, stoichiometry):
    table = statistics.composition_by_size(qm9_molecules)
    for size in (5, 10, 18, 24):
        formulas = stoichiometry[stoichiometry.sum(axis=1) == size]
        for quantity, values in (("heavy_atoms", size - formulas["H"]), ("hydrogen_share", formulas["H"] / size)):
            expected = [values.mean(), *np.percentile(values, [5, 95])]
            columns = [f"{quantity}_{statistic}" for statistic in ("mean", "low", "high")]
            assert table.loc[size, columns].tolist() == pytest.approx(expected)
    # The largest molecules of QM9 are the nonanes, C9H20.
    assert table.loc[29, "heavy_atoms_mean"] == 9
    assert table.loc[29, "hydrogen_share_mean"] == pytest.approx(20 / 29)


def test_what_the_chapter_says_of_odd_and_even_sizes(qm9_molecules, stoichiometry):
    counts = statistics.size_counts(qm9_molecules)["molecules"]
    peak = counts.idxmax()
    assert peak % 2 == 1
    for odd in range(peak + 2, 30, 2):
        assert counts[odd] > counts[odd - 1]
    plain = stoichiometry[(stoichiometry["N"] == 0) & (stoichiometry["F"] == 0)]
    assert (plain["H"] % 2 == 0).all()


def test_the_normal_law_has_the_databases_mean_spread_and_total(qm9_molecules):
    expected = statistics.normal_counts(qm9_molecules)
    sizes = expected.index.to_numpy()
    assert expected.sum() == pytest.approx(len(qm9_molecules), rel=1e-3)
    mean = np.average(sizes, weights=expected)
    assert mean == pytest.approx(qm9_molecules.n_atoms.mean(), abs=0.01)
    # Sheppard's correction: counting in whole atoms adds 1/12 to the variance.
    variance = np.average((sizes - mean) ** 2, weights=expected)
    assert variance == pytest.approx(qm9_molecules.n_atoms.var() + 1 / 12, rel=0.01)


def test_no_normal_law_for_one_size():
    with pytest.raises(ValueError, match="every molecule has 3 atoms"):
        statistics.normal_counts(build("H2O", "CO2"))


@pytest.mark.parametrize(
    "table",
    [
        statistics.element_share,
        statistics.size_counts,
        statistics.normal_counts,
        statistics.common_sizes,
        statistics.element_by_size,
        statistics.size_shift,
        statistics.heavy_by_size,
        statistics.composition_by_size,
        statistics.size_correlations,
    ],
)
def test_no_molecules_no_census(table):
    nothing = build("CH4").select(np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match="there are no molecules to count"):
        table(nothing)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(FORMULAS), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_molecules_does_not_matter(formulas, random):
    molecules = build(*formulas)
    shuffled = list(range(len(formulas)))
    random.shuffle(shuffled)
    other = molecules.select(np.array(shuffled))
    for table in (
        statistics.element_share,
        statistics.size_counts,
        statistics.element_by_size,
        statistics.heavy_by_size,
    ):
        pd.testing.assert_frame_equal(table(molecules), table(other))
    pd.testing.assert_frame_equal(statistics.size_shift(molecules), statistics.size_shift(other))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(FORMULAS), min_size=1, max_size=12))
def test_counts_against_ases_formulas(formulas):
    molecules = build(*formulas)
    counts = [Formula(formula).count() for formula in formulas]
    sizes = Counter(sum(count.values()) for count in counts)
    table = statistics.size_counts(molecules)["molecules"]
    assert table[table > 0].to_dict() == sizes
    shares = statistics.element_share(molecules)["molecules"]
    assert shares.to_dict() == {element: sum(element in count for count in counts) for element in "HCNOF"}
    variation = statistics.size_shift(molecules)["total_variation"].dropna()
    assert variation.between(0, 1).all()
    everywhere = shares.index[shares == len(molecules)]
    assert variation[everywhere].to_list() == pytest.approx([0] * len(everywhere))
