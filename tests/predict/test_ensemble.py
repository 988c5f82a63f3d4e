"""Predictions of real molecules by the recorded models: what is computed, what is refused, what is warned of."""

import gzip
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import ase.io
import ase.units
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import InputError, PropertyNotImplementedError
from ase.data import covalent_radii
from ase.optimize import BFGS
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from scipy.spatial.transform import Rotation
from springs import Swelling
from typer.testing import CliRunner

from analysis import study
from analysis.cli import commands, predicting
from analysis.data import conformers, extxyz, qm9
from analysis.data.molecules import Molecules, to_ase
from analysis.data.qm9 import ATOMIC_REFERENCES_U0
from analysis.evaluation import prediction_intervals as intervals
from analysis.predict import applicability, dynamics, electrons, geometries, outputs
from analysis.predict import ensemble as predict
from analysis.predict.calculator import EnsembleCalculator
from analysis.runs.arms import Arms
from analysis.runs.records import Record
from harness.robustness import fuzzing, warned
from harness.robustness import record as robustness

ROOT = Path(__file__).resolve().parents[2]
FLOAT32 = 6e-5  # eV, of a sum over some twenty atoms


def from_smiles(smiles: str) -> geometries.Geometry:
    return next(geometries.all_from_smiles([smiles]))


@pytest.fixture(scope="module")
def final(qm9_molecules) -> Arms[Record]:
    return study.recorded(study.FinalComparisonParameters(), qm9_molecules)


@pytest.fixture(scope="module")
def shipped(qm9_molecules) -> predict.Ensemble:
    return predict.Ensemble(predict.default_records(qm9_molecules), qm9_molecules)


@pytest.fixture(scope="module")
def custom(final, qm9_molecules) -> predict.Ensemble:
    return predict.Ensemble(final["custom"], qm9_molecules)


