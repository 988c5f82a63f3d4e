"""One data module per set: a trap, shown with SchNetPack alone. Run it with Python.

A small SchNet learns the measured enthalpies of formation of the closed-shell molecules
of H, C, N and O with four atoms or more in the G2/97 set, which comes with ASE. Then it
is validated on the molecules of each size, twice. Network and molecules are the same;
only the mean per atom that RemoveOffsets takes away is another one.
"""

import contextlib
import tempfile

import numpy as np
import pytorch_lightning as pl
import torch
from ase.build import molecule
from ase.data import chemical_symbols
from ase.data.g2 import data, molecule_names
from ase.units import kcal, mol
from pytorch_lightning.plugins.environments import LightningEnvironment
from schnetpack import AtomisticTask, ModelOutput
from schnetpack.atomistic import Atomwise, PairwiseDistances
from schnetpack.data import ASEAtomsData, AtomsDataModule
from schnetpack.model import NeuralNetworkPotential
from schnetpack.nn import CosineCutoff, GaussianRBF
from schnetpack.representation import SchNet
from schnetpack.transform import CastTo32, MatScipyNeighborList, RemoveOffsets


def data_module(members, mean=None):
    """A set to train on or to validate with, and the mean that it takes away, eV."""
    np.savez("set.npz", train_idx=members, val_idx=members, test_idx=members[:0])
    removed = {"remove_atomrefs": True, "remove_mean": True, "property_mean": mean}
    remove = RemoveOffsets("energy", **removed)
    steps = [remove, MatScipyNeighborList(cutoff=5.0), CastTo32()]
    settings = {"split_file": "set.npz", "num_workers": 0, "batch_size": 10}
    module = AtomsDataModule("g2.db", transforms=steps, **settings)
    module.setup()  # without a mean, SchNetPack takes that of these molecules
    return module, remove.mean


def error(module):
    """Mean squared error over a set, eV²."""
    return trainer.validate(task, module, verbose=False)[0]["val_loss"]


with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    pl.seed_everything(0)
    torch.set_num_threads(1)  # for tensors this small, more would only wait
    found = {n: molecule(n) for n in molecule_names if not data[n]["magmoms"]}
    found = {n: x for n, x in found.items() if {*x.symbols} <= {*"HCNO"} and len(x) > 3}
    formation = {name: each["enthalpy"] * kcal / mol for name, each in data.items()}
    energies = [{"energy": np.array([formation[name]])} for name in found]
    atoms = {"energy": [formation.get(symbol, 0.0) for symbol in chemical_symbols[:9]]}
    units = {"distance_unit": "Ang", "property_unit_dict": {"energy": "eV"}}
    created = ASEAtomsData.create("g2.db", atomrefs=atoms, **units)
    created.add_systems(energies, found.values())

    schnet = SchNet(30, 3, GaussianRBF(20, 5.0), CosineCutoff(5.0))
    readout = Atomwise(n_in=30, output_key="energy")
    model = NeuralNetworkPotential(schnet, [PairwiseDistances()], [readout])
    output = ModelOutput("energy", torch.nn.MSELoss(), metrics={})
    task = AtomisticTask(model, [output], optimizer_args={"lr": 2e-3})
    quiet = {"logger": False, "enable_checkpointing": False}
    quiet |= {"enable_progress_bar": False, "enable_model_summary": False}
    alone = {"accelerator": "cpu", "devices": 1, "plugins": [LightningEnvironment()]}
    trainer = pl.Trainer(max_epochs=50, check_val_every_n_epoch=50, **quiet, **alone)
    everything, mean = data_module(np.arange(len(found)))
    trainer.fit(task, everything)

    print("atoms  molecules  own mean  training mean  (N·Δ)²      (all in eV²)")
    rows, sizes = [], np.array([len(atoms) for atoms in found.values()])
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        (trap, own), (way_out, _) = data_module(members), data_module(members, mean)
        rows += [[error(trap), error(way_out)]] * len(members)
        row = [size, len(members), *rows[-1], (size * float(own - mean)) ** 2]
        print("{:5}{:11}{:10.3f}{:15.3f}{:8.3f}".format(*row))
    row = [*np.mean(rows, axis=0), error(everything)]
    print("average{:19.3f}{:15.3f}   all at once: {:.3f}".format(*row))
