import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolDescriptors
from scipy.spatial.transform import Rotation

from analysis.data import descriptors
from analysis.data.molecules import Molecules


def made(*smiles: str, first: int = 1) -> Molecules:
    """Molecules with the geometry that RDKit builds for a SMILES, and no energy."""
    numbers, positions = [], []
    for text in smiles:
        structure = Chem.AddHs(Chem.MolFromSmiles(text))
        assert rdDistGeom.EmbedMolecule(structure, randomSeed=7) == 0
        numbers.append([atom.GetAtomicNum() for atom in structure.GetAtoms()])
        positions.append(structure.GetConformer().GetPositions())
    return Molecules(
        index=np.arange(first, first + len(smiles)),
        n_atoms=np.array([len(z) for z in numbers]),
        numbers=np.concatenate(numbers).astype(np.uint8),
        positions=np.concatenate(positions),
        energy=np.zeros(len(smiles)),
        smiles=np.array(smiles),
    )


def with_smiles(molecules: Molecules, *smiles: str) -> Molecules:
    columns = {name: getattr(molecules, name) for name in ("index", "n_atoms", "numbers", "positions", "energy")}
    return Molecules(**columns, smiles=np.array(smiles))


# ---- structure


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C", {"n_atoms": 5, "heavy_atoms": 1, "hydrogen_share": 0.8, "hydrogens": 4, "unsaturation": 0, "rings": 0}),
        ("C", {"smallest_ring": 0, "sp3_share": 1, "triple_bonds": 0, "zwitterion": 0}),
        (
            "C#N",
            {"n_atoms": 3, "unsaturation": 2, "triple_bonds": 1, "sp3_share": 0, "nitrogens": 1, "hetero_bonds": 0},
        ),
        ("O", {"carbons": 0, "sp3_share": 0, "unsaturation": 0, "oxygens": 1}),
        ("C1CC1", {"rings": 1, "smallest_ring": 3, "three_rings": 1, "four_rings": 0, "unsaturation": 1}),
        ("c1ccccc1", {"aromatic_atoms": 6, "rings": 1, "smallest_ring": 6, "unsaturation": 4, "sp3_share": 0}),
        ("FC(F)(F)O", {"fluorines": 3, "unsaturation": 0, "hetero_bonds": 0, "hydrogen_share": 1 / 6}),
        ("C12C3C4C1C5C2C3C45", {"rings": 5, "four_rings": 6, "shared_ring_atoms": 8, "unsaturation": 5}),  # cubane
        ("C1CC2CCC1C2", {"rings": 2, "smallest_ring": 5, "shared_ring_atoms": 3}),  # norbornane
        ("[NH3+]CC([O-])=O", {"zwitterion": 1, "n_atoms": 10, "unsaturation": 1, "hetero_bonds": 0}),  # glycine
        ("NCC(O)=O", {"zwitterion": 0, "n_atoms": 10, "unsaturation": 1}),
        ("C[NH+]=CC[O-]", {"zwitterion": 1, "unsaturation": 1}),
        # charges on neighbours are a way of writing, and no zwitterion
        ("CN(=O)=O", {"zwitterion": 0, "hetero_bonds": 2, "unsaturation": 1}),
        ("C[N+](=O)[O-]", {"zwitterion": 0}),
        ("CN=[N+]=[N-]", {"zwitterion": 0, "hetero_bonds": 2, "unsaturation": 2}),
        ("C[N+]#[C-]", {"zwitterion": 0, "triple_bonds": 1}),
        ("ONO", {"hetero_bonds": 2, "sp3_share": 0}),
    ],
)
def test_a_molecule_known_by_hand(smiles, expected):
    row = descriptors.structure(made(smiles)).iloc[0]
    assert row[list(expected)].to_dict() == pytest.approx(expected)


def test_qm9s_own_molecules_are_as_rdkit_counts_them(qm9_molecules):
    """Rings and π bonds, bond by bond, are the unsaturation that the atoms alone tell; the rest is RDKit's own."""
    some = qm9_molecules.select(np.arange(0, len(qm9_molecules), 60))
    table = descriptors.structure(some)
    assert table.index.tolist() == some.index.tolist()
    assert table["zwitterion"].sum() > 0
    for text, row in zip(some.smiles, table.itertuples(), strict=True):
        structure = Chem.MolFromSmiles(text)
        assert row.heavy_atoms == rdMolDescriptors.CalcNumHeavyAtoms(structure)
        assert row.n_atoms == Chem.AddHs(structure).GetNumAtoms()
        assert row.hetero_bonds == len(structure.GetSubstructMatches(Chem.MolFromSmarts("[N,n,O,o,F]~[N,n,O,o,F]")))
        assert row.three_rings == sum(len(ring) == 3 for ring in Chem.GetSymmSSSR(structure))
        assert row.rings == len(Chem.GetSSSR(structure))
        Chem.Kekulize(structure, clearAromaticFlags=True)
        orders = [bond.GetBondTypeAsDouble() - 1 for bond in structure.GetBonds()]
        assert row.unsaturation == row.rings + sum(orders)
    composition = table[list(descriptors.ELEMENTS)].to_numpy()
    np.testing.assert_array_equal(composition, some.element_counts())


