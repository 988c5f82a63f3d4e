"""Intervals hold as often as they say, at each kind of geometry."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase.data import covalent_radii
from rdkit import Chem
from scipy import stats
from scipy.spatial.distance import pdist

from analysis.data.molecules import to_ase
from analysis.evaluation import prediction_intervals as intervals
from analysis.evaluation.prediction_intervals import (
    CALIBRATED,
    DFT,
    LEVEL,
    RELAXED,
    TAXA,
    UNKNOWN,
    IntervalError,
    Intervals,
    default_folder,
)
from harness import calibration


@pytest.fixture(scope="module")
def recorded() -> Intervals:
    return Intervals.load()


@pytest.fixture(scope="module")
def errors(qm9_molecules) -> pd.DataFrame:
    return intervals.load_errors(qm9_molecules)


def made_up(n: int, seed: int, *, shift: float = 0.0, taxon: str = "others") -> pd.DataFrame:
    """Errors whose size follows the spread, with the tails of Student's t."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(np.log(0.01), 0.8, n))
    error = shift + (spread + 0.005) * rng.standard_t(4, n)
    return pd.DataFrame({"error": error, "spread": spread, "geometry": "dft", "taxon": taxon, "warnings": ""})


@pytest.mark.parametrize("shift", [0.0, -0.2])
def test_an_interval_holds_as_often_as_it_says_whatever_the_errors(shift):
    """On average over calibrations, at least at the level, and hardly above: that is what split-conformal promises."""
    fresh = made_up(20_000, 0, shift=shift)
    held = []
    for seed in range(1, 21):
        scale = intervals.fitted(made_up(400, seed, shift=shift))
        given = intervals.told(fresh, {"dft": scale})
        held.append(intervals.inside(fresh[given], {"dft": scale}).mean())
    # 200 molecules give the quantiles: the share has a deviation of about 0.02 over calibrations.
    assert LEVEL - 0.015 < np.mean(held) < LEVEL + 0.025


def test_errors_to_one_side_give_an_interval_to_one_side():
    scale = intervals.fitted(made_up(2000, 0, shift=-0.5))
    low, high = scale.around("others", -100.0, 0.01)
    assert -100.0 < low < -99.5 < high


def test_a_larger_spread_gives_a_wider_interval():
    scale = intervals.fitted(made_up(2000, 0))
    (low, high), (lower, higher) = scale.around("others", 0.0, 0.01), scale.around("others", 0.0, 0.1)
    assert lower < low < 0 < high < higher


def test_a_few_molecules_give_the_widest_interval_that_they_can():
    """Of 20 fitting molecules the extreme ones are the quantiles of 5 %."""
    few = made_up(40, 3)
    scale = intervals.fitted(few)
    few = few[few["spread"] <= scale.widest]
    ratio = few["error"] / (few["spread"] + scale.floor)
    ends = scale.quantiles["others"]
    assert ratio.min() <= ends.low < ends.high <= ratio.max()


# ---- taxa


@pytest.mark.parametrize("worse", ["fluorine", "rings"])
def test_intervals_hold_for_each_taxon_and_not_just_for_all(worse):
    """Those with one pair of quantiles do not, for the fifth of the molecules whose errors lie to one side."""

    def both(seed: int) -> pd.DataFrame:
        return pd.concat([made_up(4000, seed), made_up(1000, seed + 1, shift=0.1, taxon=worse)], ignore_index=True)

    fresh = both(2)
    held = {}
    for taxa in ({}, {worse: "others"}):
        scales, seen = {"dft": intervals.fitted(both(0).replace({"taxon": taxa}))}, fresh.replace({"taxon": taxa})
        holds = intervals.inside(seen, scales)[intervals.told(seen, scales)]
        held[len(taxa)] = holds.groupby(fresh["taxon"]).mean()
    assert held[0].to_numpy() == pytest.approx(LEVEL, abs=0.03)
    assert held[1][worse] < LEVEL - 0.08


