"""A recorded model, with SchNetPack alone. Run it with Python.

A record's run.json says how its network is built; model.safetensors holds the weights,
and what has to be added to what the network puts out to have U0. Elements other than H,
C, N, O and F, charges and geometries that are not relaxed are not for it: it answers,
and is wrong. The folder of another record can be given on the command line.
"""

import json
import sys
from pathlib import Path

import torch
from ase import Atoms
from ase.build import molecule
from ase.units import Hartree
from safetensors.torch import load_file
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.interfaces import AtomsConverter
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import PaiNN, SchNet
from schnetpack.transform import AddOffsets, CastTo64, MatScipyNeighborList

RECORD = (
    Path(__file__).resolve().parent.parent / "results" / "baseline" / "141dc8907d24"
)


def load(record: Path) -> tuple[NeuralNetworkPotential, AtomsConverter]:
    """The network of a record, and what makes its input of ASE's atoms (Å)."""
    about = json.loads((record / "run.json").read_text(encoding="utf-8"))
    model = about["config"]["model"]
    # Records from before there was a choice don't say which.
    networks = {"schnet": SchNet, "painn": PaiNN}
    network = networks[model.get("representation", "schnet")](
        model["n_atom_basis"],
        model["n_interactions"],
        GaussianRBF(model["n_rbf"], model["training_cutoff"]),
        CosineCutoff(model["training_cutoff"]),
        shared_interactions=model["shared_interactions"],
    )
    # From the file, like the weights: the free atoms' energies and a mean per atom, eV.
    table = torch.zeros(100, dtype=torch.float64)
    offsets = {"atomrefs": table, "property_mean": table[:1]}
    add = AddOffsets("energy_U0", add_mean=True, add_atomrefs=True, **offsets)
    potential = NeuralNetworkPotential(
        network,
        [PairwiseDistances()],
        [Atomwise(model["n_atom_basis"], output_key="energy_U0")],
        postprocessors=[CastTo64(), add],
    )
    potential.load_state_dict(load_file(record / "model.safetensors"))
    neighbours = MatScipyNeighborList(cutoff=model["data_cutoff"])
    return potential.eval(), AtomsConverter(neighbours)


def predict(atoms: Atoms, record: Path = RECORD) -> float:
    """U0 of a molecule, eV."""
    potential, convert = load(record)
    with torch.no_grad():
        return potential(convert(atoms))["energy_U0"].item()


if __name__ == "__main__":
    record = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD
    energy = predict(molecule("CH3CH2OH"), record)
    print(f"U0 of ethanol: {energy:.4f} eV, {energy / Hartree:.6f} Hartree")
