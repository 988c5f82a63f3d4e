import hashlib
import struct
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.build import molecule as g2_molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.data.molecules import (
    Molecules,
    MoleculesError,
    check_separation,
    from_ase,
    from_jarvis,
    to_ase,
    to_jarvis,
    unwrapped,
)

FIELDS = [field.name for field in fields(Molecules)]


def water_and_methane(**changes) -> Molecules:
    """Index 3 and 1; coordinates of ASE's G2 set."""
    water, methane = g2_molecule("H2O"), g2_molecule("CH4")
    values = {
        "index": np.array([3, 1]),
        "n_atoms": np.array([3, 5]),
        "numbers": np.concatenate([water.numbers, methane.numbers]),
        "positions": np.concatenate([water.positions, methane.positions]),
        "energy": np.array([-2079.0, -1101.0]),
        "smiles": np.array(["O", "C"]),
    }
    return Molecules(**(values | changes))


def assert_same(left: Molecules, right: Molecules, *, except_for: tuple[str, ...] = ()) -> None:
    for name in FIELDS:
        if name not in except_for:
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@st.composite
def tables(draw, largest: int = 5) -> Molecules:
    """Any molecules at all, atoms as close as they like."""
    n_atoms = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=largest)))
    total = int(n_atoms.sum())
    index = draw(st.lists(st.integers(-(2**62), 2**62), min_size=len(n_atoms), max_size=len(n_atoms), unique=True))
    # What a SMILES is made of, and a little more.
    text = st.text("CNOF[]()=#@+-/\\123 c\"'{},_T", max_size=12).map(str.strip)
    return Molecules(
        index=np.array(index),
        n_atoms=n_atoms,
        numbers=draw(hnp.arrays(np.uint8, total, elements=st.integers(1, 99))),
        positions=draw(hnp.arrays(np.float64, (total, 3), elements=st.floats(-1e3, 1e3))),
        energy=draw(hnp.arrays(np.float64, len(n_atoms), elements=st.floats(-1e5, 1e5))),
        smiles=np.array(draw(st.lists(text, min_size=len(n_atoms), max_size=len(n_atoms))), dtype=str),
    )


def with_room(molecules: Molecules) -> Molecules:
    """The same molecules, with atom k moved k nanometres along each axis: none is near another."""
    number = np.arange(len(molecules.numbers))
    return replace(molecules, positions=np.clip(molecules.positions, -4, 4) + 10.0 * number[:, None])


# ---- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_atoms": np.array([3, 6])}, "atom counts add up to 9, but there are 8 atoms"),
        ({"n_atoms": np.array([3, 4])}, "atom counts add up to 7, but there are 8 atoms"),
        ({"n_atoms": np.array([8, 0])}, "molecule 1: it has 0 atoms"),
        ({"n_atoms": np.array([9, -1])}, "molecule 1: it has -1 atoms"),
        ({"n_atoms": np.array([3.0, 5.0])}, "n_atoms must not be of type float64"),
        ({"n_atoms": np.array([8])}, "2 indices but 1 values of n_atoms"),
        ({"energy": np.array([-1.0, np.nan])}, "molecule 1: its energy is nan"),
        ({"energy": np.array([-np.inf, 0.0])}, "molecule 3: its energy is -inf"),
        ({"energy": np.array([[-1.0], [-2.0]])}, r"energy must have shape \(any\), not \(2, 1\)"),
        ({"energy": np.array(["-1", "-2"])}, "energy must not be of type"),
        ({"index": np.array([3, 3])}, "molecule 3: 2 molecules have this index"),
        ({"index": np.array([3.0, 1.0])}, "index must not be of type float64"),
        ({"smiles": np.array(["O"])}, "2 indices but 1 values of smiles"),
        ({"smiles": np.array([b"O", b"C"])}, "smiles must not be of type"),
        ({"smiles": np.array(["O", None])}, "smiles must not be of type object"),
        ({"numbers": np.array([8, 1, 1, 6, 1, 1, 1])}, "7 atomic numbers but 8 positions"),
        ({"numbers": np.array([8, 1, 1, 6, 1, 0, 1, 1])}, "molecule 1, atom 3: unknown element 0"),
        ({"numbers": np.array([8, 1, 100, 6, 1, 1, 1, 1])}, "molecule 3, atom 3: unknown element 100"),
        # 257 would be hydrogen after a silent narrowing to eight bits.
        ({"numbers": np.array([8, 1, 1, 6, 1, 1, 1, 257])}, "molecule 1, atom 5: unknown element 257"),
        ({"positions": np.zeros((8, 2))}, r"positions must have shape \(any, 3\), not \(8, 2\)"),
        ({"positions": np.zeros((8, 3), dtype=complex)}, "positions must not be of type complex128"),
    ],
)
def test_wrong_molecules_are_refused(changes: dict, message: str):
    with pytest.raises(MoleculesError, match=message):
        water_and_methane(**changes)