@pytest.fixture(scope="module")
def held_out(shipped, qm9_molecules) -> Molecules:
    """Some sixty molecules that no model was trained on, out of all sizes."""
    errors = shipped.records[0].errors
    several = errors.groupby("n_atoms")["index"].apply(lambda index: index.iloc[:: max(1, len(index) // 2)])
    return qm9_molecules.select(np.isin(qm9_molecules.index, several))


@pytest.fixture
def ethanol(qm9_molecules) -> Atoms:
    (atoms,) = to_ase(qm9_molecules.select(np.flatnonzero(qm9_molecules.smiles == "CCO")))
    return atoms


def said(ensemble: predict.Ensemble, atoms: Atoms) -> str:
    (one,) = ensemble.predict([atoms], outside=True)
    return "; ".join(one.warnings)


def stretched(atoms: Atoms, factor: float) -> Atoms:
    changed = atoms.copy()
    changed.positions *= factor
    return changed


# ---- what is computed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shipped", "custom"])
def test_held_out_molecules_get_the_energies_of_which_the_errors_were_recorded(name, held_out, request):
    ensemble = request.getfixturevalue(name)
    energies = ensemble.energies(held_out)
    assert energies.shape == (5, len(held_out))
    for record, found in zip(ensemble.records, energies, strict=True):
        errors = record.errors.set_index("index").loc[held_out.index, "error"]
        assert found == pytest.approx(held_out.energy + errors.to_numpy(float), abs=FLOAT32)


def test_a_prediction_is_mean_and_spread_of_the_models(shipped, held_out):
    energies = shipped.energies(held_out)
    predicted = shipped.predict(held_out, geometry="dft", outside=True)
    assert [one.energy for one in predicted] == pytest.approx(energies.mean(axis=0), abs=FLOAT32)
    assert [one.spread for one in predicted] == pytest.approx(energies.std(axis=0, ddof=1), abs=FLOAT32)
    assert [one.name for one in predicted] == [str(index) for index in held_out.index]
    errors = [one.energy for one in predicted] - held_out.energy
    assert np.sqrt(np.mean(errors**2)) < 4 * shipped.scores.rmse  # all sizes alike, rare ones too
    assert 0.01 < shipped.scores.rmse < 0.03


def test_other_geometries_are_predicted_by_the_models_that_have_seen_such(shipped, held_out):
    others = shipped.approximate
    assert [one.config.start for one in others.records] == [f"beyond/{one.id}" for one in shipped.records]
    assert shipped.at("dft") is shipped
    assert all(shipped.at(kind) is others for kind in ("xtb", "mmff", "relaxed", "unknown"))
    assert others.approximate is None
    kinds = [("dft", "mmff", "unknown", "xtb")[m % 4] for m in range(len(held_out))]
    mixed = shipped.predict(held_out, geometry=kinds, outside=True)
    of_each = {kind: shipped.at(kind).energies(held_out) for kind in set(kinds)}
    for m, (one, kind) in enumerate(zip(mixed, kinds, strict=True)):
        assert one.geometry == kind
        assert one.energy == pytest.approx(of_each[kind][:, m].mean(), abs=FLOAT32)
        assert one.spread == pytest.approx(of_each[kind][:, m].std(ddof=1), abs=FLOAT32)
    # what they have learnt from is what those had with which they began, but they differ by more
    assert others.domain.codes is shipped.domain.codes
    assert others.domain.spread > shipped.domain.spread
    assert others.intervals == shipped.intervals


def test_models_of_which_none_went_on_predict_every_geometry(custom):
    assert custom.approximate is None
    assert {custom.at(kind) for kind in ("dft", "mmff", "unknown")} == {custom}


def test_from_a_smiles_the_models_that_have_seen_conformers_are_nearer(shipped, held_out):
    given = [one for one in geometries.all_from_smiles(held_out.smiles.tolist()[::3]) if one.atoms is not None]
    truth = dict(zip(held_out.smiles.tolist(), held_out.energy.tolist(), strict=True))
    molecules, true = predict.without_energies([one.atoms for one in given]), [truth[one.name] for one in given]
    before, now = (
        np.median(abs(one.energies(molecules).mean(axis=0) - true)) for one in (shipped, shipped.approximate)
    )
    assert now < 0.7 * before


def test_the_atomisation_energy_is_positive_for_what_is_bound(shipped, ethanol):
    (one,) = shipped.predict([ethanol])
    free = sum(ATOMIC_REFERENCES_U0[int(z)] for z in ethanol.numbers)
    assert one.atomisation_energy == pytest.approx(free - one.energy, abs=1e-9)
    assert one.atomisation_energy == pytest.approx(free - ethanol.get_potential_energy(), abs=0.5)
    assert one.atomisation_energy_kcal == pytest.approx(one.atomisation_energy * 23.06055, rel=1e-6)
    assert 700 < one.atomisation_energy_kcal < 800
    assert one.energy_hartree == pytest.approx(one.energy / 27.211386, rel=1e-7)
    assert one.formula == "C2H6O"


def test_the_table_has_a_row_per_molecule_and_units_in_its_columns(shipped, held_out):
    predicted = shipped.predict(held_out, outside=True)
    frame = outputs.table(predicted)
    assert len(frame) == len(held_out)
    assert frame["U0_eV"].tolist() == [one.energy for one in predicted]
    assert frame["U0_hartree"].to_numpy() * ase.units.Hartree == pytest.approx(frame["U0_eV"])
    kcal = frame["atomisation_eV"] / frame["atomisation_kcal_mol"]
    assert kcal.to_numpy() == pytest.approx(0.0433641, rel=1e-5)
    assert frame["spread_eV"].gt(0).all()


def test_nothing_given_is_nothing_predicted(shipped):
    assert shipped.predict([]) == []


def test_a_single_model_has_no_spread(shipped, qm9_molecules, ethanol):
    alone = predict.Ensemble(shipped.records[:1], qm9_molecules)
    (one,) = alone.predict([ethanol], geometry="dft")
    assert np.isnan(one.spread)
    assert one.warnings == ()
    assert one.energy == pytest.approx(predictions_of_each(shipped, ethanol)[0], abs=FLOAT32)


def predictions_of_each(ensemble: predict.Ensemble, atoms: Atoms) -> np.ndarray:
    return ensemble.energies(predict.without_energies([atoms]))[:, 0]


@pytest.mark.parametrize("which", ["none", "twice", "two configurations"])
def test_models_that_make_no_ensemble_are_refused(which, final, qm9_molecules):
    chosen = {"none": [], "twice": final["default"][:1] * 2, "two configurations": final.runs[::5]}[which]
    message = {"none": "at least one", "twice": "the same seed", "two configurations": "differ in more than their seed"}
    with pytest.raises(predict.PredictError, match=message[which]):
        predict.Ensemble(chosen, qm9_molecules)


def test_models_of_other_molecules_are_refused(final, few_molecules):
    with pytest.raises(predict.PredictError, match=f"{final['default'][0].id} was made with other molecules"):
        predict.Ensemble(final["default"][:1], few_molecules)


# ---- what changes nothing --------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(data=st.data())
def test_where_a_molecule_stands_and_how_it_is_written_changes_nothing(shipped, held_out, data):
    place = data.draw(st.integers(0, len(held_out) - 1))
    (atoms,) = to_ase(held_out.select([place]))
    order = data.draw(st.permutations(range(len(atoms))))
    shift = data.draw(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
    turn = Rotation.random(rng=np.random.default_rng(data.draw(st.integers(0, 2**32))))
    moved = Atoms(atoms.numbers[order], turn.apply(atoms.positions[order]) + shift)
    before, after = shipped.predict([atoms, moved], outside=True)
    assert after.energy == pytest.approx(before.energy, abs=FLOAT32)
    assert after.spread == pytest.approx(before.spread, abs=FLOAT32)


@settings(max_examples=15)
@given(data=st.data())
def test_the_order_of_the_batch_changes_only_the_order_of_the_answers(shipped, held_out, data):
    order = np.array(data.draw(st.lists(st.integers(0, len(held_out) - 1), min_size=1, max_size=20, unique=True)))
    expected = shipped.energies(held_out)[:, order]
    assert shipped.energies(held_out.select(order)) == pytest.approx(expected, abs=FLOAT32)


# ---- what is refused -------------------------------------------------------------------------------------------------


def changed(**info: object) -> Atoms:
    atoms = molecule("H2O")
    atoms.info |= info
    return atoms


def with_nan() -> Atoms:
    atoms = molecule("H2O")
    atoms.positions[1, 2] = np.nan
    return atoms


def charged() -> Atoms:
    atoms = molecule("H2O")
    atoms.set_initial_charges([0.5, 0.25, 0.25])
    return atoms


def torn(atoms: Atoms, move: float = 0.0) -> Atoms:
    """The molecule in a box, its atoms moved into it across the faces."""
    wrapped = Atoms(atoms.numbers, atoms.positions + move, cell=[9, 10, 11], pbc=True)
    wrapped.wrap()
    wrapped.pbc = False
    return wrapped


REFUSED = {
    "no atoms": (Atoms(), "it has no atoms"),
    "sulfur": (molecule("SH2"), "it holds S; the models know only H, C, N, O and F"),
    "no element": (Atoms(numbers=[999], positions=[[0, 0, 0]]), "it holds element 999"),
    "dummy": (Atoms("XH", [[0, 0, 0], [0, 0, 1]]), "it holds X"),
    "nan": (with_nan(), "position of its atom 2 is"),
    "beyond float32": (
        Atoms("OH2", [[0, 0, 0], [0, 0, 0.96], [0, 0, 1e39]]),
        r"position of its atom 3 is \[0.0, 0.0, 1e\+39",
    ),
    "one atom far off": (Atoms("O", [[-1e300, 0, 0]]), r"position of its atom 1 is \[-1e\+300"),
    "periodic": (Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[9, 9, 9], pbc=True), "it is periodic"),
    "torn": (torn(molecule("CH4")) + torn(molecule("H2O"), 5), "it falls apart into 2 pieces, which no bond across"),
    "a dictionary": ({"elements": ["H"]}, r"it is a dictionary \(molecules.from_jarvis takes those of JARVIS\), not"),
    "charge in info": (changed(charge=-1), r"its charge is -1"),
    "charges of atoms": (charged(), r"its initial_charges add up to \+1"),
    "multiplicity": (changed(multiplicity=3), "its multiplicity is 3"),
    "triplet": (molecule("O2"), "the initial_magmoms of its atoms are not zero"),
    "radical": (Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), "9 electrons, an odd number"),
    "one place": (Atoms("OCO", [[0, 0, 1.2], [0, 0, 0], [0, 0, 1.2]]), "its atoms 1 and 3 are 0 Å apart"),
    "too near": (Atoms("OCO", [[0, 0, 1.2], [0, 0, 0], [0, 0, 1.5]]), "its atoms 1 and 3 are 0.3 Å apart"),
    "bohr": (stretched(molecule("CH3CH2OH"), 1 / ase.units.Bohr), "they seem to be in bohr: multiply them by 0.529177"),
    "water in bohr": (stretched(molecule("H2O"), 1 / ase.units.Bohr), "they seem to be in bohr"),
    "nm": (stretched(molecule("CH3CH2OH"), 0.1), "they seem to be in nm: multiply them by 10"),
    "pm": (stretched(molecule("CH3CH2OH"), 100), "they seem to be in pm: divide them by 100"),
    "two far atoms": (Atoms("HF", [[0, 0, 0], [0, 0, 5]]), "it is no molecule, or not in Å"),
    "too many": (Atoms("H2000", np.arange(6000).reshape(-1, 3)), "it has 2,000 atoms, more than 1,000"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_models_cannot_know_is_refused_by_name(case, shipped):
    atoms, reason = REFUSED[case]
    with pytest.raises(predict.PredictError, match=f"^odd one: .*{reason}"):
        shipped.predict([molecule("H2O"), atoms], ["water", "odd one"])


@pytest.mark.parametrize(
    "info",
    [
        {"charge": 0},
        {"charge": "none", "multiplicity": "singlet"},
        {"multiplicity": 1},
        {"total_charge": 0.0, "spin": 0},
        {"q": 0, "S": 0, "MND": 2},  # tmQM's comment
        {"uhf": 0, "key_value_pairs": {"charge": np.int64(0)}},
        {"mulliken_charges": [0.4, -0.2001, -0.2], "spin_polarised": False},
        {"index": 3, "dispersion": -0.1, "q1": 1, "title": True},
    ],
)
def test_what_says_that_it_is_neutral_is_predicted(info, shipped):
    (plain,), (one,) = shipped.predict([molecule("H2O")]), shipped.predict([changed(**info)])
    assert one == plain


OPEN = {
    "charge": [
        *("charge", "Charge", "CHARGE", "total_charge", "totalCharge", "TOTAL CHARGE", "net_charge"),
        *("molecular-charge", "q", "Q", "q_tot", "chrg", "tot_chg", "formal_charge", "charge_total"),
    ],
    "multiplicity": ["multiplicity", "Multiplicity", "mult", "spin_multiplicity", "spinMult", "2S+1"],
    "unpaired": ["uhf", "unpaired_electrons", "n_unpaired", "num_radical_electrons", "magmom", "total_magnetization"],
    "spin": ["spin", "Spin", "total_spin"],
}


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in OPEN.items() for key in keys])
def test_a_charge_and_a_spin_are_seen_under_any_of_their_names(kind, key):
    closed = 1 if kind == "multiplicity" else 0
    known = "neutral molecules" if kind == "charge" else "closed shells"
    for value in (closed + 2, np.float64(closed + 2), str(closed + 2), [closed + 2], f"{closed + 2}+", "two"):
        why = applicability.refusal(changed(**{key: value}))
        assert key in why, value
        assert known in why or "no number" in why, value
    assert applicability.refusal(changed(key_value_pairs={key: closed + 2}))
    assert applicability.refusal(changed(**{key: closed})) == ""
    assert electrons.doubts(changed(**{key: closed})) == ()


def test_a_spin_of_one_is_a_closed_shell_and_says_so(shipped):
    """As fairchem's multiplicity; as a number of unpaired electrons it goes with an odd number of electrons alone."""
    words = "its spin is 1, taken as the multiplicity of a closed shell, and not as S = 1"
    assert words in said(shipped, changed(charge=0, spin=1))
    assert "odd number" in applicability.refusal(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]], info={"spin": 1}))


@pytest.mark.parametrize("value", [2, 0.5, -1, 3])
def test_a_spin_of_anything_else_is_an_open_shell(value):
    assert f"its spin is {value:g}; " in applicability.refusal(changed(spin=value))


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"charge": True}, "it says 'charge' without a value"),
        ({"charge:": True, "2": True}, "it says 'charge:' without a value"),
        ({"title": "on the charge: a study"}, "its on the charge is a; "),
        ({"water": True, "cation": True}, "it says 'cation' without a value"),
        ({"ion_charge_state": 2}, "its ion_charge_state is 2; the models know only neutral closed shells"),
        ({"S": 1}, "its S is 1; "),
        ({"nspins_of": "up"}, "its nspins_of is up; "),
        ({"0": True, "3": True}, "its comment is '0 3': write charge=… and multiplicity=…"),
    ],
)
def test_anything_else_like_a_charge_or_a_spin_gets_a_warning(info, words, shipped):
    assert words in said(shipped, changed(**info))


