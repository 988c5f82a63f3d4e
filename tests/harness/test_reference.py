"""B3LYP by PySCF is QM9's, and what is recorded of G2 follows from it."""

import ase.units
import numpy as np
import pytest
from ase import Atoms

from analysis.data.molecules import to_ase
from analysis.evaluation import reference as records
from analysis.predict import applicability
from harness import reference


def test_water_has_the_u0_that_qm9_gives_it(qm9_molecules):
    (water,) = to_ase(qm9_molecules.select(np.flatnonzero(qm9_molecules.index == 3)))
    field = reference.solved(water)
    assert (field.mol.nao, field.mo_coeff.shape[1]) == (41, 38)  # ten Cartesian f functions, of which seven are pure
    electronic = field.e_tot * ase.units.Hartree
    waves = reference.frequencies(field)
    assert len(waves) == 3
    assert waves == pytest.approx([1671.4222, 3803.6305, 3907.698], abs=2)  # QM9's, cm⁻¹
    assert electronic + reference.zero_point(waves) == pytest.approx(water.get_potential_energy(), abs=0.001)


@pytest.mark.parametrize("fitted", [False, True])
def test_forces_are_the_slope_of_the_energy_with_densities_fitted_or_not(fitted):
    """Of hydrogen fluoride, stretched; the grid moves with the atoms, which the gradient leaves out."""
    step, length = 0.01, 1.0

    def at(distance: float):
        return reference.solved(Atoms("FH", [[0, 0, 0], [0, 0, distance]]), fitted=fitted)

    (_, (*_, slope)) = at(length).nuc_grad_method().kernel()
    energies = [at(length + sign * step).e_tot for sign in (1, -1)]
    expected = (energies[0] - energies[1]) / (2 * step / ase.units.Bohr)
    assert slope == pytest.approx(expected, abs=3e-4)  # Hartree/Bohr
    assert abs(slope) > 0.02
    if fitted:
        whole = reference.solved(Atoms("FH", [[0, 0, 0], [0, 0, length + step]])).e_tot
        assert energies[0] == pytest.approx(whole, abs=3e-4)
        assert energies[0] != pytest.approx(whole, abs=1e-8)


def test_imaginary_frequencies_have_no_zero_point_energy():
    assert reference.zero_point(np.array([-500.0, 1000.0, 3000.0])) == pytest.approx(2000 * ase.units.invcm)


def test_a_molecule_is_known_whatever_the_order_of_its_atoms():
    water = reference.given()["H2O"]
    turned = Atoms(water.numbers[[2, 0, 1]], water.positions[[2, 0, 1]][:, [1, 2, 0]])
    np.testing.assert_allclose(records.distances(turned), records.distances(water))
    bent = water.copy()
    bent.positions[1, 1] += 0.3
    assert np.abs(records.distances(bent) - records.distances(water)).max() > reference.SAME


def test_the_molecules_of_g2_are_neutral_closed_shells(qm9_molecules):
    wanted = reference.given()
    assert len(wanted) == 73
    assert [len(one) for one in wanted.values()] == sorted(len(one) for one in wanted.values())
    assert {"N2", "H2O2", "C6H6", "CH3NO2"} <= wanted.keys()
    assert not {"O2", "CH3", "SH2", "CH2_s3B1d", "NO"} & wanted.keys()
    assert all(applicability.refusal(one) == "" for one in wanted.values())
    few = {name: wanted[name] for name in ("CH4", "C2H6", "CF4", "N2H4", "CH3COOH")}
    found = reference.held(qm9_molecules, few)
    assert {name: one.qm9_index for name, one in found.items()} == {"CH4": 1, "C2H6": 7, "CF4": 184}


def test_the_record_holds_what_was_computed_and_what_is_missing():
    recorded = records.Reference.load()
    assert recorded.molecules.keys() | set(recorded.missing) == reference.given().keys()
    assert not recorded.molecules.keys() & set(recorded.missing)
    for name, one in recorded.molecules.items():
        assert sorted(one.numbers) == sorted(reference.given()[name].numbers.tolist())
        if one.source == "computed":
            u0 = one.U0
            assert u0 == pytest.approx(one.electronic + one.zpve, abs=1e-9)
            assert one.zpve == pytest.approx(reference.zero_point(np.array(one.frequencies)), abs=1e-4)
            assert one.force <= reference.FORCE
            assert one.frequencies[0] > 0  # a minimum
            n = len(one.numbers)
            assert len(one.frequencies) == 3 * n - (5 if n == 2 or name in _LINEAR else 6)


_LINEAR = ("CO2", "N2O")


def test_a_missing_record_is_said_in_one_line(tmp_path):
    with pytest.raises(records.ReferenceRecordError, match=r"g2\.json is missing: run `python -m harness\.reference`"):
        records.Reference.load(tmp_path)
    with pytest.raises(records.ReferenceRecordError, match=r"g2\.csv can't be read"):
        records.load_compared(tmp_path)