@pytest.mark.parametrize(("atom", "message"), [(2, "molecule 3, atom 3"), (3, "molecule 1, atom 1")])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39, -1e300])
def test_a_coordinate_that_is_not_finite_or_out_of_this_world_is_refused(atom: int, message: str, value: float):
    positions = water_and_methane().positions.copy()
    positions[atom, 1] = value
    with pytest.raises(MoleculesError, match=message):
        water_and_methane(positions=positions)


def test_types_are_those_of_the_contract(few_molecules: Molecules):
    for molecules in (few_molecules, water_and_methane(), water_and_methane(index=np.array([3, 1], dtype=np.int32))):
        types = [getattr(molecules, name).dtype for name in FIELDS]
        assert types[:5] == [np.int64, np.int64, np.uint8, np.float64, np.float64]
        assert types[5].kind == "U"


def test_a_table_cannot_be_changed():
    energy = np.array([-1.0, -2.0])
    molecules = water_and_methane(energy=energy)
    energy[0] = 0.0
    assert molecules.energy.tolist() == [-1.0, -2.0]
    for name in [*FIELDS, "offsets"]:
        with pytest.raises(ValueError, match="read-only"):
            getattr(molecules, name)[0] = 0


def test_the_readers_array_stays_writable():
    energy = np.array([-1.0, -2.0])
    water_and_methane(energy=energy)
    assert energy.flags.writeable


def test_select_takes_positions_in_any_order(few_molecules: Molecules):
    order = np.random.default_rng(0).permutation(len(few_molecules))[:50]
    chosen = few_molecules.select(order)
    for got, wanted in zip(to_ase(chosen), order, strict=True):
        inside = slice(few_molecules.offsets[wanted], few_molecules.offsets[wanted + 1])
        assert got.info["index"] == few_molecules.index[wanted]
        assert got.get_potential_energy() == few_molecules.energy[wanted]
        np.testing.assert_array_equal(got.numbers, few_molecules.numbers[inside])
        np.testing.assert_array_equal(got.positions, few_molecules.positions[inside])


@given(tables(), st.data())
def test_select_by_mask_is_select_by_positions(molecules: Molecules, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(molecules), max_size=len(molecules))))
    assert_same(molecules.select(mask), molecules.select(np.flatnonzero(mask)))


@given(tables(), st.randoms(use_true_random=False))
def test_a_shuffle_undone_changes_nothing(molecules: Molecules, random):
    order = list(range(len(molecules)))
    random.shuffle(order)
    assert_same(molecules.select(order).select(np.argsort(order)), molecules)


def test_select_nothing():
    nothing = water_and_methane().select([])
    assert len(nothing) == 0
    assert nothing.element_counts().shape == (0, 5)
    assert nothing.offsets.tolist() == [0]
    assert len(nothing.select(np.zeros(0, dtype=bool))) == 0


def test_a_table_of_nothing():
    nothing = Molecules(index=[], n_atoms=[], numbers=[], positions=np.zeros((0, 3)), energy=[], smiles=[])
    assert len(nothing) == 0
    assert nothing.fingerprint() == water_and_methane().select([]).fingerprint()


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ([2], "there is no position 2 among 2 molecules"),
        ([0, -1], "there is no position -1 among 2 molecules"),
        ([True], r"a mask of shape \(1,\) does not fit 2 molecules"),
        ([True, False, True], r"a mask of shape \(3,\) does not fit"),
        ([0.0, 1.0], "a mask or a row of integers, not float64"),
        ([[0, 1]], "a mask or a row of integers"),
    ],
)
def test_select_refuses_unknown_positions(which: list, message: str):
    with pytest.raises(IndexError, match=message):
        water_and_methane().select(which)


def test_select_refuses_a_molecule_twice():
    with pytest.raises(MoleculesError, match="molecule 3: 2 molecules have this index"):
        water_and_methane().select([0, 0])


