"""A data module per set is a trap: shown with SchNetPack alone, by `python examples/trap.py`, offline and in seconds.

A small SchNet learns measured atomisation energies (the G2/97 molecules of H, C, N and O, which come with ASE) and is
validated on the molecules of each size, twice. Network and molecules are the same; only the mean per atom that
RemoveOffsets takes away from the energies differs: the set's own, or the one that the network was trained with.
"""

import contextlib
import tempfile

import numpy as np
import pytorch_lightning as pl
import schnetpack as spk
import torch
from ase.build import molecule
from ase.data.g2 import data, molecule_names
from ase.symbols import string2symbols
from ase.units import kcal, mol


def energy(name):
    """Minus the atomisation energy, eV: the enthalpy of formation at 0 K less that of the free atoms."""
    at_zero = data[name]["enthalpy"] - data[name]["ZPE"] - data[name]["thermal correction"]
    atoms = [data[symbol] for symbol in string2symbols(data[name]["symbols"])]
    return (at_zero - sum(atom["enthalpy"] - atom["thermal correction"] for atom in atoms)) * kcal / mol


def data_module(members, mean=None):
    """The molecules of one set, to train on or to validate with, and the mean that is removed, eV per atom."""
    np.savez("split.npz", train_idx=members, val_idx=members, test_idx=members[:0])
    remove = spk.transform.RemoveOffsets("energy", remove_mean=True, property_mean=mean)
    steps = [remove, spk.transform.ASENeighborList(cutoff=5.0), spk.transform.CastTo32()]
    module = spk.data.AtomsDataModule("g2.db", 10, split_file="split.npz", transforms=steps, num_workers=0)
    module.setup()  # where no mean was given, SchNetPack takes that of the molecules in front of it
    return module, remove.mean


def main():
    names = [n for n in molecule_names if set(molecule(n).symbols) <= set("HCNO") and not data[n]["magmoms"]]
    sizes = np.array([len(molecule(name)) for name in names])
    database = spk.data.ASEAtomsData.create("g2.db", distance_unit="Ang", property_unit_dict={"energy": "eV"})
    database.add_systems([{"energy": np.array([energy(name)])} for name in names], [molecule(name) for name in names])

    schnet = spk.representation.SchNet(30, 3, spk.nn.GaussianRBF(20, 5.0), spk.nn.CosineCutoff(5.0))
    readout = spk.atomistic.Atomwise(n_in=30, output_key="energy")
    model = spk.model.NeuralNetworkPotential(schnet, [spk.atomistic.PairwiseDistances()], [readout])
    task = spk.AtomisticTask(
        model, [spk.ModelOutput("energy", torch.nn.MSELoss(), metrics={})], optimizer_args={"lr": 2e-3}
    )
    trainer = pl.Trainer(max_epochs=60, accelerator="cpu", logger=False, enable_checkpointing=False)
    everything, mean = data_module(np.arange(len(names)))
    trainer.fit(task, everything)

    table = []
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        trap, own_mean = data_module(members)
        way_out, _ = data_module(members, mean)  # the one that the network was trained with
        losses = [trainer.validate(task, module, verbose=False)[0]["val_loss"] for module in (trap, way_out)]
        table.append([size, len(members), *losses, (size * float(own_mean - mean)) ** 2])
    whole = trainer.validate(task, everything, verbose=False)[0]["val_loss"]

    print("atoms  molecules  MSE, own mean  MSE, training mean  (N·Δ)²   (eV²)")
    for row in table:
        print("{:5}  {:9}  {:13.3f}  {:18.3f}  {:6.3f}".format(*row))
    average = np.average(table, axis=0, weights=[row[1] for row in table])
    print(f"mean over all     {average[2]:13.3f}  {average[3]:18.3f}   validated as one set: {whole:.3f}")


if __name__ == "__main__":
    pl.seed_everything(0)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        main()
