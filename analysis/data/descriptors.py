"""What a molecule is like, in numbers: composition, structure, and how much of it the training molecules hold."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pandas as pd
from ase.data import chemical_symbols, covalent_radii
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds, rdFingerprintGenerator, rdMolDescriptors

from analysis.data.errors import UserError
from analysis.data.molecules import Molecules
from analysis.data.neighbours import neighbour_pairs

ELEMENTS = {"hydrogens": 1, "carbons": 6, "nitrogens": 7, "oxygens": 8, "fluorines": 9}
"""Columns with the number of atoms of each of QM9's elements, and their atomic numbers."""

CUTOFF = 5.0
"""Å: pairs of atoms farther apart are left out of `novelty`, as in the model "Default"."""
NODES = 20
"""On which `novelty` notes a distance, from 0 to `CUTOFF`: as many as the model has Gaussians."""

_IN_BRACKETS = re.compile(r"\[[^]]*\]")  # an atom, with numbers of its own
_RING_LABEL = re.compile(r"%\d\d|\d")
_BLOCK = 8_192  # molecules whose pairs are counted in one go: some 100 MB
_QUERIES = 512  # molecules compared with all of the training set in one go: some 200 MB


class DescriptorError(UserError, ValueError):
    """A molecule that has no descriptors; the message names its index and the reason."""


def table(molecules: Molecules, train: np.ndarray, of: np.ndarray) -> pd.DataFrame:
    """`structure` and `novelty` side by side, for the molecules at the positions `of`; parameters as there."""
    return pd.concat([structure(molecules.select(of)), novelty(molecules, train, of)], axis=1)


