"""What the model card shows of G2 is what is recorded: errors, intervals, refusals."""

import numpy as np
import pandas as pd
import pytest

from analysis.evaluation import reference as records
from analysis.figures import model_card_reference as pages
from analysis.figures import style
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def compared() -> pd.DataFrame:
    return records.load_compared()


@pytest.fixture(scope="module")
def reference() -> records.Reference:
    return records.Reference.load()


def made_up() -> pd.DataFrame:
    """One in its interval, one off, one refused although its interval would hold, one refused without."""
    rows = [
        ("a", 0.1, 0.05, 0.15, ""),
        ("b", 0.1, 0.2, 0.3, ""),
        ("c", 0.1, 0.0, 0.2, "why"),
        ("d", 0.5, np.nan, np.nan, "why"),
    ]
    found = pd.DataFrame(rows, columns=["molecule", "predicted_eV", "low_eV", "high_eV", "refused"])
    found = found.assign(U0_eV=0.1, source=["QM9", "computed", "computed", "computed"], spread_eV=0.01)
    return found.assign(error_eV=found["predicted_eV"] - found["U0_eV"])


def test_what_becomes_of_a_molecule_is_told_from_its_interval_and_its_refusal():
    assert pages.fates(made_up()).tolist() == ["inside", "off", "refused", "refused"]


def test_the_facts_are_counts_of_the_record(compared, reference):
    facts = {key: float(value) for key, value in pages.facts(compared, reference, lang="en").items()}
    assert facts["known"] == len(reference.molecules) == len(compared)
    assert facts["whole"] == 73
    strange = compared[compared["source"] == "computed"]
    assert facts["lacking"] == len(strange) == facts["refused"] + facts["answered"]
    assert facts["large"] == (compared["error_eV"].abs() > 0.3).sum()
    assert pages.facts(compared, reference, lang="ca").keys() == facts.keys()
    of_made_up = pages.facts(made_up(), reference, lang="en")
    assert [of_made_up[key] for key in ("lacking", "refused", "answered", "held")] == ["3", "2", "1", "0"]
    assert [of_made_up[key] for key in ("large", "large_refused", "large_off")] == ["1", "1", "0"]


def test_every_large_error_is_refused_or_in_its_interval(compared):
    large = compared[compared["error_eV"].abs() > pages.LARGE]
    assert len(large) > 0
    assert set(pages.fates(large)) <= {"refused", "inside"}


def test_the_errors_are_those_of_the_energies(compared, reference):
    np.testing.assert_allclose(compared["error_eV"], compared["predicted_eV"] - compared["U0_eV"], atol=2e-6)
    for name, u0 in compared.set_index("molecule")["U0_eV"].items():
        assert u0 == pytest.approx(reference.molecules[name].U0, abs=1e-6)


@EACH_LANGUAGE
def test_the_table_has_what_is_known_of_the_ten(compared, lang):
    table = pages.ten(compared, lang=lang)
    by_name = compared.set_index("molecule")
    assert table.index.tolist() == [name for name in pages.TEN if name in by_name.index]
    for name, row in table.iterrows():
        assert row[say("Predicted − B3LYP (meV)", lang)] == style.number(1e3 * by_name.loc[name, "error_eV"], lang)
        refused = row[say("Answer", lang)] == say("refused", lang)
        assert refused == (by_name.loc[name, "refused"] != "")


@EACH_LANGUAGE
def test_the_figure_has_a_point_per_molecule_and_a_bar_per_interval(compared, lang):
    figure = pages.errors(compared, runs=["one"], lang=lang)
    assert [axes.get_title() for axes in figure.axes] == [say("QM9 holds them", lang), say("QM9 lacks them", lang)]
    for axes, source in zip(figure.axes, ("QM9", "computed"), strict=True):
        of_panel = compared[compared["source"] == source]
        points = np.concatenate([line.get_ydata() for line in axes.get_lines()[1:]])
        np.testing.assert_allclose(np.sort(points), np.sort(1e3 * of_panel["error_eV"]), atol=0.06)
        (bars,) = axes.collections
        assert (
            np.isfinite([path.vertices for path in bars.get_paths()]).all(axis=(1, 2)).sum()
            == of_panel["low_eV"].count()
        )
