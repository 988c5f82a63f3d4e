"""What energies with forces cost, from made-up times that grow by a known power."""

import numpy as np
import pandas as pd
import pytest
from test_figures_state_of_the_art import assert_readable

from analysis.figures import forces_cost
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
EXPONENTS = {"network": 1.2, "schnetpack": 0.3, "xtb": 1.8, "b3lyp-fitted": 2.4, "b3lyp": 3.1}
FACTORS = {"network": 1e-5, "schnetpack": 3e-3, "xtb": 2e-5, "b3lyp-fitted": 0.02, "b3lyp": 0.01}


@pytest.fixture(scope="module")
def costs() -> pd.DataFrame:
    """Two molecules of each size, three repeats, one of them disturbed."""
    rows = [
        {"method": method, "molecule": f"{kind}{atoms}", "atoms": atoms, "seconds": seconds}
        for method, exponent in EXPONENTS.items()
        for atoms in (9, 14, 18, 24, 29)
        for kind in "ab"
        for seconds in FACTORS[method] * atoms**exponent * np.array([0.999, 1.001, 5.0])
    ]
    return pd.DataFrame(rows)


def test_the_growth_is_that_of_the_power_law_with_an_interval(costs):
    found = forces_cost.growth(costs)
    assert found["exponent"].to_dict() == pytest.approx(EXPONENTS)
    assert found["factor"].to_dict() == pytest.approx({name: 1.001 * factor for name, factor in FACTORS.items()})
    assert (found["half"] < 1e-6).all()
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        noisy = costs.groupby(["method", "molecule"], as_index=False).agg({"atoms": "first", "seconds": "median"})
        noisy["seconds"] *= np.exp(rng.normal(scale=0.2, size=len(noisy)))
        one = forces_cost.growth(noisy)
        held.append((one["exponent"] - pd.Series(EXPONENTS)[one.index]).abs() <= one["half"])
    assert 0.92 < np.mean(held) < 0.98  # of 95 %; a thousand have a deviation of 0.7 %


def test_two_molecules_leave_the_growth_open(costs):
    few = costs[costs["molecule"].isin(["a9", "a29"])]
    assert (forces_cost.growth(few)["half"] == np.inf).all()
    assert forces_cost.table(few, lang="en").iloc[-1, 0] == "3.1 ± –"


@EACH_LANGUAGE
def test_the_table_has_the_seconds_of_each_size_and_the_growth(costs, lang):
    table = forces_cost.table(costs, lang=lang)
    assert list(table.index) == ["9", "14", "18", "24", "29", say("Exponent of growth", lang)]
    assert list(table.columns) == [say(name, lang) for name in forces_cost.METHODS.values()]
    comma = str.maketrans(".", "," if lang == "ca" else ".")
    assert table.loc["9", say("GFN2-xTB", lang)] == "0.001".translate(comma)
    assert table.iloc[-1].tolist() == [f"{EXPONENTS[name]} ± 0.0".translate(comma) for name in forces_cost.METHODS]
    part = costs[(costs["method"] != "xtb") | (costs["atoms"] < 20)]
    assert forces_cost.table(part, lang=lang).loc["29", say("GFN2-xTB", lang)] == "–"


@EACH_LANGUAGE
def test_the_figure_shows_a_point_per_molecule_and_a_line_per_method(costs, lang):
    figure = forces_cost.cost(costs, lang=lang)
    assert_readable(figure)
    assert len(figure.data) == 50
    assert figure.data["seconds"].max() == pytest.approx(1.001 * 0.01 * 29**3.1)
    (axes,) = figure.axes
    points = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(points) == [say(name, lang) for name in forces_cost.METHODS.values()]
    assert [len(line.get_xdata()) for line in points.values()] == [10] * 5
    for line in (line for line in axes.lines if line.get_label().startswith("_")):
        of_colour = next(one for one in points.values() if one.get_color() == line.get_color())
        assert line.get_ydata()[-1] == pytest.approx(of_colour.get_ydata()[-1], rel=1e-6)


@EACH_LANGUAGE
def test_the_facts_are_those_of_the_lines(costs, lang):
    found = forces_cost.facts(costs, lang=lang)
    comma = str.maketrans(".", "," if lang == "ca" else ".")
    assert (found["cost_least"], found["cost_most"]) == ("9", "29")
    assert found["cost_growth_b3lyp_fitted"] == "2.4".translate(comma)
    assert found["cost_large_b3lyp"] == f"{float(f'{1.001 * 0.01 * 29**3.1:.2g}'):g}".translate(comma)
    assert found["cost_times_network"] == "1"
    ratio = FACTORS["schnetpack"] / FACTORS["network"] * 29 ** (0.3 - 1.2)
    assert found["cost_times_schnetpack"] == f"{float(f'{ratio:.2g}'):g}"
    without = forces_cost.facts(costs[costs["method"] != "network"], lang=lang)
    assert without["cost_times_xtb"] == "–"