def test_charges_and_moments_of_atoms_are_seen_wherever_they_lie():
    water = molecule("H2O")
    for where in ("results", "parameters"):
        water.calc = SimpleNamespace(**{where: {"charge": 1}})
        assert "its charge is +1" in applicability.refusal(water)
    water.calc = SimpleNamespace(results={"magmom": 2.0})
    assert "its magmom is 2" in applicability.refusal(water)
    water.calc = SimpleNamespace(results={"magmom": 1e-9, "magmoms": np.full(3, 1e-9), "charges": [-0.8, 0.4, 0.4001]})
    assert applicability.refusal(water) == ""
    water.calc = None
    water.arrays["formal_charges"] = np.array([1, 0, 0])
    assert "its formal_charges add up to +1" in applicability.refusal(water)
    water.arrays["formal_charges"][1] = -1
    assert applicability.refusal(water) == ""
    water.arrays["spins"] = np.array([1.0, -1.0, 0.0])
    assert "the spins of its atoms are not zero" in applicability.refusal(water)


@pytest.mark.parametrize(
    "comment",
    ["charge=+1", "Charge = 2", "q = 2 | S = 0", "charge=2+", 'charge="0 1"', "magmom=2", "total spin=3", "charge=nan"],
)
def test_a_comment_that_says_so_is_refused_from_its_file(comment, tmp_path):
    path = tmp_path / "ion.xyz"
    path.write_text(f"3\n{comment}\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n")
    (found,) = geometries.read_file(path)
    assert applicability.refusal(found.atoms)


@pytest.mark.parametrize("said", ["charge: 1", "total_charge: '+1'", "charges: [1, 0, 0]", "multiplicity: 3", "q: 1"])
@pytest.mark.parametrize(
    "comment",
    [
        "info={{{json}}}",
        "{{{json}}}",
        'info="{{{escaped}}}"',
        'info="_JSON {{{escaped}}}"',
        'info="_JSON [{{{escaped}}}]"',
        'info={{"of": "PySCF", "molecule": {{{json}}}}}',
        "info={{{python}}}",
        'info="{plain}"',
    ],
)
def test_a_charge_inside_a_dictionary_is_seen_however_it_is_written(comment, said, tmp_path):
    path = tmp_path / "ion.xyz"
    name, value = said.split(": ")
    python = f"'{name}': {value}"
    json = python.replace("'", '"')
    written = comment.format(
        json=json, python=python, escaped=json.replace('"', '\\"'), plain=said.replace("'", "").replace(": ", " = ")
    )
    for text, refused in ((written, True), (written.replace("1", "0").replace("3", "1"), False)):
        path.write_text(f"3\n{text}\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n")
        (found,) = geometries.read_file(path)
        assert bool(why := applicability.refusal(found.atoms)) == refused, why
        assert electrons.doubts(found.atoms) == ()


@pytest.mark.parametrize(
    "text", ["C[N+](=O)[O-]", "S=C=S", "InChI=1S/CH4/h1H4", "level: B3LYP, S: see SI", "a = {b: 1}"]
)
def test_a_text_without_a_charge_is_nothing_to_say(text):
    atoms = changed(smiles=text, title={"of": [text]})
    assert (applicability.refusal(atoms), electrons.doubts(atoms)) == ("", ())


def test_a_molecule_torn_by_its_box_is_predicted_in_one_piece(shipped, ethanol, tmp_path):
    boxed = torn(ethanol)
    assert boxed.get_all_distances().max() > 7
    (whole,), (one,) = shipped.predict([ethanol]), shipped.predict([boxed])
    assert one.energy == pytest.approx(whole.energy, abs=FLOAT32)
    assert one.warnings == whole.warnings
    boxed.write(tmp_path / "torn.extxyz")
    assert 'pbc="F F F"' in (tmp_path / "torn.extxyz").read_text()
    (read,) = geometries.read_file(tmp_path / "torn.extxyz")
    assert shipped.predict([read.atoms])[0].energy == pytest.approx(whole.energy, abs=1e-4)  # 8 decimals of an Å
    boxed.calc, ethanol.calc = (EnsembleCalculator(shipped, untrained_forces=True) for _ in range(2))
    assert boxed.get_potential_energy() == pytest.approx(ethanol.get_potential_energy(), abs=FLOAT32)
    assert boxed.get_forces() == pytest.approx(ethanol.get_forces(), abs=FLOAT32)
    assert not boxed.calc.calculation_required(boxed, ["energy", "forces"])


def test_nothing_of_qm9_is_refused(few_molecules):
    assert {applicability.refusal(atoms) for atoms in to_ase(few_molecules)} == {""}


# ---- what is warned of -----------------------------------------------------------------------------------------------


def test_few_held_out_molecules_are_warned_of_and_their_errors_are_larger(shipped, qm9_molecules):
    held = qm9_molecules.select(np.isin(qm9_molecules.index, shipped.records[0].errors["index"]))
    errors = np.stack([one.errors["error"].to_numpy(float) for one in shipped.records])
    spread = errors.std(axis=0, ddof=1)
    warned = np.array([len(words) > 0 for words in shipped.domain.warnings(held, spread)])
    assert 0.001 < warned.mean() < 0.003  # 0.001 for the spread, and what no training molecule has
    squared = (errors**2).mean(axis=0)
    assert squared[warned].mean() > 5 * squared[~warned].mean()


def test_a_relaxed_molecule_is_not_warned_of_and_a_stretched_one_is(shipped, ethanol):
    assert said(shipped, ethanol) == ""
    for factor in (0.9, 1.1, 1.2):
        assert "is the geometry relaxed?" in said(shipped, stretched(ethanol, factor))


def test_one_stretched_bond_is_named_with_its_length(shipped, ethanol):
    # the hydrogen of the hydroxyl group, moved along its bond
    oxygen = int(np.flatnonzero(ethanol.numbers == 8)[0])
    hydrogen = int(ethanol.get_distances(oxygen, np.flatnonzero(ethanol.numbers == 1)).argmin())
    hydrogen = int(np.flatnonzero(ethanol.numbers == 1)[hydrogen])
    ethanol.set_distance(oxygen, hydrogen, 1.12, fix=0)
    pair = sorted([oxygen + 1, hydrogen + 1])
    assert f"1.120 Å apart (atoms {pair[0]} and {pair[1]}): no training molecule has such" in said(shipped, ethanol)
    ethanol.set_distance(oxygen, hydrogen, 1.5, fix=0)
    assert "H bonded to nothing" in said(shipped, ethanol)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_models_forces_do_not_tell_a_relaxed_geometry_from_another(shipped, held_out):
    """Which is why no warning goes by them, as the domain's docstring says."""
    calculator = EnsembleCalculator(shipped, geometry="dft", untrained_forces=True, outside=True)

    def largest_forces(factor: float) -> list[float]:
        found = []
        for atoms in to_ase(held_out)[::5]:
            moved = stretched(atoms, factor)
            moved.calc = calculator
            found.append(np.linalg.norm(moved.get_forces(), axis=1).max())
        return found

    relaxed, long = largest_forces(1.0), largest_forces(1.1)
    assert np.median(relaxed) > 1
    assert max(relaxed) > np.median(long)


def test_environments_are_counted_as_by_hand(few_molecules):
    """Two atoms have one code if, and only if, element and neighbours with their numbers of bonds are the same."""
    by_hand = []
    for atoms in to_ase(few_molecules):
        radii = covalent_radii[atoms.numbers]
        bonded = atoms.get_all_distances() < 1.3 * (radii[:, None] + radii)
        np.fill_diagonal(bonded, val=False)
        degree = bonded.sum(axis=1)
        by_hand += [
            (z, *sorted(zip(atoms.numbers[row].tolist(), degree[row].tolist(), strict=True)))
            for z, row in zip(atoms.numbers.tolist(), bonded, strict=True)
        ]
    codes = applicability._Looked.at(few_molecules).codes.tolist()
    assert len(set(by_hand)) > 50
    assert len(set(by_hand)) == len(set(codes)) == len(set(zip(by_hand, codes, strict=True)))


