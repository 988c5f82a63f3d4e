"""A data module per set is a trap: shown with SchNetPack alone, by `python examples/trap.py`, offline and in seconds.

A small SchNet learns measured atomisation energies: those of the G2/97 molecules of H, C, N and O with four atoms or
more and no unpaired electron, which come with ASE. Then it is validated on the molecules of each size, twice. Network
and molecules are the same; only the mean per atom that RemoveOffsets takes away from the energies differs.
"""

import contextlib
import tempfile

import numpy as np
import pytorch_lightning as pl
import schnetpack as spk
import torch
from ase.build import molecule
from ase.data.g2 import data, molecule_names
from ase.units import kcal, mol


def energy(name, atoms):
    """Minus the atomisation energy, eV: the enthalpy of formation at 0 K less that of the free atoms."""
    whole = data[name]["enthalpy"] - data[name]["ZPE"] - data[name]["thermal correction"]
    parts = sum(data[symbol]["enthalpy"] - data[symbol]["thermal correction"] for symbol in atoms.symbols)
    return (whole - parts) * kcal / mol


def data_module(members, mean=None):
    """The molecules of one set, to train on or to validate with, and the mean that is taken away, eV per atom."""
    np.savez("split.npz", train_idx=members, val_idx=members, test_idx=members[:0])
    remove = spk.transform.RemoveOffsets("energy", remove_mean=True, property_mean=mean)
    steps = [remove, spk.transform.ASENeighborList(cutoff=5.0), spk.transform.CastTo32()]
    module = spk.data.AtomsDataModule("g2.db", 10, split_file="split.npz", transforms=steps, num_workers=0)
    module.setup()  # where no mean is given, SchNetPack takes that of the molecules in front of it
    return module, remove.mean


def main():
    closed = {name: molecule(name) for name in molecule_names if not data[name]["magmoms"]}
    found = {name: atoms for name, atoms in closed.items() if len(atoms) > 3 and set(atoms.symbols) <= set("HCNO")}
    database = spk.data.ASEAtomsData.create("g2.db", distance_unit="Ang", property_unit_dict={"energy": "eV"})
    database.add_systems([{"energy": np.array([energy(*each)])} for each in found.items()], list(found.values()))

    schnet = spk.representation.SchNet(30, 3, spk.nn.GaussianRBF(20, 5.0), spk.nn.CosineCutoff(5.0))
    readout = spk.atomistic.Atomwise(n_in=30, output_key="energy")
    model = spk.model.NeuralNetworkPotential(schnet, [spk.atomistic.PairwiseDistances()], [readout])
    output = spk.ModelOutput("energy", torch.nn.MSELoss(), metrics={})
    task = spk.AtomisticTask(model, [output], optimizer_args={"lr": 5e-3})
    off = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
    trainer = pl.Trainer(max_epochs=30, check_val_every_n_epoch=30, accelerator="cpu", **off)
    everything, mean = data_module(np.arange(len(found)))
    trainer.fit(task, everything)

    print("atoms  molecules  MSE, own mean  MSE, training mean  (N·Δ)²   (eV²)")
    rows, sizes = [], np.array([len(atoms) for atoms in found.values()])
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        (trap, own_mean), (way_out, _) = data_module(members), data_module(members, mean)
        wrong, right = (trainer.validate(task, each, verbose=False)[0]["val_loss"] for each in (trap, way_out))
        print(f"{size:5}{len(members):11}{wrong:15.3f}{right:20.3f}{(size * (own_mean - mean)) ** 2:8.3f}")
        rows += [[wrong, right]] * len(members)
    whole = trainer.validate(task, everything, verbose=False)[0]["val_loss"]
    print("average {:23.3f}{:20.3f}   validated as one set: {:.3f}".format(*np.mean(rows, axis=0), whole))


if __name__ == "__main__":
    pl.seed_everything(0)
    torch.set_num_threads(1)  # for tensors this small, more would only wait for each other
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        main()
