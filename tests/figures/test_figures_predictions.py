import re

import numpy as np
import pytest
from scipy import stats

from analysis import study
from analysis.data import thesis
from analysis.evaluation import decomposition, verdicts
from analysis.evaluation.verdicts import claims
from analysis.figures import final_comparison, predictions, replication, style
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols
from analysis.runs.arms import Arms
from analysis.runs.records import Record
from analysis.runs.selection import training_part

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
SIZES = list(thesis.COMMON_SIZES)


@pytest.fixture(scope="module")
def records(qm9_molecules) -> dict[str, Arms[Record]]:
    """What the book shows; a test that had to train them would be wrong."""
    return {name: study.recorded(study.EXPERIMENTS[name](), qm9_molecules) for name in replication.EXPERIMENTS}


@pytest.fixture(scope="module")
def models(records) -> dict[str, list[Record]]:
    return final_comparison.by_model(records["final-comparison"])


@pytest.fixture(scope="module")
def facts(records, qm9_molecules) -> dict[str, str]:
    return predictions.facts(records, qm9_molecules, lang="en")


@pytest.fixture(scope="module")
def said(records, qm9_molecules) -> dict[str, list[predictions.Statement]]:
    return {lang: predictions.statements(records, qm9_molecules, lang=lang) for lang in LANGUAGES}


@pytest.fixture(scope="module")
def statements(said) -> dict[str, predictions.Statement]:
    return {each.key: each for each in said["en"]}


def mean_over_seeds(of: list[Record], column: str) -> np.ndarray:
    return np.mean([protocols.mse(record.groups, "size").loc[SIZES, column] for record in of], axis=0)


def sizes_in(text: str) -> set[int]:
    """What `style.ranges` wrote."""
    parts = re.split(r", | and ", text)
    ends = [[int(number) for number in part.split("–")] for part in parts if part != "none"]
    return {size for first, *last in ends for size in range(first, (last or [first])[0] + 1)}


def test_every_curve_of_the_report_is_predicted_from_what_its_runs_train_on(records, qm9_molecules):
    """The selections written here are those of the recorded runs, and what is predicted is their offset term."""
    sets = decomposition.sets_of(qm9_molecules, "size")
    cases = predictions.cases(records, qm9_molecules, lang="en")
    assert set(predictions.SELECTIONS) < set(cases)
    for key, selection in predictions.SELECTIONS.items():
        case = cases[key]
        assert len(case.records) >= 3
        for record in case.records:
            assert record.config.data.selection == selection
            offset = decomposition.decompose(record.groups, "size")["offset"]
            np.testing.assert_allclose(
                decomposition.offset_of(sets, case.training_mean)[offset.index], offset, rtol=1e-7
            )
    assert [key for key, case in cases.items() if not case.records] == [f"in_order_{cap}" for cap in thesis.CAPS]


@EACH_LANGUAGE
def test_the_figure_of_the_predictions_has_a_plot_per_curve(records, models, qm9_molecules, lang):
    figure = predictions.predicted_curves(records, qm9_molecules, lang=lang)
    assert len(figure.axes) == 8
    default, elements, *rest = figure.axes
    assert elements.get_title() == say("Default, by element", lang)
    assert [text.get_text() for text in elements.get_xticklabels()] == ["C", "H", "O", "N", "F"]
    predicted = default.get_lines()[0]
    assert predicted.get_label() == say("predicted from the data alone", lang)
    sets = decomposition.sets_of(qm9_molecules, "size").loc[SIZES]
    np.testing.assert_allclose(
        predicted.get_ydata(), decomposition.offset_of(sets, models["default"][0].offsets().mean), rtol=1e-7
    )
    seen = next(bars for bars in default.containers if bars.get_label() == say("records, own mean", lang))
    np.testing.assert_allclose(
        seen.lines[0].get_ydata().astype(float), mean_over_seeds(models["default"], "as_reported")
    )
    dashed = [axes for axes in rest if any(line.get_linestyle() == "--" for line in axes.get_lines())]
    assert len(dashed) == len(thesis.CAPS)
    data = figure.data[figure.data["series"] == default.get_title()].dropna(subset="n_atoms").groupby("n_atoms")
    assert data["predicted_eV2"].nunique().max() == 1
    np.testing.assert_allclose(data["predicted_eV2"].first(), default.get_lines()[0].get_ydata())
    assert figure.data["predicted_in_order_eV2"].notna().sum() == 3 * 3 * len(predictions.SIZES)


@EACH_LANGUAGE
def test_the_table_has_a_row_per_statement(records, qm9_molecules, lang, said):
    table = predictions.predictions(records, qm9_molecules, lang=lang)
    assert len(table) == len(said[lang]) == 15
    assert table.columns[0] == say("Thesis", lang)
    assert not table.isna().any(axis=None)
    for row, statement in zip(table.itertuples(index=False), said[lang], strict=True):
        assert row[0] == statement.report
        assert row[1] == statement.cells["predicted"]
        assert row[-1] in {say(word, lang) for word in ("yes", "no", "they say nothing")} | {"–"}
        assert (row[-1] == "–") == (statement.report == "–")