def test_distances_are_counted_as_by_hand(few_molecules):
    looked = applicability._Looked.at(few_molecules)
    found = Counter(looked.steps.tolist())
    by_hand = Counter()
    for atoms in to_ase(few_molecules):
        distance, elements = atoms.get_all_distances(), np.searchsorted([1, 6, 7, 8, 9], atoms.numbers)
        for i, j in zip(*np.triu_indices(len(atoms), 1), strict=True):
            if distance[i, j] < 2.5:
                kind = max(elements[i], elements[j]) * 5 + min(elements[i], elements[j])
                by_hand[int(kind * 125 + np.float32(distance[i, j]) / 0.02)] += 1
    assert sum((found - by_hand).values()) <= 5  # where a distance is a limit, rounding decides
    assert found.total() == by_hand.total() > 5000


def test_more_atoms_than_the_training_molecules_have_are_warned_of(shipped):
    naphthol = from_smiles("c1ccc2ccccc2c1O").atoms
    assert "11 atoms other than hydrogen; the training molecules have 1 to 9" in said(shipped, naphthol)
    nonane_and_more = from_smiles("CCCCCCCCCC").atoms
    assert "32 atoms; the training molecules have 3 to 29" in said(shipped, nonane_and_more)


def test_a_model_of_large_molecules_warns_of_small_ones(custom, shipped, ethanol):
    assert "9 atoms; the training molecules have 18 to 29" in said(custom, ethanol)
    assert "training molecules have" not in said(shipped, ethanol)


def test_an_atom_that_no_training_molecule_has_is_named(shipped):
    difluoramine = from_smiles("FNF").atoms
    words = "F bonded to N3 (atom 1; a digit is the neighbour's number of bonds): no training molecule has such an atom"
    assert words in said(shipped, difluoramine)


@pytest.mark.parametrize("name", ["H2O", "NH3", "CH4", "H2CO", "HCN", "CH3CH2OH", "C6H6", "CH3COOH", "C5H5N"])
def test_textbook_geometries_of_what_qm9_holds_are_not_warned_of(name, shipped):
    """G2's, relaxed with MP2: H–H of water is 1.526 Å there, which no molecule of QM9 has to 0.02 Å."""
    assert said(shipped, Atoms(molecule(name).numbers, molecule(name).positions)) == ""


def test_two_molecules_in_one_are_said_to_be_two(shipped):
    dimer = molecule("H2O")
    beside = dimer.copy()
    beside.positions[:, 0] += 2.9
    assert "2 parts that no bond holds together; the training molecules are one" in said(shipped, dimer + beside)


def test_the_record_of_the_warnings_has_every_geometry_and_good_ones_are_seldom_warned_of():
    counts = robustness.load_warnings()
    assert list(counts.index) == ["test", "g2", "mmff", *warned.CHANGES]
    share = counts["any"] / counts["number"]
    good = ["test", "mmff", "scaled_0.99", "scaled_1.01", "shaken"]
    assert share[good].max() < 0.05
    assert share.drop([*good, "g2"]).min() > 0.6
    assert counts.loc["test", "number"] == 13084


def test_the_warnings_are_counted_for_each_geometry(shipped, few_molecules):
    water, ammonia = (Atoms(molecule(name).numbers, molecule(name).positions) for name in ("H2O", "NH3"))
    far = Atoms(water.numbers, water.positions + np.array([[0, 0, 0], [0, 9, 0], [0, 0, 0]]))
    rows = {row.pop("geometries"): row for row in warned._rows(shipped, {"some": [water, ammonia, far], "none": []})}
    assert rows["some"]["number"] == 3
    assert rows["some"]["parts"] == rows["some"]["environment"] == rows["some"]["any"] == 1
    assert set(rows["none"].values()) == {0}
    rng = np.random.default_rng(0)
    for name, change in warned.CHANGES.items():
        for one in to_ase(few_molecules.select(range(100, 105))):
            new = change(one, rng)
            assert new is None or len(new) > 0, name


def test_a_record_of_the_warnings_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(robustness.RobustnessError, match=r"nothing\.csv can't be read"):
        robustness.load_warnings(tmp_path / "nothing.csv")


def test_models_that_disagree_are_warned_of(shipped, qm9_molecules):
    spread = np.std([record.errors["error"] for record in shipped.records], axis=0)
    index = shipped.records[0].errors["index"].iloc[int(spread.argmax())]
    molecules = qm9_molecules.select(np.flatnonzero(qm9_molecules.index == index))
    (one,) = shipped.predict(molecules, geometry="dft", outside=True)
    assert one.spread > shipped.domain.spread
    limit = f"by {one.spread:.3f} eV, above {shipped.domain.spread:.3f} eV"
    assert f"the models differ more than usual: {limit}" in one.warnings


# QM9 holds none of these: more than nine heavy atoms, or groups that it lacks.
ELSEWHERE = {
    "toluic acid": "Cc1ccc(cc1)C(=O)O",
    "naphthalene": "c1ccc2ccccc2c1",
    "phenylalanine": "NC(Cc1ccccc1)C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "decane": "CCCCCCCCCC",
    "fluorobiphenyl": "Fc1ccccc1-c1ccccc1",
    "menthol": "CC1CCC(C(C)C)C(O)C1",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "nicotine": "CN1CCCC1c1cccnc1",
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_molecules_that_qm9_does_not_hold_are_sensible_and_warned_of(name, shipped, qm9_molecules):
    atoms = from_smiles(ELSEWHERE[name]).atoms
    (one,) = shipped.predict([atoms], outside=True)
    assert any("atoms other than hydrogen" in warning for warning in one.warnings)
    # As a sum over atoms, with an energy per element fitted to all of QM9, gives it.
    per_element = np.linalg.lstsq(
        qm9_molecules.element_counts().astype(float),
        qm9_molecules.energy - predict.reference_energies(qm9_molecules),
        rcond=None,
    )[0]
    counts = np.array([(atoms.numbers == z).sum() for z in (1, 6, 7, 8, 9)])
    assert one.atomisation_energy == pytest.approx(-counts @ per_element, rel=0.08)
    assert one.spread < 2


# ---- the calculator --------------------------------------------------------------------------------------------------


def test_the_calculators_energy_is_the_prediction_and_forces_its_derivative(shipped, ethanol):
    (one,) = shipped.predict([ethanol])
    ethanol.calc = EnsembleCalculator(shipped, untrained_forces=True)
    assert ethanol.get_potential_energy() == pytest.approx(one.energy, abs=FLOAT32)
    forces = ethanol.get_forces()
    assert forces.shape == (len(ethanol), 3)
    assert forces.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-8)
    step = 1e-4  # Å
    for atom, axis in [(0, 0), (2, 1), (8, 2)]:
        energies = []
        for sign in (1, -1):
            moved = ethanol.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = ethanol.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-5)
    contributions = ethanol.calc.results["energy_contributions"]
    assert np.std(contributions, ddof=1) == pytest.approx(one.spread, abs=FLOAT32)


def test_forces_that_nobody_asked_for_are_refused_and_so_is_a_relaxation(shipped, ethanol):
    (one,) = shipped.predict([ethanol])
    ethanol.calc = EnsembleCalculator(shipped)
    for _ in range(2):  # before there is an energy, and after
        with pytest.raises(PropertyNotImplementedError, match=r"no forces: .* untrained_forces=True"):
            ethanol.get_forces()
        assert ethanol.get_potential_energy() == pytest.approx(one.energy, abs=FLOAT32)
    with pytest.raises(PropertyNotImplementedError, match="no forces"):
        BFGS(ethanol, logfile=None).run(steps=1)