def test_element_counts_are_those_of_the_formula(few_molecules: Molecules):
    counts = few_molecules.element_counts()
    for atoms, row in zip(to_ase(few_molecules), counts, strict=True):
        formula = atoms.symbols.formula.count()
        assert row.tolist() == [formula.get(symbol, 0) for symbol in "HCNOF"]
    np.testing.assert_array_equal(few_molecules.element_counts([8])[:, 0], counts[:, 3])
    np.testing.assert_array_equal(few_molecules.heavy_atoms, counts[:, 1:].sum(axis=1))


def test_the_fingerprint_is_that_of_the_content():
    molecules = water_and_methane()
    by_hand = hashlib.sha256(b"index (2,) " + struct.pack("<2q", 3, 1) + b"n_atoms (2,) " + struct.pack("<2q", 3, 5))
    by_hand.update(b"numbers (8,) " + bytes([8, 1, 1, 6, 1, 1, 1, 1]))
    by_hand.update(b"positions (8, 3) " + struct.pack("<24d", *molecules.positions.ravel()))
    by_hand.update(b"energy (2,) " + struct.pack("<2d", -2079.0, -1101.0) + b"smiles (2,) O\0C")
    assert molecules.fingerprint() == by_hand.hexdigest()
    assert molecules.fingerprint() == water_and_methane(numbers=molecules.numbers.astype(np.int64)).fingerprint()
    assert molecules.fingerprint() == water_and_methane(smiles=np.array(["O", "C"], dtype="U9")).fingerprint()
    changed = [
        water_and_methane(index=np.array([3, 2])),
        water_and_methane(energy=np.nextafter(molecules.energy, 0)),
        water_and_methane(smiles=np.array(["OC", ""])),
        water_and_methane(positions=molecules.positions + 1e-12),
        water_and_methane(numbers=molecules.numbers[::-1]),
        water_and_methane(n_atoms=np.array([5, 3])),
        molecules.select([1, 0]),
    ]
    assert len({m.fingerprint() for m in [molecules, *changed]}) == len(changed) + 1


# ---- distances -------------------------------------------------------------------------------------------------------


def test_real_molecules_pass_the_check_of_distances(few_molecules: Molecules):
    assert check_separation(few_molecules) is few_molecules


@given(
    st.integers(1, 7).flatmap(lambda n: hnp.arrays(np.float64, (n, 3), elements=st.floats(0, 1.5))),
    st.integers(0, 4),
)
def test_the_check_of_distances_agrees_with_ase(positions: np.ndarray, place: int):
    water = g2_molecule("H2O")
    tested = Atoms("C" * len(positions), positions)
    atoms = [water] * 4
    atoms.insert(place, tested)
    packed = Molecules(
        index=np.arange(5) + 100,
        n_atoms=np.array([len(a) for a in atoms]),
        numbers=np.concatenate([a.numbers for a in atoms]),
        positions=np.concatenate([a.positions for a in atoms]),
        energy=np.zeros(5),
        smiles=np.full(5, ""),
    )
    distances = tested.get_all_distances() + 9 * np.eye(len(tested))
    if distances.min() >= 0.5:
        assert check_separation(packed) is packed
        return
    with pytest.raises(MoleculesError, match=f"molecule {place + 100}: its atoms") as refused:
        check_separation(packed)
    words = str(refused.value).split()
    i, j = int(words[4]) - 1, int(words[6]) - 1
    assert f"{distances[i, j]:.3f}" in words


def test_coordinates_in_nanometres_are_refused(few_molecules: Molecules):
    with pytest.raises(MoleculesError, match="are its coordinates in Å"):
        check_separation(replace(few_molecules, positions=few_molecules.positions / 10))


# ---- ASE -------------------------------------------------------------------------------------------------------------


def test_to_ase_and_back(few_molecules: Molecules):
    assert_same(from_ase(to_ase(few_molecules)), few_molecules)


@given(tables().map(with_room))
def test_any_molecules_to_ase_and_back(molecules: Molecules):
    assert_same(from_ase(to_ase(molecules)), molecules)


def test_no_molecules_to_ase_and_back():
    assert len(from_ase(to_ase(water_and_methane().select([])))) == 0


def test_ase_molecules_know_their_energy_and_distances(few_molecules: Molecules):
    m = len(few_molecules) // 2
    atoms = to_ase(few_molecules)[m]
    x = few_molecules.positions[few_molecules.offsets[m] : few_molecules.offsets[m + 1]]
    assert atoms.get_potential_energy() == few_molecules.energy[m]
    np.testing.assert_allclose(atoms.get_all_distances()[0], np.linalg.norm(x - x[0], axis=1), atol=1e-12)
    atoms.rattle()
    with pytest.raises(Exception, match="energy"):
        atoms.get_potential_energy()


