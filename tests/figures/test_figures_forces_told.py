"""What the chapter on forces says in words is what its records say."""

import numpy as np
import pytest

from analysis import study
from analysis.evaluation import dynamics, force_claims
from analysis.evaluation.cost import Costs
from analysis.evaluation.dynamics import MEAN, QM9, XTB
from analysis.evaluation.prediction_intervals import load_errors
from analysis.evaluation.reference import Reference, computed, load_compared
from analysis.evaluation.relaxation import PLACES, Relaxation, RelaxationLacking
from analysis.figures import forces, forces_cost, forces_dynamics, forces_relaxation
from analysis.figures.model_card_reference import LARGE


@pytest.fixture(scope="module")
def arms(qm9_molecules):
    return study.recorded(study.ForcesParameters(), qm9_molecules)


@pytest.fixture(scope="module")
def verdicts(arms):
    return {one.claim: one for one in force_claims.all_claims(arms, dynamics.Survival.load())}


def test_what_is_said_of_the_claims(verdicts):
    found = {claim: one.verdict for claim, one in verdicts.items()}
    assert found == {
        "forces_by_frequency": "rejected",
        "forces_by_size": "rejected",
        "forces_by_element": "undecided",
        "forces_bar": "rejected",
        "survival_by_size": "undecided",
        "survival_by_element": "undecided",
    }
    assert verdicts["forces_by_size"].interval[1] < 1 / 1.1  # the other way round, clearly
    assert abs(verdicts["forces_by_frequency"].effect) < 0.1


def test_what_is_said_of_sizes_elements_and_labels(arms):
    of_elements = forces._by_seed(arms["painn"], "element").mean(axis=1)
    hydrogen, carbon, nitrogen, oxygen, fluorine = (of_elements[number] for number in (1, 6, 7, 8, 9))
    assert hydrogen < min(carbon, nitrogen, oxygen, fluorine) / 1.5
    assert nitrogen > max(carbon, oxygen, fluorine)
    assert fluorine / np.mean([carbon, oxygen]) == pytest.approx(1, abs=0.1)
    tables = [force_claims.errors(record) for record in arms["painn"]]
    of_carbon = [table[table["element"] == 6] for table in tables]
    for table in of_carbon:
        large = table["n_atoms"] > 17
        above, up_to = (part["absolute"].sum() / part["components"].sum() for part in (table[large], table[~large]))
        assert above < up_to
    painn, schnet, energies = (np.array(forces.mev(arms[arm])) for arm in ("painn", "schnet", "energies alone"))
    assert painn.max() < schnet.min() < schnet.max() < energies.min()
    assert all(forces._overfit(record) > 1.5 for record in arms["painn"])


def test_what_is_said_of_molecules_let_go():
    control = dynamics.Control.load()
    broken = {arm: sum(one.broken is not None for one in control.of(arm)) for arm in ("beyond", "energies alone")}
    assert broken["beyond"] > 0.9 * len(control.of("beyond"))
    assert broken["energies alone"] < 0.1 * len(control.of("energies alone"))
    assert not any(one.broken for one in control.of("painn"))


def test_what_is_said_of_vibrations_and_of_the_torsion():
    record = dynamics.Frequencies.load()
    level, ours, xtb = (np.nanmean(record.differences(*pair)) for pair in ((MEAN, XTB), (MEAN, QM9), (XTB, QM9)))
    assert level < ours / 4  # most of what is missing is the level of the labels
    assert ours == pytest.approx(xtb, rel=0.1)
    assert abs(sum(record.imaginary(MEAN)) - sum(record.imaginary(XTB))) <= 2
    assert 1000 * np.nanmean(np.abs(record.at_rest(MEAN, "energy_error"))) > 20
    turned = dynamics.Torsion.load()
    assert max(turned.energies[MEAN]) < max(turned.energies[XTB])