@pytest.mark.parametrize(
    ("atoms", "why"),
    [(molecule("SH2"), "it holds S"), (changed(total_charge=2), "its total_charge is"), (molecule("O2"), "magmoms")],
)
def test_the_calculator_refuses_what_is_refused(atoms, why, shipped):
    atoms.calc = EnsembleCalculator(shipped)
    with pytest.raises(InputError, match=why):
        atoms.get_potential_energy()


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_calculator_refuses_what_is_outside_unless_asked_for(shipped):
    difluoramine = from_smiles("FNF").atoms
    difluoramine.calc = EnsembleCalculator(shipped)
    for _ in range(2):
        with pytest.raises(InputError, match=r"^outside what the models know: F bonded to N3"):
            difluoramine.get_potential_energy()
    difluoramine.calc = EnsembleCalculator(shipped, outside=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        energy = difluoramine.get_potential_energy()
    (one,) = shipped.predict([difluoramine], outside=True)
    assert energy == pytest.approx(one.energy, abs=FLOAT32)
    assert {str(one.message) for one in told} >= set(one.warnings)


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_calculator_warns_of_what_may_be_a_charge(shipped):
    atoms = changed(cation=True)
    atoms.calc = EnsembleCalculator(shipped)
    with pytest.warns(UserWarning, match="it says 'cation' without a value"):
        atoms.get_potential_energy()


# ---- geometries ------------------------------------------------------------------------------------------------------


def test_a_smiles_gives_the_same_geometry_every_time(shipped):
    first, again = (from_smiles("CCO") for _ in range(2))
    assert (first.atoms.positions == again.atoms.positions).all()
    assert (first.kind, first.notes) == ("mmff", ())
    assert said(shipped, first.atoms) == ""


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("nonsense", "RDKit reads no structure"),
        ("", "RDKit reads no structure"),
        ("C.O", "several molecules"),
        ("C" * 400, "it has 1,202 atoms, more than 1,000"),
        ("CO₂", "no SMILES holds '₂'"),
        ("CÇ", "no SMILES holds 'Ç'"),
        ("ССО", "no SMILES holds 'С'"),
        ("C\u200bC", r"no SMILES holds '\u200b'"),
        ("C\x00", r"no SMILES holds '\x00'"),
        ("C\udcff", r"no SMILES holds '\udcff'"),
        ("CCO ethanol", "ends at the first space"),
        ("C\nCO", "ends at the first space"),
        ("CC |^1:0,1|", "ends at the first space"),
        ("CC>>CO", "RDKit reads no structure"),
        ("C*", "it holds X"),
        ("[2H]O", "it holds 2H; the models know only the usual isotopes"),
        ("[13CH4]", "it holds 13C"),
        ("C~C", "a bond that is unspecified"),
        ("C$C", "a bond that is quadruple"),
        ("C:C", "a bond that is aromatic"),
        ("CN->O", "an odd number"),
        ("[NH4+]", "its charge is +1"),
        ("[CH3]", "its multiplicity is 2"),
        ("[CH2]", "its multiplicity is 3"),
        ("[C:1]", "its multiplicity is 5"),
        ("CS", "it holds S"),
    ],
)
def test_a_smiles_without_a_geometry_says_why(smiles, reason):
    found = from_smiles(smiles)
    assert found.atoms is None
    assert reason in found.trouble


@pytest.mark.parametrize(("smiles", "name"), [("", "''"), (" ", "' '"), ("C\x00C", r"'C\x00C'"), ("CCO", "CCO")])
def test_a_smiles_that_nobody_could_see_is_named_in_quotes(smiles, name):
    assert from_smiles(smiles).name == name


def test_a_smiles_that_mmff_does_not_know_says_so():
    assert "MMFF94 does not know all its atoms" in from_smiles("[H][H]").notes[0]


@pytest.mark.parametrize("smiles", [" CCO\n", "[CH3:1][CH2][OH:2]", "[12CH3]C[16OH]", "CCO\t"])
def test_a_smiles_that_says_the_same_gives_the_same(smiles):
    assert from_smiles(smiles).atoms == from_smiles("CCO").atoms


SLOW = "c1ccc2c(c1)c1c3c(c4c5ccccc5n5c4c1n2[C@@H]1C[C@H](C(=O)OC)[C@]5(C)O1)CNC3=O"  # 20 s of processor time
BREAKS = "O1C2=CC=CC3=CC=C[N+](=C23)[Hg]14OC5=CC=CC6=CC=C[N+]4=C56"  # an Invariant Violation of RDKit's embedding


def test_what_cannot_be_predicted_is_never_embedded(monkeypatch):
    monkeypatch.setattr(geometries.Conformers, "of", lambda *_: pytest.fail("it was embedded"))
    for smiles in (BREAKS, "CCSC", "C.C", "[NH4+]", "[CH3]", "C" * 400, "[2H]O", "CO₂"):
        assert from_smiles(smiles).trouble


def test_a_molecule_may_take_so_much_processor_time_and_the_next_is_embedded_all_the_same():
    with conformers.Conformers(seconds=0.5) as embedder:
        first = embedder.of("CCO")
        with pytest.raises(conformers.ConformerError, match=r"RDKit needs more than 0\.5 s of processor time"):
            embedder.of(SLOW)
        again = embedder.of("CCO")
    assert (first[0] == again[0]).all()


def test_what_breaks_rdkit_takes_no_other_molecule_along():
    with conformers.Conformers() as embedder:
        with pytest.raises(conformers.ConformerError, match="Invariant Violation"):
            embedder.of(BREAKS)
        process = embedder._process
        assert len(embedder.of("CCO")[0]) == 9
        assert embedder._process is process
        process.kill()
        with pytest.raises(conformers.ConformerError, match="RDKit ended with code -9"):
            embedder.of("CCO")
        assert len(embedder.of("CCO")[0]) == 9


def test_an_interrupt_ends_the_embedding(monkeypatch):
    """Ctrl-C comes while the answer is waited for."""
    started = []
    popen = subprocess.Popen

    def interrupted(*arguments, **options):
        process = popen(*arguments, **options)
        started.append(process)

        def readline():
            os.kill(os.getpid(), signal.SIGINT)

        process.stdout.readline = readline
        return process

    monkeypatch.setattr(conformers.subprocess, "Popen", interrupted)
    # A shell starts what it runs in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            from_smiles(SLOW)
    finally:
        signal.signal(signal.SIGINT, before)
    assert started[0].returncode == -signal.SIGKILL


def test_a_damaged_molecule_keeps_no_other_from_being_read(tmp_path, few_molecules):
    path = tmp_path / "many.xyz"
    extxyz.write(path, few_molecules.select(range(3)))
    lines = path.read_text().splitlines()
    second = few_molecules.n_atoms[0] + 2
    lines[second + 2] = "H 0 nothing 0"
    path.write_text("\n".join([*lines, "2", "cut here", "H 0 0 0"]))
    first, damaged, third, cut = geometries.read_file(path)
    assert damaged.name == f"{path}, molecule 2"
    assert "it can't be read" in damaged.trouble
    assert "the file was cut" in cut.trouble
    for found, expected in zip([first, third], to_ase(few_molecules.select([0, 2])), strict=True):
        assert (found.atoms.positions == expected.positions).all()
        assert (found.atoms.numbers == expected.numbers).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "holds no molecules"),
        ("two\n\nH 0 0 0\n", "its number of atoms is expected in place of 'two'"),
        ("1\n\nXx 0 0 0\n", "there is no element 'Xx'"),
        ("2\n\nH 0 0 0\n", "the file was cut"),
        ("1\nProperties=species:S:1:pos:R:3000000000\nH 0 0 0\n", "more than 1,000 columns"),
        ('1\nProperties="species:S:1:pos:R:3000000000"\nH 0 0 0\n', "more than 1,000 columns"),
        ("1\nProperties=species:S:1:pos:R:three\nH 0 0 0\n", "it can't be read"),
        ("1\nProperties=species:R:1:pos:R:3\n1 0 0 0\n", "it can't be read"),
        (b"\xff\xfe\x00", "can't be read"),
        (None, "it can't be read (there is no such file)"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content, reason, tmp_path):
    path = tmp_path / "one.xyz"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (found,) = geometries.read_file(path)
    assert found.name == str(path)
    assert reason in found.trouble


@settings(max_examples=150)
@given(rng=st.randoms(use_true_random=False))
def test_each_molecule_of_any_file_is_read_or_refused_with_a_reason(rng, tmp_path_factory, few_molecules):
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    whole, path = folder / "whole.xyz", folder / "mutated.xyz"
    if not whole.exists():
        extxyz.write(whole, few_molecules.select(range(20, 23)))
    path.write_bytes(
        fuzzing.damaged(whole.read_bytes(), rng)
        if rng.random() < 0.5
        else fuzzing.edited_table(whole.read_text().replace(" ", ","), rng).replace(",", " ").encode()
    )
    found = list(geometries.read_file(path))
    assert found
    for one in found:
        assert (one.atoms is None) == bool(one.trouble)
        if one.atoms is not None:
            assert isinstance(applicability.refusal(one.atoms), str)
    assert all(one.name for one in found)


def test_a_file_of_another_kind_is_not_opened(tmp_path):
    (found,) = geometries.read_file(tmp_path / "model.pkl")
    ends = ".xyz, .extxyz, .sdf, .mol, .smi, .smiles, .csv or one of these and .gz"
    assert found.trouble == f"its name does not end in {ends}; --format says what else it is"


def sdf(atoms: Atoms, smiles: str, *, name: str = "", flat: bool = False) -> str:
    """A block of an SDF file, whose atoms are in the order of the SMILES."""
    structure = Chem.AddHs(Chem.MolFromSmiles(smiles))
    conformer = Chem.Conformer(structure.GetNumAtoms())
    conformer.Set3D(not flat)
    for place, position in enumerate(atoms.positions):
        conformer.SetAtomPosition(place, (*position[:2].tolist(), 0.0) if flat else position.tolist())
    structure.AddConformer(conformer)
    structure.SetProp("_Name", name)
    return f"{Chem.MolToMolBlock(structure)}$$$$\n"


