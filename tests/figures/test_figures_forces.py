"""What the chapter on forces shows is what made-up records hold."""

import numpy as np
import pytest
from ase.data import atomic_numbers
from matplotlib.text import Text
from moving_records import force_arms, simulated, survival_of
from test_figures_state_of_the_art import assert_readable

from analysis.evaluation import force_claims
from analysis.figures import baseline, forces, style
from analysis.figures.words import LANGUAGES, say
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
FACTORS = {"painn": 1.0, "schnet": 1.5, "energies alone": 20.0}


@pytest.fixture(scope="module")
def records() -> Arms[Record]:
    return force_arms(lambda n, z: 0.02 + 0.001 * n + 0.03 * (z == 9), seeds=3, arms=FACTORS)


@pytest.fixture(scope="module")
def verdicts(records):
    survival = survival_of([simulated(n_atoms=size) for size in (12, 20) for _ in range(20)])
    return force_claims.all_claims(records, survival)


@EACH_LANGUAGE
@pytest.mark.parametrize("draw", [forces.errors, forces.by_size, forces.by_element], ids=lambda draw: draw.__name__)
def test_the_figures_are_readable_and_name_every_arm(records, draw, lang):
    figure = draw(records, lang=lang)
    figure.png()
    assert_readable(figure)
    texts = {text.get_text() for text in figure.findobj(Text)}
    assert {say(name, lang) for name in forces.NAMES.values()} <= texts
    assert set(figure.data["arm"]) == set(FACTORS)
    assert set(figure.data["run"]) == {record.id for record in records.runs}


def test_the_data_are_the_errors_of_each_run(records):
    data = forces.errors(records, lang="en").data
    assert len(data) == 9
    of_painn = data[data["arm"] == "painn"]["mae_meV_per_A"]
    np.testing.assert_allclose(
        of_painn, [1000 * force_claims.mae(record, test=True).item() for record in records["painn"]]
    )
    by_size = forces.by_size(records, lang="en").data.set_index(["arm", "seed", "n_atoms"])["mae_meV_per_A"]
    record = records["schnet"][2]
    assert by_size["schnet", 2, 18] == pytest.approx(1000 * force_claims.mae(record, "n_atoms")[18])
    by_element = forces.by_element(records, lang="en").data.set_index(["arm", "seed", "atomic_number"])
    found = by_element.loc[("painn", 0, 9)]
    assert found["mae_meV_per_A"] == pytest.approx(1000 * force_claims.mae(records["painn"][0], "element")[9])
    holding = records["painn"][0].forces
    assert found["held_out_molecules"] == holding[holding["element"] == 9]["index"].nunique()


@EACH_LANGUAGE
def test_elements_stand_by_the_number_of_their_atoms(records, lang):
    counted = records["painn"][0].forces.groupby("element")["atoms"].sum()
    order = sorted(baseline.ELEMENTS, key=lambda element: -counted[atomic_numbers[element]])
    (axes,) = forces.by_element(records, lang=lang).axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == [say(baseline.ELEMENTS[element], lang) for element in order]


def test_what_is_recorded_is_shown_and_without_the_first_arm_nothing(records):
    some = Arms("forces", {Arm("painn"): records["painn"]})
    assert set(forces.by_size(some, lang="en").data["arm"]) == {"painn"}
    with pytest.raises(MissingArmError, match="painn"):
        forces.errors(Arms("forces", {Arm("schnet"): records["schnet"]}), lang="en")


@EACH_LANGUAGE
def test_the_claims_are_the_verdicts(verdicts, lang):
    table = forces.claims(verdicts, lang=lang)
    assert len(table) == len(verdicts) == 6
    assert not table.isna().any(axis=None)
    for (_, row), verdict in zip(table.iterrows(), verdicts, strict=True):
        assert row[say("Verdict", lang)].startswith(say(verdict.verdict, lang))
        assert row[say("Molecules", lang)] == style.number(verdict.n_molecules, lang)


@EACH_LANGUAGE
def test_the_facts_of_the_prose(records, verdicts, lang):
    found = forces.facts(records, verdicts, lang=lang)
    assert found.keys() == forces.facts(records, verdicts, lang="en").keys()
    assert (found["seeds"], found["bar"]) == ("3", "43")
    assert found["times_energies"] == "20"
    assert found["overfit"] == style.number(2, lang, 1)
    on_carbon = []
    for record in records["painn"]:
        large = force_claims.errors(record).query("n_atoms > 17 and element == 6")
        on_carbon.append(1000 * large["absolute"].sum() / large["components"].sum())
    assert found["mae_C_above"] == style.mean_and_deviation(on_carbon, lang, 1)
    assert sum(int(found[f"claims_{word}"]) for word in ("confirmed", "rejected", "undecided")) == 6
    mean = np.mean([1000 * force_claims.mae(record, "element")[9] for record in records["painn"]])
    assert found["mae_F"].partition(" ± ")[0] == style.number(mean, lang, 1)
    up_to, above = (float(found[f"mae_{side}"].partition(" ")[0].replace(",", ".")) for side in ("up_to", "above"))
    assert above > up_to