def test_rings_counted_in_the_text_are_those_of_the_structure(qm9_molecules):
    some = qm9_molecules.select(np.arange(0, len(qm9_molecules), 97))
    found = descriptors.ring_counts(some)
    np.testing.assert_array_equal(found, descriptors.structure(some)["rings"])
    assert set(found) == {0, 1, 2, 3, 4, 5}
    many = made("C1CC1", "C%12CC%12", "C[NH3+]", "C12C3C4C1C5C2C3C45")
    assert descriptors.ring_counts(many).tolist() == [1, 1, 0, 5]


def test_size_is_what_composition_and_unsaturation_make_it(few_molecules):
    d = descriptors.structure(few_molecules)
    hydrogens = 2 * d["carbons"] + 2 + d["nitrogens"] - d["fluorines"] - 2 * d["unsaturation"]
    np.testing.assert_array_equal(d["n_atoms"], d["heavy_atoms"] + hydrogens)


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("", "molecule 1: RDKit reads no structure from its SMILES ''"),
        ("C1CC", "molecule 1: RDKit reads no structure"),
        ("CCO", "molecule 1: its SMILES CCO has other atoms"),
        ("CC=C", "molecule 1: its SMILES C=CC has other atoms"),
    ],
)
def test_a_smiles_that_does_not_fit_is_refused(smiles, said, capfd):
    with pytest.raises(descriptors.DescriptorError, match=said):
        descriptors.structure(with_smiles(made("CCC"), smiles))
    assert capfd.readouterr().err == ""


def test_another_element_is_refused():
    with pytest.raises(descriptors.DescriptorError, match="molecule 2 holds an element other than H, C, N, O and F"):
        descriptors.structure(made("C", "CS"))


def test_the_longest_bond_is_that_of_the_geometry():
    """Ethanol with its C–O bond pulled to 2 Å; radii: C 0.76, O 0.66 Å."""
    ethanol = made("CCO")
    carbon, oxygen = ethanol.positions[1], ethanol.positions[2]
    away = (oxygen - carbon) / np.linalg.norm(oxygen - carbon)
    positions = ethanol.positions.copy()
    positions[2] = carbon + 2 * away
    columns = {name: getattr(ethanol, name) for name in ("index", "n_atoms", "numbers", "energy", "smiles")}
    pulled = descriptors.structure(Molecules(**columns, positions=positions))
    assert pulled["longest_bond"].iloc[0] == pytest.approx(2 / 1.42)
    assert descriptors.structure(ethanol)["longest_bond"].iloc[0] == pytest.approx(1.0, abs=0.05)
    assert descriptors.structure(made("C"))["longest_bond"].iloc[0] == 0


def test_the_longest_bond_is_found_where_smiles_and_geometry_have_other_orders(qm9_molecules):
    """QM9's four, and the same atoms in the SMILES' order; everywhere else the orders are one."""
    of = np.flatnonzero(np.isin(qm9_molecules.index, [486, 52466, 59818, 133487]))
    found = descriptors.structure(qm9_molecules.select(of))["longest_bond"]
    assert found.between(0.85, 1.1).all()
    turned = descriptors.structure(with_smiles(made("CCCO"), "OCCC"))["longest_bond"]
    assert turned.tolist() == pytest.approx(descriptors.structure(made("CCCO"))["longest_bond"].tolist())
    propanol = with_smiles(made("CCCO"), "OCCC")
    columns = {name: getattr(propanol, name) for name in ("index", "n_atoms", "numbers", "energy", "smiles")}
    moved = propanol.positions - propanol.positions[0] + 1e-6  # a coordinate that Python writes with an exponent
    near_zero = descriptors.structure(Molecules(**columns, positions=moved))["longest_bond"]
    assert near_zero.tolist() == pytest.approx(turned.tolist(), abs=1e-5)


# ---- novelty