def test_an_sdf_file_brings_geometries_names_and_structures_without_a_geometry(tmp_path):
    ours = from_smiles("CCO").atoms
    whole, flat = sdf(ours, "CCO", name="ethanol"), sdf(ours, "CCO", flat=True)
    bare = Chem.MolToMolBlock(Chem.RemoveHs(Chem.MolFromMolBlock(whole)))
    path = tmp_path / "some.sdf"
    path.write_text(f"{whole}{flat}nonsense\n$$$$\n{bare}$$$$\n{sdf(from_smiles('C').atoms, 'C', name='methane')}")
    in_space, drawn, damaged, without, methane = geometries.read_file(path)
    assert (in_space.name, methane.name) == ("ethanol", "methane")
    assert in_space.kind == "unknown"
    assert in_space.atoms.positions == pytest.approx(ours.positions, abs=1e-4)
    assert drawn.kind == "mmff"
    assert drawn.atoms.get_chemical_formula() == "C2H6O"
    assert damaged.name == f"{path}, molecule 3"
    assert "RDKit reads no structure" in damaged.trouble
    assert without.trouble == "it lacks 6 of its hydrogens: add them, or hand in its SMILES"
    (alone,) = geometries.read_file(_written(tmp_path / "one.mol", whole.partition("$$$$")[0]))
    assert alone.name == "ethanol"


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_smiles_come_from_lines_and_columns_with_their_names(tmp_path):
    lines = "SMILES name\nCCO ethanol, dry\n\nC\tmethane\nInChI=1S/H2O/h1H2 water\nCC\n"
    found = list(geometries.read_file(_written(tmp_path / "some.smi", lines)))
    assert [one.name for one in found] == ["ethanol, dry", "methane", "water", "CC"]
    assert [one.atoms.get_chemical_formula() for one in found] == ["C2H6O", "CH4", "H2O", "C2H6"]
    assert not [one for one in found if one.trouble]
    table = _written(tmp_path / "some.csv", "id,SMILES,canonical\n1,CCO,OCC\n2,CS,SC\n3,CCO,OCC\n")
    first, second, third = geometries.read_file(table)
    assert (first.name, second.name, third.name) == ("CCO", "CS", "CCO")
    assert "it holds S" in second.trouble
    assert [one.name for one in geometries.read_file(table, column="canonical")] == ["OCC", "SC", "OCC"]
    (lacking,) = geometries.read_file(table, column="inchi")
    assert "(it has no column 'inchi', only id, SMILES, canonical: --column names another)" in lacking.trouble


def test_an_inchi_gives_the_molecule_of_its_smiles():
    (found,) = geometries.all_from_smiles(["InChI=1S/C2H6O/c1-2-3/h3H,2H2,1H3"])
    assert found.atoms.numbers.tolist() == from_smiles("CCO").atoms.numbers.tolist()
    assert found.atoms.positions == pytest.approx(from_smiles("CCO").atoms.positions, abs=1e-6)
    (wrong,) = geometries.all_from_smiles(["InChI=1S/nonsense"])
    assert wrong.trouble == "RDKit reads no structure from this InChI"


def test_a_compressed_file_is_read_like_another_and_a_damaged_one_is_refused(tmp_path, few_molecules):
    extxyz.write(tmp_path / "some.xyz", few_molecules.select([20, 21]))
    packed = gzip.compress((tmp_path / "some.xyz").read_bytes())
    path = tmp_path / "some.xyz.gz"
    path.write_bytes(packed)
    for one, other in zip(geometries.read_file(path), geometries.read_file(tmp_path / "some.xyz"), strict=True):
        assert (one.atoms.positions == other.atoms.positions).all()
    assert list(geometries.read_file(path))[1].name == f"{path}, molecule 2"
    for damaged in (packed[:-20], b"no gzip", packed[:40] + b"oops" + packed[44:]):
        path.write_bytes(damaged)
        (found,) = geometries.read_file(path)
        assert "it can't be read" in found.trouble


def test_a_molecule_of_an_extended_xyz_file_has_the_name_that_it_has_there(tmp_path):
    atoms = [from_smiles(smiles).atoms for smiles in ("C", "CC")]
    for one, name in zip(atoms, ("methane", ""), strict=True):
        one.info = {"name": name} if name else {}
    ase.io.write(tmp_path / "some.extxyz", atoms)
    path = tmp_path / "some.extxyz"
    names = [one.name for one in geometries.read_file(path)]
    assert names == ["methane", f"{path}, molecule 2"]


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def _loaded_once(qm9_molecules, shipped, monkeypatch):
    monkeypatch.setattr(qm9, "load", lambda: qm9_molecules)
    # what the domain is made of does not change from command to command
    known = shipped.domain  # made before `of` is replaced, which would ask for itself
    monkeypatch.setattr(predict.Domain, "of", lambda *_: known)


def invoke(*arguments: object):
    return CliRunner().invoke(commands.app, ["predict", *map(str, arguments)])


@pytest.mark.usefixtures("_loaded_once")
def test_the_command_predicts_files_and_smiles_and_writes_them(tmp_path, few_molecules, shipped):
    path, csv = tmp_path / "many.xyz", tmp_path / "found.csv"
    some = few_molecules.select(range(100, 103))
    extxyz.write(path, some)
    result = invoke(path, "--smiles", "CCO", "--smiles", "FNF", "--outside", "--out", csv)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    head, *rows = result.stdout.split("\n\n")[1].splitlines()
    assert head.split()[:4] == ["molecule", "formula", "U0,", "eV"]
    assert len(rows) == 5
    expected = shipped.predict(some)
    for number, (row, one) in enumerate(zip(rows, expected, strict=False), start=1):
        assert row.startswith(f"{path}, molecule {number}  {one.formula} ")
        low, high = one.interval
        assert row.split()[-8:-1] == [
            f"{one.energy:.3f}",
            f"{low - one.energy:+.3f}",
            f"{high - one.energy:+.3f}",
            f"{one.energy_hartree:.5f}",
            f"{one.atomisation_energy:.3f}",
            f"{one.atomisation_energy_kcal:.1f}",
            f"{one.spread:.3f}",
        ]
    assert "5 models, Huber's loss, delta 0.1 eV; representation: painn; " in result.stdout
    mae = 1000 * shipped.intervals.scales["mmff"].mae
    line = f"from a SMILES alone: molecules like QM9's are missed by {mae:.3g} meV on average, and 90% of them lie in "
    assert line in result.stdout
    assert "\ngeometries of an unknown kind have the widest interval: --geometry says which of dft, " in result.stdout
    assert "\noutside: no training molecule is like it, nobody knows how far it is missed, " in result.stdout
    assert " outside " in rows[4]
    assert "\nwarning: FNF: F bonded to N3 (atom 1; " in result.stdout
    written = pd.read_csv(csv)
    assert written["U0_eV"].tolist()[:3] == pytest.approx([one.energy for one in expected], abs=FLOAT32)
    assert written["molecule"].tolist()[3:] == ["CCO", "FNF"]
    assert written["geometry"].tolist() == ["unknown"] * 3 + ["mmff"] * 2
    (alone,) = shipped.predict([from_smiles("CCO").atoms], geometry="mmff")
    assert written.loc[3, ["U0_low_eV", "U0_high_eV"]].tolist() == pytest.approx(alone.interval, abs=FLOAT32)
    assert written.loc[4, ["U0_low_eV", "U0_high_eV"]].isna().all()
    assert written["outside"].tolist() == [False] * 4 + [True]


@pytest.mark.usefixtures("_loaded_once")
def test_what_is_outside_is_refused_unless_asked_for_and_marked_in_every_format(tmp_path, shipped):
    why = (
        "outside what the models know: F bonded to N3 (atom 1; a digit is the neighbour's number of bonds): no training"
    )
    result = invoke("--smiles", "FNF", "--smiles", "CCO")
    assert result.exit_code == 1
    first, hint = result.stderr.splitlines()
    assert first.startswith(f"refused: FNF: {why}")
    assert hint == "--outside gives a number for what is outside, without an interval"
    assert "F2HN" not in result.stdout
    difluoramine = from_smiles("FNF").atoms
    with pytest.raises(predict.PredictError, match=r"^odd: outside what the models know: F bonded to N3"):
        shipped.predict([difluoramine], ["odd"])
    out = [tmp_path / f"found.{ending}" for ending in ("json", "csv", "extxyz")]
    result = invoke("--smiles", "FNF", "--outside", *(word for one in out for word in ("--out", one)))
    assert result.exit_code == 0, result.output
    (row,) = json.loads(out[0].read_text(encoding="utf-8"))["predictions"]
    assert (row["outside"], row["U0_low_eV"], row["U0_high_eV"]) == (True, None, None)
    assert pd.read_csv(out[1])["outside"].tolist() == [True]
    assert ase.io.read(out[2]).info["outside"]
    (one,) = shipped.predict([difluoramine], geometry="mmff", outside=True)
    assert (one.outside, one.interval) == (True, None)
    assert one.energy == pytest.approx(row["U0_eV"], abs=FLOAT32)