def ring_counts(molecules: Molecules) -> np.ndarray:
    """`rings` of `structure`, int64 [M], from the SMILES' text: each ring closes with one pair of equal labels.

    It takes a hundredth of the time, and does not notice a SMILES that is wrong.
    """
    return np.array([len(_RING_LABEL.findall(_IN_BRACKETS.sub("", text))) // 2 for text in molecules.smiles.tolist()])


def structure(molecules: Molecules) -> pd.DataFrame:
    """Composition and structure: a row per molecule, in their order, under its QM9 index.

    - `n_atoms`, `heavy_atoms` (all but hydrogen), `hydrogen_share` (hydrogens over atoms), and the atoms of each
      element (`ELEMENTS`).
    - `unsaturation`: rings and π bonds together, (2 C + 2 + N − H − F) / 2.
    - `rings`: independent rings; `smallest_ring`: atoms of the smallest, 0 without rings; `three_rings` and
      `four_rings`: rings of three and four atoms; `shared_ring_atoms`: atoms in more than one ring.
    - `aromatic_atoms` (RDKit's model of aromaticity), `triple_bonds`, `sp3_share` (sp³ carbons among the carbons, 0
      without carbon), `hetero_bonds`: bonds between two atoms out of N, O and F.
    - `longest_bond`: the most stretched bond between heavy atoms, its length over the sum of the atoms' covalent radii
      (Cordero et al., Dalton Trans. 2832 (2008)); 0 without such bonds. SMILES and geometry have their heavy atoms in
      one order; where the elements show that they don't (four molecules of QM9), the bonds are those that RDKit sees
      in the geometry.
    - `zwitterion`: 1 if a positive atom has no negative neighbour. So the charges that a Lewis structure puts on
      neighbours (nitro groups, diazo groups, N-oxides) don't count.

    Raises DescriptorError for a molecule whose SMILES is missing, or not read by RDKit, or of other atoms.
    """
    counts = molecules.element_counts()
    if (wrong := counts.sum(axis=1) != molecules.n_atoms).any():
        index = molecules.index[wrong][0]
        raise DescriptorError(f"molecule {index} holds an element other than H, C, N, O and F")
    hydrogens, carbons, nitrogens, _, fluorines = counts.T
    rows, bonds = [], []
    for place, (read, count) in enumerate(zip(_read(molecules), counts.tolist(), strict=True)):
        rows.append(_of_structure(read, molecules.index[place], count))
        bonds.append(_bonds(read, molecules, place))
    composition = {
        "n_atoms": molecules.n_atoms,
        "heavy_atoms": molecules.heavy_atoms,
        "hydrogen_share": hydrogens / molecules.n_atoms,
        **dict(zip(ELEMENTS, counts.T, strict=True)),
        "unsaturation": (2 * carbons + 2 + nitrogens - hydrogens - fluorines) / 2,
    }
    index = pd.Index(molecules.index, name="index")
    structural = pd.DataFrame(rows, index=index).assign(longest_bond=_longest(molecules, bonds))
    return pd.concat([pd.DataFrame(composition, index=index), structural], axis=1)


def novelty(molecules: Molecules, train: np.ndarray, of: np.ndarray) -> pd.DataFrame:
    """How far molecules lie from a training set, in geometry and in chemistry: a row for each of `of`, in their order.

    - `distance`: to the nearest training molecule; 0 if it has the same pairs of atoms. SchNet is given nothing but the
      elements and the distances of pairs of atoms nearer than the cut-off. So a molecule is described by how many of
      its pairs there are of each of the 15 pairs of elements at each distance, noted on a grid as fine as the model's
      Gaussians. Two molecules are as far apart as Hellinger's distance between their two counts, √(½ Σ (√a − √b)²):
      with the roots, a pair more among two weighs more than one among a hundred. As energies add up, counts are
      compared, and not shares, which would set small molecules apart for having few pairs.
    - `rarest_environment`: of the molecule's heavy atoms with their neighbours (elements, hydrogens, charges, bonds;
      Morgan's environments of radius 1), the one that the fewest training molecules hold: how many do.

    `molecules` is the whole database; `train` and `of` are positions in it. Raises DescriptorError as `structure` does,
    and ValueError if `train` is empty, or a molecule is in both.
    """
    if len(train) == 0:
        raise ValueError("there are no training molecules to measure a distance to")
    if len(both := np.intersect1d(train, of)):
        raise ValueError(f"molecule {molecules.index[both[0]]} is a training molecule: its distance would be 0")
    roots = np.sqrt(_pair_counts(molecules.select(np.concatenate([train, of]))))
    nearest = _nearest(roots[len(train) :], roots[: len(train)])
    seen = Counter(chain.from_iterable(_environments(molecules.select(train))))
    rarest = [min(seen[one] for one in environments) for environments in _environments(molecules.select(of))]
    index = pd.Index(molecules.index[of], name="index")
    return pd.DataFrame({"distance": nearest, "rarest_environment": rarest}, index=index)


def _read(molecules: Molecules) -> Iterator[Chem.Mol]:
    with rdBase.BlockLogs():
        for smiles, index in zip(molecules.smiles.tolist(), molecules.index, strict=True):
            structure = Chem.MolFromSmiles(smiles)
            if structure is None or structure.GetNumAtoms() == 0:
                raise DescriptorError(f"molecule {index}: RDKit reads no structure from its SMILES {smiles!r}")
            yield structure


def _of_structure(structure: Chem.Mol, index: int, count: Sequence[int]) -> dict[str, float]:
    atoms = list(structure.GetAtoms())
    found = Counter(atom.GetAtomicNum() for atom in atoms)
    found[1] += sum(atom.GetTotalNumHs() for atom in atoms)
    if [found[z] for z in ELEMENTS.values()] != list(count):
        raise DescriptorError(f"molecule {index}: its SMILES {Chem.MolToSmiles(structure)} has other atoms than it")
    rings = structure.GetRingInfo()
    sizes = [len(ring) for ring in rings.AtomRings()]
    bonds = [(bond.GetBondType(), bond.GetBeginAtom(), bond.GetEndAtom()) for bond in structure.GetBonds()]
    hetero = {7, 8, 9}
    return {
        # RDKit's own count goes by a set of rings that has more than the independent ones in cages.
        "rings": len(bonds) - len(atoms) + len(Chem.GetMolFrags(structure)),
        "smallest_ring": min(sizes, default=0),
        "three_rings": sizes.count(3),
        "four_rings": sizes.count(4),
        "shared_ring_atoms": sum(rings.NumAtomRings(place) > 1 for place in range(len(atoms))),
        "aromatic_atoms": sum(atom.GetIsAromatic() for atom in atoms),
        "triple_bonds": sum(kind == Chem.BondType.TRIPLE for kind, *_ in bonds),
        "sp3_share": rdMolDescriptors.CalcFractionCSP3(structure),
        "hetero_bonds": sum({one.GetAtomicNum(), other.GetAtomicNum()} <= hetero for _, one, other in bonds),
        "zwitterion": int(
            any(
                atom.GetFormalCharge() > 0 and all(other.GetFormalCharge() >= 0 for other in atom.GetNeighbors())
                for atom in atoms
            )
        ),
    }


def _bonds(structure: Chem.Mol, molecules: Molecules, place: int) -> list[tuple[int, int]]:
    """Bonds between heavy atoms, as the atoms' places in all of `molecules`."""
    start = int(molecules.offsets[place])
    numbers = molecules.numbers[start : molecules.offsets[place + 1]].tolist()
    heavy = [start + atom for atom, z in enumerate(numbers) if z > 1]
    if [atom.GetAtomicNum() for atom in structure.GetAtoms()] == [z for z in numbers if z > 1]:
        return [(heavy[bond.GetBeginAtomIdx()], heavy[bond.GetEndAtomIdx()]) for bond in structure.GetBonds()]
    lines = [str(len(numbers)), ""]
    coordinates = molecules.positions[start : start + len(numbers)].tolist()
    symbols = [chemical_symbols[number] for number in numbers]
    lines += [f"{of} {x:.8f} {y:.8f} {z:.8f}" for of, (x, y, z) in zip(symbols, coordinates, strict=True)]
    seen = Chem.MolFromXYZBlock("\n".join(lines))
    rdDetermineBonds.DetermineConnectivity(seen)
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in seen.GetBonds()]
    return [(start + one, start + other) for one, other in ends if numbers[one] > 1 and numbers[other] > 1]


def _longest(molecules: Molecules, bonds: Sequence[Sequence[tuple[int, int]]]) -> np.ndarray:
    of = np.repeat(np.arange(len(bonds)), [len(one) for one in bonds])
    first, second = np.array(list(chain.from_iterable(bonds)), dtype=np.int64).reshape(-1, 2).T
    length = np.linalg.norm(molecules.positions[first] - molecules.positions[second], axis=1)
    longest = np.zeros(len(bonds))
    np.maximum.at(longest, of, length / (covalent_radii[molecules.numbers[[first, second]]].sum(axis=0)))
    return longest


def _environments(molecules: Molecules) -> Iterator[tuple[int, ...]]:
    """Per molecule its different environments, as Morgan's identifiers."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=1, includeRedundantEnvironments=True)
    for structure in _read(molecules):
        yield tuple(generator.GetSparseFingerprint(structure).GetOnBits())


def _pair_counts(molecules: Molecules) -> np.ndarray:
    """Pairs of each two elements at each distance, per molecule: float32 [M, D]; what no molecule has is left out."""
    kinds = np.full(max(ELEMENTS.values()) + 1, -1)
    kinds[list(ELEMENTS.values())] = np.arange(len(ELEMENTS))
    blocks = []
    for start in range(0, len(molecules), _BLOCK):
        block = molecules.select(np.arange(start, min(start + _BLOCK, len(molecules))))
        pairs = neighbour_pairs(block, CUTOFF)
        of = np.repeat(np.arange(len(block)), np.diff(pairs.offsets))
        first, second = (kinds[block.numbers[block.offsets[of] + side]] for side in (pairs.first, pairs.second))
        elements = np.maximum(first, second) * len(ELEMENTS) + np.minimum(first, second)
        # Shared between the two nodes around it, so that nothing jumps as a distance passes a limit.
        node = np.minimum(pairs.distance.astype(float) * ((NODES - 1) / CUTOFF), np.nextafter(NODES - 1, 0))
        below = node.astype(np.int64)
        place = (of * len(ELEMENTS) ** 2 + elements) * NODES + below
        shape = (len(block), len(ELEMENTS) ** 2 * NODES)
        counted = np.bincount(place, 1 - (node - below), minlength=shape[0] * shape[1])
        counted += np.bincount(place + 1, node - below, minlength=shape[0] * shape[1])
        blocks.append(counted.reshape(shape).astype(np.float32))
    counts = np.concatenate(blocks)
    return counts[:, counts.any(axis=0)]


def _nearest(queries: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Hellinger's distance of each query to the nearest training molecule, of square roots of counts: [Q]."""
    lengths = (train**2).sum(axis=1) / 2
    found = np.empty(len(queries))
    for start in range(0, len(queries), _QUERIES):
        block = queries[start : start + _QUERIES]
        nearest = train[(lengths - block @ train.T).argmin(axis=1)]
        # In float64, and as a sum of squares: the difference above is all rounding where molecules are alike.
        found[start : start + _QUERIES] = np.sqrt(((block.astype(float) - nearest) ** 2).sum(axis=1) / 2)
    return found