def test_what_is_said_of_survival_and_of_the_trajectory():
    survival = dynamics.Survival.load()
    (stopped,) = (one for one in survival.molecules if one.stopped)
    assert stopped.stopped == "spread"
    assert {"+", "-"} <= set(stopped.smiles)
    watched = dynamics.Watched.load()
    assert (watched.molecule.smiles, watched.ps, watched.temperature) == ("CC(C)O", 20, 300)  # propan-2-ol
    assert abs(watched.moving[MEAN].drift) < abs(watched.moving[XTB].drift)
    bands = [forces_dynamics._highest_band(watched, of) for of in (MEAN, XTB)]
    assert abs(bands[0] - bands[1]) < 50


def test_what_is_said_of_relaxing(qm9_molecules):
    record = Relaxation.load()
    assert record.change.mean_interval[0] > 0  # worse
    assert record.absolute["relaxed"].mean_interval[0] > forces_relaxation.DEMANDED
    errors = load_errors(qm9_molecules).query("part == 'test' and geometry == 'relaxed'")
    assert -errors["untaught"].mean() > 0.9 * errors["untaught"].abs().mean()  # too low without having seen such
    assert abs(record.signed["relaxed"].mean) < 0.3 * record.absolute["relaxed"].mean  # and hardly any more with


def test_what_is_said_of_molecules_that_qm9_lacks():
    every = {name: one.answers for name, one in RelaxationLacking.load().molecules.items()}
    compared = computed(load_compared()).set_index("molecule")
    assert list(every) == compared.index.tolist()
    for name, answers in every.items():  # the same models say the same at the same geometry
        assert answers["reference"].error == pytest.approx(1000 * compared.loc[name, "error_eV"], abs=0.01)
        assert bool(answers["reference"].refused) == bool(compared.loc[name, "refused"])
    assert all(answers["relaxed"].refused for answers in every.values())
    why = [of["relaxed"].refused for of in every.values() if "multiplicity" not in of["relaxed"].refused]
    assert all("the training molecules have 6 to 29" in one for one in why)
    reference = Reference.load()
    assert max(len(reference.molecules[name].numbers) for name in every) < 6  # smaller than all these
    (answered,) = [of["conformer"] for of in every.values() if not of["conformer"].refused]  # "off by", not "at most"
    assert answered.interval[0] > 0  # "more than its interval allows"
    large = [one for of in every.values() for one in of.values() if abs(one.error or 0) > 1000 * LARGE]
    assert large
    assert all(one.refused for one in large)
    sizes = {place: [abs(of[place].error) for of in every.values() if of[place].error] for place in PLACES}
    assert np.mean(np.array(sizes["reference"]) > 1000 * LARGE) > 0.5  # "it is not the geometry that is missing"


def test_what_is_said_of_costs_and_speed():
    costs, speed = Costs.load().table(), dynamics.Speed.load()
    lines, large = forces_cost.growth(costs), costs["atoms"].max()
    seconds = {method: line["factor"] * large ** line["exponent"] for method, line in lines.iterrows()}
    assert 60 < seconds["b3lyp"] < 3600  # minutes, not hours
    assert seconds["b3lyp-fitted"] < seconds["b3lyp"]
    assert seconds["schnetpack"] == pytest.approx(seconds["xtb"], rel=0.5)  # what makes it fast is how it is computed
    assert seconds["network"] < seconds["xtb"] / 5
    molecules = list(dict.fromkeys(one.molecule for one in speed.times))
    slower = [np.median(speed.ns_per_day(one, "schnetpack") / speed.ns_per_day(one, "xtb")) < 1 for one in molecules]
    assert any(slower)


def test_which_demands_are_met(arms):
    given = dynamics.Frequencies.load(), dynamics.Survival.load(), dynamics.Speed.load()
    met = forces_dynamics.demands(arms, *given, lang="en")["Met"].tolist()
    assert met == ["no", "undecided", "no", "yes", "yes", "no"]