def test_a_twin_in_the_training_set_is_at_no_distance_wherever_it_lies():
    twins = made("CC(O)C=O", "CCCC", "CC(O)C=O")
    turned = twins.positions.copy()
    last = slice(twins.offsets[2], twins.offsets[3])
    turned[last] = 4.0 + Rotation.from_euler("xyz", [1, 2, 3]).apply(twins.positions[:11])
    columns = {name: getattr(twins, name) for name in ("index", "n_atoms", "numbers", "energy", "smiles")}
    found = descriptors.novelty(Molecules(**columns, positions=turned), np.array([0, 1]), np.array([2]))
    assert found["distance"].iloc[0] < 1e-3
    other = descriptors.novelty(Molecules(**columns, positions=turned), np.array([1]), np.array([0, 2]))
    assert (other["distance"] > 0.3).all()
    assert other["distance"].iloc[0] == pytest.approx(other["distance"].iloc[1], abs=1e-5)


def test_the_distance_is_hellingers_on_a_grid_of_twenty_nodes():
    """One pair of atoms each: half-way between two nodes, on the lower of them, and of other elements."""
    step = descriptors.CUTOFF / 19
    pair = Molecules(
        index=np.array([1, 2, 3]),
        n_atoms=np.array([2, 2, 2]),
        numbers=np.array([1, 9, 9, 1, 9, 9], dtype=np.uint8),
        positions=np.array([[0, 0, 0], [4.5 * step, 0, 0], [0, 0, 0], [0, 4 * step, 0], [0, 0, 0], [0, 4 * step, 0]]),
        energy=np.zeros(3),
        smiles=np.array(["F", "F", "FF"]),
    )
    found = descriptors.novelty(pair, np.array([0]), np.array([1, 2]))
    assert found.loc[2, "distance"] == pytest.approx(np.sqrt(1 - np.sqrt(0.5)), abs=1e-3)
    assert found.loc[3, "distance"] == pytest.approx(1, abs=1e-3)
    assert descriptors.novelty(pair, np.array([0, 1]), np.array([2]))["distance"].iloc[0] == pytest.approx(1, abs=1e-3)


def test_it_is_the_nearest_of_the_training_molecules_whatever_the_blocks(few_molecules, monkeypatch):
    train, of = np.arange(0, len(few_molecules), 2), np.arange(1, len(few_molecules), 2)
    whole = descriptors.novelty(few_molecules, train, of)
    singly = pd.concat([descriptors.novelty(few_molecules, train[place : place + 1], of) for place in range(12)])
    least = singly["distance"].groupby(level=0).min().reindex(whole.index)
    np.testing.assert_allclose(descriptors.novelty(few_molecules, train[:12], of)["distance"], least, atol=1e-5)
    monkeypatch.setattr(descriptors, "_BLOCK", 17)
    monkeypatch.setattr(descriptors, "_QUERIES", 5)
    in_blocks = descriptors.novelty(few_molecules, train, of[::-1]).loc[whole.index]
    pd.testing.assert_frame_equal(in_blocks, whole, atol=1e-5)  # float32, and blocks round their own way


@settings(max_examples=15)
@given(st.permutations(range(8)))
def test_the_order_of_the_molecules_changes_nothing(order):
    alkanes = made("CC", "CCC", "CCCC", "CCCO", "C=CC", "CC#N", "CCN", "CCF")
    train = np.arange(5)
    before = descriptors.novelty(alkanes, train, np.array([5, 6, 7]))
    order = np.array(order)
    place = np.argsort(order)
    after = descriptors.novelty(alkanes.select(order), place[train], place[5:])
    pd.testing.assert_frame_equal(after, before)


def test_the_rarest_environment_is_counted_by_hand():
    """Butane's CH2 between CH3 and CH2 is in pentane and hexane alone; its CH3 at CH2 is in propane, too."""
    chains = made("CC", "CCC", "CCCCC", "CCCCCC", "CCCC", "CCCCO")
    found = descriptors.novelty(chains, np.array([0, 1, 2, 3]), np.array([4, 5]))
    assert found["rarest_environment"].tolist() == [2, 0]


def test_there_must_be_a_training_set_apart_from_the_molecules():
    chains = made("CC", "CCC")
    with pytest.raises(ValueError, match="there are no training molecules"):
        descriptors.novelty(chains, np.array([], dtype=int), np.array([1]))
    with pytest.raises(ValueError, match="molecule 2 is a training molecule"):
        descriptors.novelty(chains, np.array([0, 1]), np.array([1]))


def test_the_table_is_both_parts(few_molecules):
    train, of = np.arange(0, 100), np.array([150, 120, 111])
    table = descriptors.table(few_molecules, train, of)
    assert table.index.tolist() == few_molecules.index[of].tolist()
    pd.testing.assert_frame_equal(
        table.drop(columns=["distance", "rarest_environment"]), descriptors.structure(few_molecules.select(of))
    )
    assert table.notna().all(axis=None)
    assert (table["distance"] > 0).all()