def test_energies_and_indices_from_info_or_from_elsewhere():
    water, methane = g2_molecule("H2O"), g2_molecule("CH4")
    water.info["U0"], methane.info["U0"] = -3.0, np.array([-4.0])
    water.calc = SinglePointCalculator(water, energy=-99.0)
    molecules = from_ase([water, methane], energy_key="U0")
    assert molecules.energy.tolist() == [-3.0, -4.0]
    assert molecules.index.tolist() == [1, 2]
    assert from_ase([water, methane], "U0", index=[7, 5]).index.tolist() == [7, 5]
    assert from_ase([water]).energy.tolist() == [-99.0]


def test_ase_molecules_that_do_not_fit_are_refused():
    water, methane = g2_molecule("H2O"), g2_molecule("CH4")
    water.info["energy_U0"] = -1.0
    with pytest.raises(MoleculesError, match=r"molecule 2: it has no energy, neither info\[\"energy_U0\"\]"):
        from_ase([water, methane])
    methane.info["energy_U0"] = "low"
    with pytest.raises(MoleculesError, match="molecule 2: its energy is 'low'"):
        from_ase([water, methane])
    methane.info["energy_U0"] = np.array([-1.0, -2.0])
    with pytest.raises(MoleculesError, match="molecule 2: its energy is array"):
        from_ase([water, methane])
    methane.info |= {"energy_U0": -1.0, "smiles": 3}
    with pytest.raises(MoleculesError, match="molecule 2: its SMILES is 3"):
        from_ase([water, methane])
    methane.info |= {"smiles": "C", "index": 4}
    with pytest.raises(MoleculesError, match="molecule number 1 has no info"):
        from_ase([water, methane])
    with pytest.raises(MoleculesError, match="2 molecules but 1 indices"):
        from_ase([water, methane], index=[1])
    water.info["index"] = 4
    with pytest.raises(MoleculesError, match="molecule 4: 2 molecules have this index"):
        from_ase([water, methane])
    water.info["index"], water.pbc = 5, (False, True, False)
    with pytest.raises(MoleculesError, match="molecule 5: it is periodic"):
        from_ase([water, methane])
    water.pbc = False
    water.positions[1] = water.positions[0]
    with pytest.raises(MoleculesError, match=r"molecule 5: its atoms 1 and 2 are 0\.000 Å apart"):
        from_ase([water, methane])


def test_no_calculation_is_started():
    water = g2_molecule("H2O")
    water.calc = EMT()
    with pytest.raises(MoleculesError, match="molecule 1: it has no energy"):
        from_ase([water])
    assert not water.calc.results


def test_an_energy_of_other_positions_is_not_taken():
    water = g2_molecule("H2O")
    water.calc = SinglePointCalculator(water, energy=-2079.0)
    water.positions[0] += 0.1
    with pytest.raises(MoleculesError, match="molecule 1: it has no energy"):
        from_ase([water])


# ---- JARVIS ----------------------------------------------------------------------------------------------------------


def test_jarvis_and_back(few_molecules: Molecules):
    jarvis = to_jarvis(few_molecules)
    back = from_jarvis(jarvis, few_molecules.energy, few_molecules.index)
    np.testing.assert_array_equal(back.index, few_molecules.index)
    np.testing.assert_array_equal(back.numbers, few_molecules.numbers)
    np.testing.assert_allclose(back.positions, few_molecules.positions, rtol=0, atol=1e-9)
    np.testing.assert_allclose(back.energy, few_molecules.energy, rtol=0, atol=1e-9)
    assert set(back.smiles) == {""}


def test_jarvis_by_way_of_fractional_coordinates(few_molecules: Molecules):
    from jarvis.core.atoms import Atoms as JarvisAtoms

    fractional = [
        JarvisAtoms(lattice_mat=m.lattice_mat, coords=m.frac_coords, elements=m.elements)
        for m in to_jarvis(few_molecules)
    ]
    back = from_jarvis(fractional, few_molecules.energy)
    np.testing.assert_allclose(back.positions, few_molecules.positions, rtol=0, atol=1e-9)
    assert back.index.tolist() == list(range(1, len(few_molecules) + 1))


