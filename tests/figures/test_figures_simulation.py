"""What is shown of a molecule that is tried is what its tables hold."""

import numpy as np
import pandas as pd
import pytest
from test_figures_state_of_the_art import assert_readable

from analysis.figures import simulation, style
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
ABOUT = {
    "formula": "C3H8O",
    "atoms": 12,
    "learnt_from": None,
    "like_them": True,
    "at_rest": False,
    "steps": 30,
    "zero_point": 2.9,
    "imaginary": 1,
}
WAVES = pd.DataFrame({"network": [-50.0, 400.0, 3700.0], "qm9": [40.0, 410.0, 3800.0], "hydrogen": [0.5, 0.2, 0.99]})
HEALTH = pd.DataFrame.from_dict(
    {
        stage: {
            "ps": 1.0,
            "temperature": 301.0,
            "drift": drift,
            "drift_error": drift / 2,
            "rms": drift,
            "bond": bond,
            "bond_change": 1.2,
            "spread": 0.05,
            "whole": not bond,
        }
        for stage, drift, bond in (("langevin", np.nan, ""), ("constant energy", 0.2, "C1–H5"))
    },
    orient="index",
)
TIMES = np.arange(0, 1, 0.01)
COURSE = pd.concat(
    [
        pd.DataFrame(
            {
                "stage": stage,
                "time_ps": begun + TIMES,
                "total_energy_meV_per_atom": size * np.sin(30 * TIMES),
                "temperature_K": 300 + 50 * np.cos(60 * TIMES),
                "run": "one other",
            }
        )
        for stage, begun, size in (("langevin", 0, 20), ("constant energy", 1, 0.1))
    ]
)
PER_CM = np.linspace(0, 16_000, 400)
SPECTRUM = pd.DataFrame({"per_cm": PER_CM, "density": np.exp(-(((PER_CM - 3700) / 50) ** 2)), "run": "one other"})


@EACH_LANGUAGE
def test_the_tables_say_what_is_known(lang):
    value = simulation.about(ABOUT, lang=lang)[say("Value", lang)]
    assert value[say("Is one of the training molecules", lang)] == say("can’t be told", lang)
    assert value[say("Is like the training molecules", lang)] == say("yes", lang)
    assert value[say("Came to rest", lang)] == say("no", lang)
    assert value[say("Zero-point energy (eV)", lang)] == style.number(2.9, lang, 3)
    waves = simulation.frequencies(WAVES, lang=lang)
    assert waves.iloc[-1].tolist() == [style.number(3700, lang), style.number(3800, lang), style.percent(0.99, lang)]
    assert waves.iloc[0, 0] == "−50"
    alone = simulation.frequencies(WAVES.assign(qm9=np.nan), lang=lang)
    assert say("QM9 (cm⁻¹)", lang) not in alone
    health = simulation.health(HEALTH, lang=lang)
    drift = health[say("Drift (meV per atom and ps)", lang)].tolist()
    assert drift == ["–", f"{style.number(0.2, lang, 3)} ± {style.number(0.1, lang, 3)}"]
    assert health[say("Stays whole", lang)].tolist() == [say("yes", lang), say("no", lang)]
    assert health[say("Bond that changed most", lang)].tolist() == ["–", "C1–H5"]


@EACH_LANGUAGE
def test_the_course_has_a_colour_for_each_simulation(lang):
    figure = simulation.course(COURSE, lang=lang)
    figure.png()
    assert_readable(figure)
    for axes, column in zip(figure.axes, ("total_energy_meV_per_atom", "temperature_K"), strict=True):
        heated, free = axes.lines
        assert heated.get_color() != free.get_color()
        np.testing.assert_array_equal(heated.get_ydata(), COURSE[COURSE["stage"] == "langevin"][column])
        assert free.get_xdata()[0] == 1
    assert set(figure.data["run"]) == {"one other"}


@EACH_LANGUAGE
def test_the_spectrum_stands_above_the_real_frequencies(lang):
    figure = simulation.spectrum(SPECTRUM, WAVES, lang=lang)
    figure.png()
    assert_readable(figure)
    (axes,) = figure.axes
    (line,) = axes.lines
    assert line.get_xdata().max() <= 1.1 * 3700
    assert line.get_ydata().max() == 1
    (strokes,) = axes.collections
    assert [segment[0][0] for segment in strokes.get_segments()] == [400.0, 3700.0]
    (empty,) = simulation.spectrum(SPECTRUM.iloc[:0], WAVES, lang=lang).axes
    assert len(empty.lines[0].get_xdata()) == 0
