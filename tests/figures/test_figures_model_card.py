"""What the model card says of intervals is what they do on the test part."""

import re

import numpy as np
import pytest
from rdkit import Chem

from analysis import study
from analysis.data import geometries
from analysis.evaluation import prediction_intervals as intervals
from analysis.figures import model_card, style
from analysis.figures.model_card import SHOWN
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def errors(qm9_molecules):
    return intervals.load_errors(qm9_molecules)


@pytest.fixture(scope="module")
def found():
    return intervals.Intervals.load()


@pytest.fixture(scope="module")
def by_group(errors, found, qm9_molecules):
    return {lang: model_card.by_group(errors, found, qm9_molecules, lang=lang) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def facts(errors, found, qm9_molecules):
    return {lang: model_card.facts(errors, found, qm9_molecules, lang=lang) for lang in LANGUAGES}


@EACH_LANGUAGE
def test_the_table_has_what_the_intervals_do_on_the_test_part(errors, found, lang):
    table = model_card.table(errors, found, lang=lang)
    assert table.index.tolist() == [say(model_card.KIND_NAMES[kind], lang) for kind in SHOWN]
    for kind, (_, row) in zip(SHOWN, table.iterrows(), strict=True):
        test = errors[(errors["part"] == "test") & (errors["geometry"] == kind)]
        assert row[say("Molecules", lang)] == style.number(len(test), lang)
        assert row[say("MAE (meV)", lang)] == style.number(1e3 * test["error"].abs().mean(), lang, 1)
        known = test[intervals.told(test, found.scales)]
        ends = [found.of(kind, *one) for one in known.assign(energy=0.0)[["taxon", "energy", "spread"]].to_numpy()]
        holds = [low <= -error <= high for (low, high), error in zip(ends, known["error"].tolist(), strict=True)]
        assert row[say("It holds for", lang)] == style.percent(np.mean(holds), lang, 1)
        half = np.median([(high - low) / 2 for low, high in ends])
        assert row[say("Half of the interval, median (meV)", lang)] == style.number(1e3 * half, lang)


def test_groups_are_what_they_are_called(few_molecules):
    groups = model_card.groups(few_molecules)
    assert groups["all"].all()
    read = [Chem.MolFromSmiles(smiles) for smiles in few_molecules.smiles.tolist()]
    heavy = np.array([one.GetNumHeavyAtoms() for one in read])
    np.testing.assert_array_equal(groups["9"], heavy == 9)
    np.testing.assert_array_equal(groups["small"], heavy <= 6)
    bonds = [
        {frozenset((b.GetBeginAtom().GetSymbol(), b.GetEndAtom().GetSymbol())) for b in one.GetBonds()} for one in read
    ]
    np.testing.assert_array_equal(groups["nn"], [frozenset("N") in kinds for kinds in bonds])
    np.testing.assert_array_equal(groups["oo"], [frozenset("O") in kinds for kinds in bonds])
    np.testing.assert_array_equal(groups["fluorine"], ["F" in smiles for smiles in few_molecules.smiles.tolist()])
    np.testing.assert_array_equal(groups["rings"], [one.GetNumBonds() - one.GetNumAtoms() + 1 >= 3 for one in read])
    assert 0 < groups["rings"].sum() < len(few_molecules)


@EACH_LANGUAGE
def test_a_share_of_few_molecules_is_left_out(by_group, errors, found, lang):
    table = by_group[lang]
    whole = table.iloc[0]
    known = model_card.tested(errors, found)
    for kind in SHOWN:
        of_kind = known[known["geometry"] == kind]
        number = style.number(len(of_kind), lang)
        assert whole[say(model_card.KIND_NAMES[kind], lang)].endswith(f"({number})")
    cells = table.to_numpy().ravel()
    numbers = [int(re.sub(r"\D", "", cell.partition("(")[2])) for cell in cells if cell != "–"]
    assert min(numbers) >= model_card.LEAST
    assert "–" in cells


def test_the_facts_are_those_of_the_tables(by_group, facts, errors, found):
    assert facts["en"].keys() == facts["ca"].keys()
    assert facts["en"]["level"] == "90%"
    table = model_card.table(errors, found, lang="en")
    for kind, held in zip(SHOWN, table["It holds for"], strict=True):
        assert facts["en"][f"holds_{kind}"] == held
        column = by_group["en"][say(model_card.KIND_NAMES[kind], "en")]
        shares = [int(cell.partition("%")[0]) for cell in column if cell != "–"]
        assert facts["en"][f"least_holds_{kind}"] == f"{min(shares)}%"


def test_intervals_hold_for_each_group_and_with_one_pair_of_quantiles_they_would_not(by_group, facts):
    """Of test molecules, which no calibration saw. A group that falls short of what is demanded is named, each time."""
    table = by_group["en"].drop(index="with N bonded to N").to_numpy().ravel()
    assert min(int(cell.partition("%")[0]) for cell in table if cell != "–") >= 88
    assert facts["en"]["demanded"] == "85%"
    assert facts["en"]["short"] == "with N bonded to N, GFN2-xTB (83.5%)"
    assert facts["ca"]["short"] == "amb N enllaçat a N, GFN2-xTB (83,5\xa0%)"
    before = {key: int(value.rstrip("%")) for key, value in facts["en"].items() if key.startswith("alike_")}
    assert before["alike_fluorine_xtb"] < 70
    assert max(before[f"alike_rings_{kind}"] for kind in ("mmff", "relaxed")) < 85


@EACH_LANGUAGE
def test_the_figure_has_a_plot_per_kind_of_geometry(errors, found, lang):
    figure = model_card.errors_and_intervals(errors, found, lang=lang)
    assert [axes.get_title() for axes in figure.axes] == [say(model_card.KIND_NAMES[kind], lang) for kind in SHOWN]
    for axes, kind in zip(figure.axes, SHOWN, strict=True):
        points, diagonal = axes.get_lines()
        data = figure.data[figure.data["geometry"] == kind]
        assert len(points.get_xdata()) == len(data) == model_card.DRAWN
        assert set(data["qm9_index"]) == set(figure.data["qm9_index"])
        models = found.about.models if kind == "dft" else found.about.approximate
        assert data["run"].unique().tolist() == [" ".join(models)]
        below = data["off_the_middle_meV"] <= data["half_interval_meV"]
        known = model_card.tested(errors, found).query("geometry == @kind").set_index("index")["inside"]
        assert (below.to_numpy() == known[data["qm9_index"]].to_numpy()).mean() > 0.995  # but for rounding
        np.testing.assert_allclose(points.get_ydata(), data["off_the_middle_meV"].clip(lower=0.1))
        np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
        assert axes.get_xscale() == axes.get_yscale() == "log"


@EACH_LANGUAGE
def test_what_was_taught_is_set_beside_what_was_asked_for(errors, qm9_molecules, lang):
    table = model_card.taught(errors, lang=lang)
    assert table.index.tolist() == [say(model_card.KIND_NAMES[kind], lang) for kind in (*SHOWN[1:], intervals.UNKNOWN)]
    test = errors[errors["part"] == "test"].set_index("geometry")
    facts = model_card.taught_facts(
        study.recorded(study.GeometriesParameters(), qm9_molecules)["mixed"], errors, lang=lang
    )
    for kind, (_, row) in zip((*SHOWN[1:], intervals.UNKNOWN), table.iterrows(), strict=True):
        before, now = (1e3 * test.loc[kind, column].abs() for column in ("untaught", "error"))
        assert row[say("MAE, not taught (meV)", lang)] == style.number(before.mean(), lang, 1)
        assert row[say("MAE (meV)", lang)] == style.number(now.mean(), lang, 1)
        assert row[say("Median (meV)", lang)] == style.number(now.median(), lang, 1)
        assert (facts[f"before_{kind}"], facts[f"mae_{kind}"]) == tuple(
            style.number(value, lang) for value in (before.mean(), now.mean())
        )
        mean, median = model_card.ASKED.get(kind, (None, None))
        for key, value, asked in (("met", now.mean(), mean), ("met_median", now.median(), median)):
            met = asked is None or value <= asked
            assert facts[f"{key}_{kind}"] == say("it is met" if met else "it is not met", lang)


def test_what_teaching_does_to_each_run_is_that_of_its_record(qm9_molecules):
    records = study.recorded(study.GeometriesParameters(), qm9_molecules)
    table = model_card.tuned(records, lang="en")
    assert table.index.tolist() == ["0", "1", "2", "3", "4"]
    first = records["mixed"][0].errors.query("test")
    conformers = first["error"].abs()[geometries.sources(first["index"].to_numpy()) == "mmff94"]
    assert 0.85 < len(conformers) / len(first) < 0.95
    assert table.iloc[0][say(model_card.KIND_NAMES["mmff"], "en")] == style.number(1e3 * conformers.mean(), "en", 1)