def test_jarvis_boxes_keep_images_apart(few_molecules: Molecules):
    for jarvis in to_jarvis(few_molecules)[::20]:
        in_box = jarvis.ase_converter()
        alone = Atoms(in_box.numbers, in_box.positions)
        assert in_box.cell.lengths().min() - np.ptp(in_box.positions, axis=0).max() >= 10 - 1e-9
        image = in_box.repeat((2, 1, 1)).get_all_distances()[: len(alone), len(alone) :]
        assert image.min() >= 10 - 1e-9
        np.testing.assert_allclose(in_box.get_all_distances(), alone.get_all_distances(), atol=1e-9)


def test_jarvis_molecules_that_do_not_fit_are_refused():
    jarvis = to_jarvis(water_and_methane())
    with pytest.raises(MoleculesError, match="2 JARVIS molecules but 1 energies"):
        from_jarvis(jarvis, [-1.0])
    with pytest.raises(MoleculesError, match="molecule 9: its energy is nan"):
        from_jarvis(jarvis, [-1.0, np.nan], index=[8, 9])
    with pytest.raises(MoleculesError, match="2 molecules but 1 indices"):
        from_jarvis(jarvis, [-1.0, -2.0], index=[8])
    jarvis[1].elements = ["C", "H", "H", "H", "Qq"]
    with pytest.raises(MoleculesError, match="molecule 9: unknown element Qq"):
        from_jarvis(jarvis, [-1.0, -2.0], index=[8, 9])


def test_without_jarvis_tools_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jarvis.core.atoms", None)
    with pytest.raises(ImportError, match=r"pip install 'schnet-qm9-compendium\[jarvis\]'"):
        to_jarvis(water_and_methane())


# ---- molecules in a box ----------------------------------------------------------------------------------------------

CELLS = {
    "tight": np.eye(3) * 6,
    "usual": np.eye(3) * 12,
    "wide": np.eye(3) * 40,
    "triclinic": np.array([[9.0, 0, 0], [4.0, 8.0, 0], [-3.0, 2.0, 10.0]]),
}


def wrapped(name: str, cell: np.ndarray, move: Sequence[float] = (0, 0, 0)) -> Atoms:
    """A molecule of G2, moved, with all its atoms within the cell."""
    atoms = g2_molecule(name, cell=cell, pbc=True)
    atoms.positions += move
    atoms.wrap()
    atoms.pbc = False
    atoms.info["energy_U0"] = -1.0
    return atoms


def distances(atoms: Atoms | Molecules) -> np.ndarray:
    x = atoms.positions
    return np.linalg.norm(x[:, None] - x[None], axis=-1)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@given(
    name=st.sampled_from(["H2", "H2O", "CH4", "C2H4", "CH3CN"]),
    move=hnp.arrays(float, 3, elements=st.floats(-50, 50)),
)
def test_a_molecule_torn_by_its_cell_is_put_together(cell: np.ndarray, name: str, move: np.ndarray):
    torn, whole = wrapped(name, cell, move), g2_molecule(name)
    np.testing.assert_allclose(distances(unwrapped(torn)), distances(whole), rtol=0, atol=1e-9)
    np.testing.assert_allclose(distances(from_ase([torn])), distances(whole), rtol=0, atol=1e-9)
    boxed = jarvis(torn)
    for one in (boxed, boxed.to_dict(), {"jid": "JVASP-1", "atoms": boxed.to_dict(), "U0": -1.0}):
        read = from_jarvis([one], [-1.0])
        np.testing.assert_allclose(distances(read), distances(whole), rtol=0, atol=1e-9)
        np.testing.assert_array_equal(read.numbers, whole.numbers)


def jarvis(atoms: Atoms):
    from jarvis.core.atoms import Atoms as JarvisAtoms

    return JarvisAtoms(
        lattice_mat=atoms.cell.tolist(), coords=atoms.get_scaled_positions(wrap=False), elements=list(atoms.symbols)
    )


def test_a_whole_molecule_in_a_box_keeps_every_bit(few_molecules: Molecules):
    """A calculation in a cell as tight as the molecule, too, without periodic boundaries."""
    for atoms in to_ase(few_molecules):
        atoms.center(vacuum=0.1)
        assert unwrapped(atoms) is atoms
        atoms.set_cell(np.eye(3) * 40)
        assert unwrapped(atoms) is atoms
    no_cell = g2_molecule("H2O")
    assert unwrapped(no_cell) is no_cell


