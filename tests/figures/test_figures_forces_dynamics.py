"""What is shown of dynamics is what made-up records hold."""

from functools import cache

import moving_records as made_up
import numpy as np
import pytest
from matplotlib.text import Text
from test_figures_state_of_the_art import assert_readable

from analysis.evaluation.dynamics import Fraction
from analysis.figures import forces_dynamics as figures
from analysis.figures import style
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
DRAWN = {
    figures.frequencies: made_up.frequencies,
    figures.survival: made_up.survival,
    figures.control: made_up.control,
    figures.torsion: made_up.torsion,
    figures.spectrum: made_up.watched,
    figures.trajectory: made_up.watched,
}


@cache
def drawn(draw, lang: str) -> style.BookFigure:
    return draw(DRAWN[draw](), lang=lang)


@EACH_LANGUAGE
@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_the_figures_are_readable_and_carry_their_runs(draw, lang):
    figure = drawn(draw, lang)
    figure.png()
    assert_readable(figure)
    assert set(figure.data["run"]) == {DRAWN[draw]().ids}
    assert figure.csv().count("\n") == len(figure.data) + 1


def test_the_vibrations_are_those_of_molecules_that_all_methods_have():
    data = drawn(figures.frequencies, "en").data
    assert len(data) == 6 * 9
    np.testing.assert_allclose(data["network_per_cm"] - data["xtb_per_cm"], 7)
    np.testing.assert_allclose(data["xtb_per_cm"] - data["qm9_per_cm"], 30)


def test_the_survivors_are_counted_by_time_and_by_group():
    record = made_up.survival()
    whole = record.whole_at(np.array([0.0, 1e4, 2e4]))
    assert whole.tolist() == [1.0, 35 / 40, 35 / 40]
    one = min(molecule.until for molecule in record.molecules if molecule.stopped)
    assert record.whole_at(np.array([one - 1, one])).tolist() == [1.0, 39 / 40]
    table = figures.survivors(record, lang="en")
    assert table.loc["all molecules", ["Simulated", "Whole"]].tolist() == ["40", "35"]
    assert table.loc["F, fluorine", ["Simulated", "Whole"]].tolist() == ["5", "5"]
    sides = table.loc[["up to 17 atoms", "more than 17 atoms"], "Simulated"].astype(int)
    assert sides.sum() == 40
    assert table.loc["all molecules", "Mean drift (meV per atom and ps)"] == "0.020"


def test_the_interval_of_a_fraction_is_wilsons():
    z, n, share = 1.959964, 40, 35 / 40
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    found = Fraction.among([True] * 35 + [False] * 5)
    assert found[2:] == pytest.approx(((middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)), abs=1e-6)
    assert Fraction.among([]) == (0, 0, 0.0, 1.0)


def test_a_broken_bond_stays_broken_in_the_control():
    data = drawn(figures.control, "en").data.set_index(["arm", "time_fs"])
    assert data.loc[("beyond", 100.0), ["low", "median", "high"]].tolist() == [1.6] * 3
    assert data.loc[("painn", 100.0), "median"] == pytest.approx(1.02)
    assert data.loc[("beyond", 0.0), "median"] == 1
    pressed = made_up.control().of("beyond")[0].model_copy(update={"change": (1.0, 0.8)})
    one = made_up.control().model_copy(update={"runs": (pressed,)})
    assert figures._stretched(one, "beyond", 3).tolist() == [[1.0, 1.25, 1.6]]


@EACH_LANGUAGE
def test_speeds_are_nanoseconds_of_all_copies_per_day_and_ratios_are_of_one_repeat(lang):
    table = figures.speed(made_up.speed(), lang=lang)
    assert table.index.tolist() == ["CCO", "CCCCCC"]
    first = table.loc["CCO"]
    per_day = 86_400e-6 * 0.5 / (1e-3 * 1.1)
    assert first[say("Network (ns/day)", lang)] == style.number(per_day, lang, 1)
    assert first[say("{copies} at once (ns/day)", lang, copies="32")] == style.number(4 * per_day, lang, 0)
    assert first[say("Network / GFN2-xTB", lang)] == "4.0 (4.0 – 4.0)".replace(".", "." if lang == "en" else ",")


@EACH_LANGUAGE
def test_demands_are_met_by_whole_intervals_alone(lang):
    records = made_up.force_arms(seeds=3)  # missed by 30 meV/Å
    given = (made_up.frequencies(), made_up.survival(), made_up.speed())
    table = figures.demands(records, *given, lang=lang)
    met = table[say("Met", lang)].tolist()
    yes, undecided = say("yes", lang), say("undecided", lang)
    assert met[0] == met[3] == met[4] == met[5] == yes
    assert met[1] == met[2] == undecided  # of two seeds
    slow = given[2].model_copy(
        update={"times": tuple(one.model_copy(update={"seconds": 1e-3}) for one in given[2].times)}
    )
    again = figures.demands(records, *given[:2], slow, lang=lang)[say("Met", lang)].tolist()
    assert again[4] == yes
    assert again[5] == say("no", lang)