def test_predictions_need_no_network(records, models, qm9_molecules, statements):
    """Each column of predictions again, from energies and numbers of atoms, the long way."""
    per_atom = (qm9_molecules.energy - reference_energies(qm9_molecules)) / qm9_molecules.n_atoms
    own = {size: per_atom[qm9_molecules.n_atoms == size].mean() for size in SIZES}
    count = [np.sum(qm9_molecules.n_atoms == size) for size in SIZES]

    def distance(of: list[Record]) -> np.ndarray:
        mean = per_atom[training_part(qm9_molecules, of[0].config.data)].mean()
        return np.array([abs(own[size] - mean) * size for size in SIZES])

    default, custom = distance(models["default"]), distance(models["custom"])
    rho = stats.spearmanr(count, default**2).statistic
    assert statements["fig3_correlation"].cells["predicted"] == f"{rho:.2f}".replace("-", "−")
    assert statements["fig3_best"].cells["predicted"] == str(SIZES[default.argmin()])
    for figure in (9, 10):
        better = sizes_in(statements[f"fig{figure}_better"].cells["predicted"])
        assert better == {size for size, a, b in zip(SIZES, custom, default, strict=True) if a < b}
    capped = records["balancing"]["cap 2000"][0]
    better = sizes_in(statements["fig6_cap"].cells["predicted"])
    assert better == {size for size, a, b in zip(SIZES, distance([capped]), default, strict=True) if a < b}


def reference_energies(molecules) -> np.ndarray:
    """The free atoms' U0, eV, from the table of QM9's authors."""
    hartree = {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730}
    return molecules.element_counts(list(hartree)) @ (27.211386 * np.array(list(hartree.values())))


def test_the_facts_of_the_prose(records, qm9_molecules, facts):
    ca = predictions.facts(records, qm9_molecules, lang="ca")
    assert ca.keys() == facts.keys()
    assert ca["mean_default"] == facts["mean_default"].replace(".", ",")


@pytest.mark.parametrize("protocol", verdicts.PROTOCOLS)
def test_a_number_that_a_verdict_gives_too_is_the_same_here(records, statements, protocol):
    h1 = claims.h1(records["baseline"], protocol, resamples=10)
    assert statements["fig3_correlation"].cells[protocol] == style.number(h1.effect, "en", 2)
    cap = claims.threshold_2000(records["balancing"], protocol, resamples=10)
    strictest, *_ = statements["fig6_cap_change"].cells[protocol].split("; ")
    assert strictest == f"×\N{NO-BREAK SPACE}{style.number(cap.effect, 'en', 2)}"


# ---- what the page says holds in the records


def test_what_the_page_says_of_agreement_holds_in_the_records(statements, facts):
    agrees = {key: each.agrees for key, each in statements.items()}
    no = {"fig6_cap", "fig6_cap_change", "last_table"}
    unknown = {"fig7", "fig8", "best_sizes"}
    assert statements["best_sizes"].cells["predicted"] == statements["best_sizes"].cells["as_reported"]
    assert {key for key, value in agrees.items() if value is False} == no
    assert {key for key, value in agrees.items() if value is None} == unknown
    # the crossing, whatever the split, and the same for both models
    assert 18.9 < float(facts["crossing_low"]) <= float(facts["crossing_high"]) < 19.1
    assert statements["fig9_crossing"].cells["predicted"] == statements["fig10_crossing"].cells["predicted"] == "19.0"
    for figure in (9, 10):
        assert abs(float(statements[f"fig{figure}_crossing"].cells["as_reported"]) - 19) < 0.2
        assert statements[f"fig{figure}_better"].cells["as_reported"] == "20–25"
    assert abs(float(facts["half_way"].replace("−", "-")) - float(facts["mean_crossing"].replace("−", "-"))) < 0.002


def test_what_the_page_says_of_the_caps_holds_in_the_data(statements, facts):
    """At random the mean moves to the small molecules; with the first of each size the other way, by 2,000 alone."""
    assert facts["cap_better"] == "10–17"
    moved = {key: float(facts[key].replace("−", "-")) for key in facts if key.startswith("moved_")}
    assert all(moved[f"moved_cap_{cap}"] < -8 for cap in thesis.CAPS)
    assert moved["moved_in_order_2000"] > 30
    assert all(abs(moved[f"moved_in_order_{cap}"]) < 10 for cap in thesis.CAPS[1:])
    assert float(facts["in_order_above"]) < 0.6
    assert 1.3 < float(facts["in_order_below"]) < 2
    assert statements["fig6_in_order"].cells == {"predicted": "18–25"}
    assert sizes_in(statements["fig6_cap"].cells["as_reported"]) == set(range(10, 18))


def test_what_the_page_says_of_the_general_error_holds(statements):
    """With the whole database's own mean Custom's error would be many times the report's."""
    assert float(statements["last_table"].cells["predicted"]) > 30 * thesis.MSE["custom"]