def test_where_the_models_differ_too_much_for_an_interval_it_is_said(shipped, monkeypatch, ethanol):
    (one,) = shipped.predict([ethanol], geometry="dft")
    scale = shipped.intervals.scales["dft"].model_copy(update={"widest": one.spread / 2})
    strict = shipped.intervals.model_copy(update={"scales": {**shipped.intervals.scales, "dft": scale}})
    monkeypatch.setattr(shipped, "intervals", strict)
    with pytest.raises(predict.PredictError, match=rf"the models differ by {one.spread:.3f} eV: above "):
        shipped.predict([ethanol], geometry="dft")
    assert shipped.predict([ethanol], geometry="dft", outside=True)[0].interval is None
    assert shipped.predict([ethanol])[0].interval is not None  # of another kind


@pytest.mark.parametrize("taxon", intervals.TAXA)
def test_a_molecule_has_the_interval_of_its_taxon(shipped, few_molecules, taxon):
    of_taxon = few_molecules.select(np.flatnonzero(intervals.taxa(few_molecules) == taxon))
    given = [one for one in shipped.predict(of_taxon, geometry="xtb", outside=True) if one.interval]
    assert given
    for one in given:
        assert one.interval == shipped.intervals.of("xtb", taxon, one.energy, one.spread)


def test_what_would_fall_apart_is_refused_even_if_asked_for(shipped):
    with pytest.raises(predict.PredictError, match=r"eV of its atomisation: it is unbound, or nothing they know"):
        shipped.predict([molecule("C60")], geometry="dft", outside=True)
    with pytest.raises(predict.PredictError, match="outside what the models know: 60 atoms"):
        shipped.predict([molecule("C60")])


def test_a_doubt_about_the_charge_is_a_warning_and_leaves_the_interval(shipped):
    (plain,), (one,) = shipped.predict([molecule("H2O")]), shipped.predict([changed(cation=True)])
    assert len(one.warnings) == 1
    assert (one.outside, one.interval) == (False, plain.interval)


@pytest.mark.usefixtures("_loaded_once")
def test_what_is_refused_is_a_line_each_and_the_others_are_predicted(tmp_path, few_molecules):
    path = tmp_path / "one.xyz"
    extxyz.write(path, few_molecules.select([100]))
    molecule("SH2").write(tmp_path / "sh2.xyz")
    result = invoke(tmp_path / "sh2.xyz", path, tmp_path / "none.xyz", "--smiles", "[NH4+]")
    assert result.exit_code == 1
    _, table, *_ = result.stdout.split("\n\n")
    assert table.splitlines()[1].startswith(str(path))
    assert len(table.splitlines()) == 2
    first, second, third = result.stderr.splitlines()
    assert first == f"refused: {tmp_path / 'sh2.xyz'}: it holds S; the models know only H, C, N, O and F"
    assert second.startswith(f"refused: {tmp_path / 'none.xyz'}: it can't be read")
    assert third == "refused: [NH4+]: its charge is +1; the models know only neutral molecules"


@pytest.mark.usefixtures("_loaded_once")
def test_other_recorded_models_can_be_named(shipped, final):
    ids = [one.id for one in final["custom"][:2]]
    result = invoke("--smiles", "CCO", "--run", f"final-comparison/{ids[0]}", "--run", f"final-comparison/{ids[1]}")
    assert result.exit_code == 0, result.output
    assert "2 models, 18 atoms or more; loss weighted by size, rate 10; " in result.stdout
    result = invoke("--smiles", "CCO", "--run", shipped.records[0].id, "--run", f"final-comparison/{ids[0]}")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line == f"error: records {shipped.records[0].id} and {ids[0]} differ in more than their seed"


@pytest.mark.usefixtures("_loaded_once")
def test_what_kind_of_geometry_it_is_decides_the_interval(tmp_path, ethanol, shipped):
    ethanol.write(tmp_path / "ethanol.xyz")
    widths = {}
    for kind in (*intervals.KINDS, "unknown"):
        result = invoke(tmp_path / "ethanol.xyz", "--geometry", kind, "--json")
        (row,) = json.loads(result.stdout)["predictions"]
        assert row["geometry"] == kind
        widths[kind] = row["U0_high_eV"] - row["U0_low_eV"]
        (again,) = shipped.predict([ethanol], geometry=kind)
        assert again.interval == pytest.approx((row["U0_low_eV"], row["U0_high_eV"]), abs=FLOAT32)
    assert widths["dft"] < min(widths["xtb"], widths["mmff"])
    assert max(widths.values()) == widths["unknown"]
    result = invoke(tmp_path / "ethanol.xyz", "--geometry", "guessed")
    assert result.stderr == "error: there is no kind of geometry 'guessed': dft, xtb, mmff or unknown\n"
    with pytest.raises(predict.PredictError, match="no kind of geometry 'guessed'"):
        shipped.predict([ethanol], geometry="guessed")


@pytest.mark.usefixtures("_loaded_once")
def test_molecules_are_relaxed_first_where_it_is_asked_for_and_every_output_says_so(
    tmp_path, ethanol, shipped, monkeypatch
):
    asked, swelling = [], Swelling(1.005)
    monkeypatch.setattr(dynamics, "default_records", lambda results: asked.append(results) or ["recorded"])
    monkeypatch.setattr(dynamics, "ForceCalculator", lambda models: swelling if models == ["recorded"] else None)
    ethanol.write(tmp_path / "ethanol.xyz")
    out = {ending: tmp_path / f"found.{ending}" for ending in ("json", "csv", "extxyz")}
    written = [word for path in out.values() for word in ("--out", path)]
    result = invoke(tmp_path / "ethanol.xyz", "--geometry", "dft", "--smiles", "CF", "--relax", *written)
    assert result.exit_code == 1
    assert asked == [None]
    first, hint = result.stderr.splitlines()
    assert first == "refused: CF: outside what the models know: it holds F"
    assert hint.startswith("--outside gives a number")
    mae = 1000 * shipped.intervals.scales["relaxed"].mae
    assert result.stdout.startswith(
        f"geometries relaxed on models that have learnt forces: molecules like QM9's are missed by {mae:.3g} meV on "
    )
    said = json.loads(out["json"].read_text(encoding="utf-8"))
    assert said["models"]["relaxed_on"] == ["one", "other"]
    (row,) = said["predictions"]
    assert (row["geometry"], row["outside"]) == ("relaxed", False)
    assert row["U0_low_eV"] < row["U0_eV"] < row["U0_high_eV"]
    assert pd.read_csv(out["csv"])["geometry"].tolist() == ["relaxed"]
    moved = ase.io.read(out["extxyz"])
    assert moved.info["geometry"] == "relaxed"
    assert moved.get_all_distances() == pytest.approx(1.005 * ethanol.get_all_distances(), abs=2e-3)
    result = invoke("--smiles", "CF", "--relax", "--outside", "--json")
    (row,) = json.loads(result.stdout)["predictions"]
    assert (row["outside"], row["warnings"][0]) == (True, "it holds F")


@pytest.mark.usefixtures("_loaded_once")
def test_without_models_that_have_learnt_forces_nothing_is_relaxed(tmp_path, monkeypatch):
    recorded = dynamics.default_records
    monkeypatch.setattr(dynamics, "default_records", lambda _: recorded(tmp_path))
    result = invoke("--smiles", "CCO", "--relax")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: no models that have learnt forces are recorded in ")


def test_models_without_intervals_have_none(final, ethanol, qm9_molecules):
    others = predict.Ensemble(final["custom"][:2], qm9_molecules)
    assert others.intervals is None
    (one,) = others.predict([ethanol], geometry="dft", outside=True)  # they were trained on larger molecules
    assert (one.interval, one.outside) == (None, True)


def test_nothing_to_predict_is_said_in_a_line():
    result = invoke()
    assert result.exit_code == 1
    assert result.stderr == "error: there is nothing to predict: name a file, or give a --smiles\n"