def test_two_molecules_in_a_box_that_does_not_tear_them_are_left_alone():
    """As without a box: what stands far apart may be meant so, where nothing is periodic."""
    water, other = g2_molecule("H2O", vacuum=4), g2_molecule("H2O")
    other.translate([3, 6, 6])
    pair = water + other
    pair.info["energy_U0"] = -1.0
    assert unwrapped(pair) is pair
    np.testing.assert_array_equal(from_ase([pair]).positions, pair.positions)


def test_what_its_cell_does_not_join_is_refused():
    far = wrapped("H2O", CELLS["usual"])
    far.positions[2] += [0, 3, 0]
    with pytest.raises(MoleculesError, match="molecule 1: it falls apart into 2 pieces"):
        from_jarvis([jarvis(far)], [-1.0])
    torn = wrapped("H2O", CELLS["usual"], [12, 0, 0]) + wrapped("CH4", CELLS["usual"], [0, 5, 0])
    torn.info["energy_U0"] = -1.0
    with pytest.raises(
        MoleculesError, match="molecule 1: it falls apart into 2 pieces, which no bond across its cell's"
    ):
        from_ase([torn])


@pytest.mark.parametrize(
    "crystal",
    [bulk("C", "diamond", 3.57), bulk("Cu"), bulk("LiF", "rocksalt", 4.03), g2_molecule("H2", cell=[9, 9, 1])],
)
def test_crystals_of_jarvis_are_refused(crystal: Atoms):
    with pytest.raises(MoleculesError, match="molecule 7: it is bonded to its own images"):
        from_jarvis([jarvis(crystal)], [-1.0], index=[7])


@pytest.mark.parametrize(
    "cell",
    [[np.nan] * 3, [1e-9] * 3, [1e300] * 3, [[9, 0, 0], [18, 0, 0], [0, 0, 9]]],
    ids=["NaN", "0", "huge", "flat"],
)
def test_a_cell_that_is_no_box_is_refused_before_it_fills_the_memory(cell: list):
    water = Atoms("OHH", [[0, 0, 0], [0, 0, 0.96], [8.1, 0, 0]], cell=cell, info={"energy_U0": -1.0})
    with pytest.raises(MoleculesError, match=r"molecule 1: its cell .* is no box for a molecule, 1 to 1e"):
        from_ase([water])


# ---- one door's molecules at the other -------------------------------------------------------------------------------


def test_input_meant_for_another_function_is_told_which():
    water = g2_molecule("H2O", vacuum=5)
    of_jarvis = jarvis(water)
    water.info["energy_U0"] = -1.0
    for foreign, kind in (
        (of_jarvis, "JARVIS's Atoms (molecules.from_jarvis takes its Atoms)"),
        (of_jarvis.to_dict(), "a dictionary (molecules.from_jarvis takes those of JARVIS)"),
        ("qm9.xyz", "'qm9.xyz' (extxyz.read and databases.read take files)"),
        (Path("qm9.db"), f"{Path('qm9.db')!r} (extxyz.read and databases.read take files)"),
        (None, "of type NoneType"),
    ):
        with pytest.raises(MoleculesError) as refused:
            from_ase([water, foreign])
        assert str(refused.value) == f"molecule number 2 is {kind}, not ASE's Atoms"
    with pytest.raises(MoleculesError, match=r"molecule number 1 is a single atom \(a list of molecules is taken"):
        from_ase(water)
    said = r"molecule 2: it is ASE's Atoms \(molecules.from_ase takes them\), neither"
    with pytest.raises(MoleculesError, match=said):
        from_jarvis([of_jarvis, water], [-1.0, -1.0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"coords": None}, "it has no coords"),
        ({"elements": ["O", "H"]}, "lattice, elements and coordinates do not fit"),
        ({"elements": ["O", "H", "Xx"]}, "unknown element Xx"),
        ({"lattice_mat": [[1, 2]]}, "lattice, elements and coordinates do not fit"),
        ({"coords": [["a", "b", "c"]] * 3}, "lattice, elements and coordinates do not fit"),
    ],
)
def test_a_dictionary_that_is_none_of_jarvis_is_refused_by_the_molecule(change: dict, reason: str):
    whole = jarvis(g2_molecule("H2O", vacuum=5)).to_dict()
    damaged = {key: value for key, value in (whole | change).items() if value is not None}
    with pytest.raises(MoleculesError, match=f"molecule 2: .*{reason}"):
        from_jarvis([whole, damaged], [-1.0, -1.0])