def test_a_small_taxon_is_calibrated_on_all_of_it_and_one_too_small_has_no_interval(recorded):
    few = made_up(intervals.FEWEST, 1, taxon="rings").assign(spread=0.01)
    fewer = made_up(intervals.FEWEST - 1, 2, taxon="fluorine").assign(spread=0.01)
    errors = pd.concat([made_up(400, 0), few, fewer], ignore_index=True)
    scale = intervals.fitted(errors)
    assert scale.quantiles.keys() == {"others", "rings"}
    assert scale.quantiles["rings"].molecules == intervals.FEWEST
    ratio = few["error"] / (0.01 + scale.floor)
    assert (scale.quantiles["rings"].low, scale.quantiles["rings"].high) == pytest.approx((ratio.min(), ratio.max()))
    given = intervals.told(errors, {"dft": scale})
    assert given[errors["taxon"] == "rings"].all()
    assert not given[errors["taxon"] == "fluorine"].any()
    assert not intervals.inside(errors, {"dft": scale})[errors["taxon"] == "fluorine"].any()
    without = recorded.model_copy(update={"scales": {**recorded.scales, "dft": scale}})
    assert without.of("xtb", "fluorine", -1000.0, 0.01) is not None
    assert without.of("dft", "rings", -1000.0, 0.01) is not None
    assert without.of("dft", "fluorine", -1000.0, 0.01) is None
    lacking = recorded.model_copy(update={"scales": {**recorded.scales, UNKNOWN: scale}})
    assert lacking.of("xtb", "fluorine", -1000.0, 0.01) is not None
    assert lacking.of(UNKNOWN, "fluorine", -1000.0, 0.01) is None  # it may be of that kind


def test_taxa_are_told_from_elements_and_positions(few_molecules):
    found = intervals.taxa(replace(few_molecules, smiles=np.full(len(few_molecules), "")))
    for taxon, atoms, smiles in zip(found, to_ase(few_molecules), few_molecules.smiles.tolist(), strict=True):
        radii = covalent_radii[atoms.numbers]
        bonds = (pdist(atoms.positions) < 1.3 * pdist(radii[:, None], lambda one, other: (one + other)[0])).sum()
        rings = bonds - len(atoms) + 1
        read = Chem.MolFromSmiles(smiles)
        assert rings >= read.GetNumBonds() - read.GetNumAtoms() + 1  # none is missed
        assert taxon == ("fluorine" if "F" in smiles else "rings" if rings >= 3 else "others")
    assert set(found) == {"others", "rings", "fluorine"}


def test_the_validation_part_alone_says_which_groups_need_quantiles_of_their_own(errors):
    """Fitted on half of it, tried on the other: what the module says of intervals with one pair of quantiles."""
    known = errors[(errors["part"] == "validation") & (errors["warnings"] == "")]
    held = []
    for kind, of_kind in known.groupby("geometry"):
        for seed in range(10):
            half = np.random.default_rng(seed).permutation(len(of_kind))
            alike = of_kind.assign(taxon="all")
            scales = {kind: intervals.fitted(alike.iloc[half[::2]])}
            tried = alike.iloc[half[1::2]]
            holds = intervals.inside(tried, scales)[intervals.told(tried, scales)]
            held.append(holds.groupby(of_kind["taxon"]).mean().rename(kind))
    found = pd.concat(held, axis=1).T.groupby(level=0).mean()
    assert found.loc[["dft", "xtb", "mmff"], "fluorine"].tolist() == pytest.approx([0.94, 0.91, 1.0], abs=0.03)
    assert found.loc[["dft", "xtb", "mmff"], "rings"].tolist() == pytest.approx([0.85, 0.89, 0.84], abs=0.02)
    assert (found["others"] > 0.9).all()


# ---- the record


def test_the_record_has_the_intervals_that_follow_from_its_errors(recorded, errors):
    assert recorded.level == LEVEL
    assert recorded.scales.keys() == set(CALIBRATED)
    for kind, scale in intervals.calibrated(errors).items():
        said, of_each = scale.model_dump(), recorded.scales[kind].model_dump()
        assert said.pop("quantiles") == {name: pytest.approx(ends) for name, ends in of_each.pop("quantiles").items()}
        assert said == pytest.approx(of_each)
        assert scale.quantiles.keys() == set(TAXA)