@pytest.mark.usefixtures("_loaded_once")
def test_the_command_of_the_readme_prints_what_the_readme_shows(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.search(r"```console\n(\S+ -m analysis predict [^\n]*)\n```\n\n```\n(.*?)```", text, re.DOTALL)
    command, shown = blocks.groups()
    words = shlex.split(command)[4:]
    words[words.index("--out") + 1] = str(tmp_path / "found.csv")
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(commands.app, ["predict", *words])
    assert result.exit_code == 1  # sulphur is refused
    number = re.compile(r"-?\d+\.\d+")
    printed = {number.sub("", line).rstrip(): line for line in result.output.splitlines()}
    for line in shown.splitlines():
        if line == "…":
            continue
        found = printed[number.sub("", line).rstrip()]
        # one more or less in the last digit, as rounding elsewhere may have it
        for one, other in zip(number.findall(line), number.findall(found), strict=True):
            assert float(one) == pytest.approx(float(other), abs=1.1 * 10.0 ** -len(one.partition(".")[2]))
    assert pd.read_csv(tmp_path / "found.csv")["formula"].tolist() == ["C2H6O", "C2H6O"]


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("nowhere/found.csv", "there is no folder"),
        ("folder.csv", "it is a folder"),
        ("found.txt", "names end in .csv, .json, .xyz, .extxyz"),
    ],
)
def test_an_output_that_cannot_be_written_is_said_before_anything_is_predicted(where, why, tmp_path, monkeypatch):
    monkeypatch.setattr(geometries, "read_file", lambda *_, **__: pytest.fail("it went on"))
    (tmp_path / "folder.csv").mkdir()
    result = invoke("one.xyz", "--out", tmp_path / "good.csv", "--out", tmp_path / where)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert why in line
    assert str((tmp_path / where).parent) in line
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.usefixtures("_loaded_once")
def test_programs_get_the_same_as_json_and_as_extended_xyz(tmp_path, ethanol, shipped):
    ethanol.write(tmp_path / "ethanol.xyz")
    out = (tmp_path / "found.json", tmp_path / "found.extxyz")
    result = invoke(tmp_path / "ethanol.xyz", "--smiles", "CS", "--json", "--out", out[0], "--out", out[1])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said == json.loads(out[0].read_text(encoding="utf-8"))
    (one,) = shipped.predict([ethanol])
    (row,) = said["predictions"]
    assert row["U0_eV"] == pytest.approx(one.energy, abs=FLOAT32)
    assert row["warnings"] == list(one.warnings)
    assert [row["U0_low_eV"], row["U0_high_eV"]] == pytest.approx(one.interval, abs=FLOAT32)
    assert said["refused"] == [{"molecule": "CS", "reason": "it holds S; the models know only H, C, N, O and F"}]
    assert said["models"]["records"] == [record.id for record in shipped.records]
    assert said["models"]["dft_test_mae_eV"] == shipped.scores.mae
    written = ase.io.read(out[1])
    assert written.info["U0_eV"] == pytest.approx(one.energy, abs=FLOAT32)
    assert written.info["name"] == str(tmp_path / "ethanol.xyz")
    assert written.positions == pytest.approx(ethanol.positions, abs=1e-7)


def test_what_takes_seconds_to_import_is_not_imported(shipped):
    """`shipped` has its domain, so that QM9 need not be read either."""
    assert shipped.domain.atoms == (3, 29)
    code = (
        "import sys\n"
        "from analysis.cli.commands import app\n"
        "from analysis.data import qm9\n"
        "qm9.load = None\n"
        "app(['predict', 'examples/ethanol.xyz'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^examples/ethanol\.xyz +C2H6O +-4217\.0", done.stdout, re.MULTILINE)
    imported = set(done.stderr.split())
    assert "fused.potential" in imported
    assert not imported & {"torch", "lightning_fabric", "pytorch_lightning", "schnetpack", "torchmetrics"}
    assert not imported & {"matplotlib", "optuna", "scipy.stats", "sklearn"}


@pytest.mark.usefixtures("_loaded_once")
def test_many_molecules_are_taken_up_some_at_a_time(tmp_path, few_molecules, shipped, monkeypatch):
    monkeypatch.setattr(predicting, "_CHUNK", 2)
    some = few_molecules.select(range(100, 105))
    extxyz.write(tmp_path / "many.xyz", some)
    read, frames = [], extxyz.frames

    def counted(path):
        for frame in frames(path):
            read.append(frame)
            yield frame

    answers = predict.Ensemble.answers
    at_a_time = []
    monkeypatch.setattr(extxyz, "frames", counted)
    monkeypatch.setattr(predict.Ensemble, "answers", lambda *a, **k: at_a_time.append(len(read)) or answers(*a, **k))
    paths = [tmp_path / f"found.{ending}" for ending in ("csv", "json", "xyz")]
    result = invoke(tmp_path / "many.xyz", *(word for one in paths for word in ("--out", one)))
    assert result.exit_code == 0, result.output
    assert at_a_time == [3, 5, 5]  # one is read ahead
    energies = [one.energy for one in shipped.predict(some)]
    assert pd.read_csv(paths[0])["U0_eV"].tolist() == pytest.approx(energies, abs=FLOAT32)
    assert [row["U0_eV"] for row in json.loads(paths[1].read_text())["predictions"]] == pytest.approx(energies)
    assert [one.info["U0_eV"] for one in ase.io.read(paths[2], ":")] == pytest.approx(energies)
    assert len(result.stdout.split("\n\n")[1].splitlines()) == 3
    assert "\n5 molecules are predicted, 2 of them shown: --out writes all\n" in result.stdout


@pytest.mark.usefixtures("_loaded_once")
def test_molecules_that_are_all_refused_take_no_heading_from_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "_CHUNK", 2)
    given = _written(tmp_path / "some.smi", "CS\nCSC\nCC\nCCC\n")
    paths = [tmp_path / f"found.{ending}" for ending in ("csv", "xyz")]
    result = invoke(given, *(word for one in paths for word in ("--out", one)))
    assert result.exit_code == 1
    assert pd.read_csv(paths[0])["molecule"].tolist() == ["CC", "CCC"]
    assert [one.info["name"] for one in ase.io.read(paths[1], ":")] == ["CC", "CCC"]


@pytest.mark.usefixtures("_loaded_once")
def test_one_model_has_no_spread_in_json(final):
    result = invoke("--smiles", "CCO", "--run", f"final-comparison/{final['custom'][0].id}", "--json")
    (row,) = json.loads(result.stdout)["predictions"]
    assert [row[name] for name in ("spread_eV", "U0_low_eV", "U0_high_eV")] == [None] * 3


@pytest.mark.usefixtures("_loaded_once")
def test_the_standard_input_is_read(ethanol, shipped):
    text = io.StringIO()
    ase.io.write(text, ethanol, format="xyz")
    for content, words in ((text.getvalue(), []), ("CCO\n", ["--format", "smi"])):
        result = CliRunner().invoke(commands.app, ["predict", "-", "--json", *words], input=content)
        assert result.exit_code == 0, result.output
        (row,) = json.loads(result.stdout)["predictions"]
        assert row["U0_eV"] == pytest.approx(shipped.predict([ethanol])[0].energy, abs=0.5)
        assert row["molecule"] == ("CCO" if words else "standard input")


# ---- the example -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["SchNet", "PaiNN"])
def test_the_example_loads_a_model_with_schnetpack_alone(shipped, custom, tmp_path, which):
    """In a process that cannot import this package; the number is that of `predict` but for float32's rounding."""
    ensemble, place = (custom if which == "SchNet" else shipped), 1
    record = ensemble.records[place]
    example = ROOT / "examples" / "load_model.py"
    blocked = (
        "import runpy, sys\n"
        "sys.modules['analysis'] = None\n"  # importing it raises ImportError
        f"sys.argv = [{str(example)!r}, {str(record.folder)!r}]\n"
        f"runpy.run_path({str(example)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", blocked],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = predictions_of_each(ensemble, molecule("CH3CH2OH"))[place]
    words = done.stdout.split()
    assert float(words[3]) == pytest.approx(expected, abs=6e-5)  # four decimals are printed
    assert float(words[5]) == pytest.approx(expected / ase.units.Hartree, abs=2e-6)
    assert list(tmp_path.iterdir()) == []


def test_the_examples_record_is_one_of_those_that_predict(shipped):
    """Its id stands in the example."""
    text = (ROOT / "examples" / "load_model.py").read_text(encoding="utf-8")
    assert any(f'"{record.id}"' in text for record in shipped.records)