@EACH_LANGUAGE
def test_the_facts_of_the_prose(lang):
    given = [made_up.frequencies(), made_up.survival(), made_up.control(), made_up.speed(), made_up.torsion()]
    found = figures.facts(*given, lang=lang)
    assert found.keys() == figures.facts(*given, lang="en").keys()
    plain = {key: value.replace(",", ".") for key, value in found.items()}
    assert (plain["waves_level"], plain["waves_qm9"], plain["waves_xtb_qm9"]) == ("7.0", "37.0", "30.0")
    assert (plain["imaginary_network"], plain["energy_error"], plain["above"]) == ("0", "6.0", "2.0")
    assert (plain["whole"], plain["simulated"], plain["stopped_bond"]) == ("35", "40", "5")
    assert (plain["broken_beyond"], plain["broken_after_beyond"], plain["broken_painn"]) == ("3", "30", "0")
    assert (plain["conserved_energies"], plain["broken_after_painn"]) == ("2.0", "–")
    assert (plain["times_xtb_least"], plain["times_schnetpack_most"]) == ("4.0", "20.0")
    assert plain["stock_slower_than_xtb"] == plain["timed"] == "2"
    assert plain["torsion_off"] == "20.0"


def test_the_spectrum_holds_both_densities_and_all_harmonic_frequencies():
    record, data = made_up.watched(), drawn(figures.spectrum, "en").data
    densities = data[data["kind"] == "density"].groupby("method")["kinetic_energy_share_per_cm"]
    assert densities.sum().to_dict() == pytest.approx({"mean": 0.1, "xtb": 0.1}, rel=1e-3)  # of bins 10 cm⁻¹ wide
    harmonic = data[data["kind"] == "harmonic"].groupby("method")["wavenumber_per_cm"].apply(list)
    assert harmonic.to_dict() == {of: list(record.molecule.frequencies(of)) for of in ("mean", "xtb", "qm9")}
    without = record.molecule.model_copy(update={"qm9": ()})
    figure = figures.spectrum(record.model_copy(update={"molecule": without}), lang="en")
    assert set(figure.data.loc[figure.data["kind"] == "harmonic", "method"]) == {"mean", "xtb"}


def test_the_trajectory_is_drawn_with_its_energies():
    data = drawn(figures.trajectory, "en").data
    assert data["time_fs"].tolist() == list(range(60))
    np.testing.assert_allclose(data["potential_eV"] + data["kinetic_eV"], data["total_eV"])
    np.testing.assert_allclose(data["total_eV"], 0.5, atol=2e-5)


@EACH_LANGUAGE
def test_the_facts_about_the_trajectory(lang):
    record = made_up.watched()
    found = figures.watched_facts(record, lang=lang)
    assert found.keys() == figures.watched_facts(record, lang="en").keys()
    plain = {key: value.replace(",", ".") for key, value in found.items()}
    assert (plain["spectrum_molecule"], plain["watched_ps"], plain["watched_fs"]) == ("CCO", "20", "59")
    assert (plain["watched_drift"], plain["watched_kelvin"]) == ("0.002", "300")
    assert (plain["spectrum_waves_level"], plain["spectrum_waves_level_most"]) == ("10.0", "10")
    assert (plain["spectrum_waves_qm9"], plain["spectrum_waves_xtb_qm9"]) == ("40.0", "30.0")
    band = {key: float(value.replace(".", "").replace(",", "")) for key, value in found.items() if "band" in key}
    assert band == pytest.approx({"spectrum_band_network": 3680, "spectrum_band_xtb": 3690, "spectrum_band_off": 10})
    without = record.model_copy(update={"molecule": record.molecule.model_copy(update={"qm9": ()})})
    assert figures.watched_facts(without, lang=lang)["spectrum_waves_qm9"] == "–"


def test_differences_need_as_many_frequencies_on_both_sides():
    record = made_up.frequencies()
    found = record.differences(made_up.IDS[1], "xtb")
    assert np.isnan(found).tolist() == [False, False, True, False, False, False]
    assert found[0] == pytest.approx(10)
    assert record.imaginary(made_up.IDS[0]) == [0, 1, 0, 0, 0, 0]
    assert len(record.imaginary(made_up.IDS[1])) == 5


def test_the_names_of_methods_are_in_the_legend():
    texts = {text.get_text() for text in drawn(figures.torsion, "ca").findobj(Text)}
    assert {"xarxa", "GFN2-xTB"} <= texts