def test_a_record_of_an_older_version_is_fitted_anew_from_its_errors(tmp_path):
    folder = default_folder()
    shutil.copy(folder / "errors.parquet", tmp_path)
    old = json.loads((folder / "intervals.json").read_text(encoding="utf-8")) | {"schema_version": 3, "scales": {}}
    (tmp_path / "intervals.json").write_text(json.dumps(old), encoding="utf-8")
    calibration.main(tmp_path, refit=True)
    assert (tmp_path / "intervals.json").read_bytes() == (folder / "intervals.json").read_bytes()
    (tmp_path / "intervals.json").unlink()
    with pytest.raises(IntervalError, match=r"intervals\.json is missing"):
        calibration.main(tmp_path, refit=True)


@pytest.mark.parametrize("kind", CALIBRATED)
def test_on_molecules_that_neither_models_nor_intervals_have_seen_they_hold(recorded, errors, kind):
    """Between 88 and 92 of 100; the binomial deviation of the draw is below 0.7 of 100."""
    test = errors[(errors["part"] == "test") & (errors["geometry"] == kind) & intervals.told(errors, recorded.scales)]
    assert len(test) > 1800
    assert 0.88 <= intervals.inside(test, recorded.scales).mean() <= 0.92


def test_parts_and_molecules_are_what_they_are_called(errors, qm9_molecules):
    from analysis.data import splits

    parts = splits.split(qm9_molecules, 0)
    for part, positions in (("validation", parts.validation), ("test", parts.test)):
        of_part = errors[errors["part"] == part]
        assert set(of_part["index"]) <= set(qm9_molecules.index[positions])
        assert not of_part.duplicated(["index", "geometry"]).any()
        assert (of_part["geometry"] == "dft").sum() == len(positions)


def test_an_unknown_geometry_is_allowed_what_any_kind_is_that_the_same_models_predict(recorded):
    for taxon in TAXA:
        ends = [scale.around(taxon, -1000.0, 0.01) for kind, scale in recorded.scales.items() if kind != DFT]
        hull = min(low for low, _ in ends), max(high for _, high in ends)
        assert recorded.of(UNKNOWN, taxon, -1000.0, 0.01) == hull
        (low, high), (lowest, highest) = (recorded.of(kind, taxon, -1000.0, 0.01) for kind in (DFT, "mmff"))
        assert high - low < (highest - lowest) / 3  # what someone who has but a SMILES pays


def test_a_kind_that_was_not_calibrated_has_no_interval_however_little_the_models_differ(recorded):
    without = recorded.model_copy(
        update={"scales": {kind: scale for kind, scale in recorded.scales.items() if kind != RELAXED}}
    )
    assert recorded.of(RELAXED, "others", -1000.0, 1e-6) is not None
    assert without.of(RELAXED, "others", -1000.0, 1e-6) is None
    assert without.widest(RELAXED) == np.inf


@pytest.mark.parametrize("kind", CALIBRATED)
def test_where_the_models_differ_too_much_there_is_no_interval(recorded, errors, kind):
    widest = recorded.widest(kind)
    assert recorded.of(kind, "others", -1000.0, widest) is not None
    assert recorded.of(kind, "others", -1000.0, np.nextafter(widest, 1)) is None
    if kind == UNKNOWN:
        assert widest == max(scale.widest for kind, scale in recorded.scales.items() if kind != DFT)
        return
    test = errors[(errors["part"] == "test") & (errors["geometry"] == kind) & (errors["warnings"] == "")]
    given = intervals.told(test, recorded.scales)
    assert (test["spread"] <= widest).equals(given)
    assert 0.99 < given.mean() < 0.998
    if kind == "dft":  # where it was chosen for: an interval would hold for half of them
        assert intervals.inside(test[~given], recorded.scales).mean() < 0.7


def test_a_worse_spread_is_a_worse_error(errors):
    """What the units of an interval rest on."""
    for _, of_kind in errors.groupby("geometry"):
        assert stats.spearmanr(of_kind["spread"], of_kind["error"].abs()).statistic > 0.1


def test_a_missing_or_damaged_record_is_said_in_one_line(tmp_path, few_molecules):
    with pytest.raises(IntervalError, match=r"intervals\.json is missing: run `python -m harness\.calibration`"):
        Intervals.load(tmp_path)
    (tmp_path / "intervals.json").write_text("{}")
    with pytest.raises(IntervalError, match="damaged"):
        Intervals.load(tmp_path)
    with pytest.raises(IntervalError, match=r"errors\.parquet can't be read"):
        intervals.load_errors(few_molecules, tmp_path)
