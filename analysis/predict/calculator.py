"""Recorded models as an ASE calculator: SchNetPack's own, one per model, averaged by ASE."""

import warnings
from collections.abc import Sequence

import torch
from ase import Atoms
from ase.calculators.calculator import InputError, all_changes
from ase.calculators.mixing import AverageCalculator
from schnetpack.atomistic import Forces
from schnetpack.interfaces import SpkCalculator
from schnetpack.transform import MatScipyNeighborList

from analysis.data.molecules import unwrapped
from analysis.predict import electrons
from analysis.predict.applicability import refusal
from analysis.predict.ensemble import Ensemble, model_of
from analysis.runs.records import Record
from analysis.training.batches import ENERGY


class EnsembleCalculator(AverageCalculator):
    """Energy (U0, eV) and forces (eV/Å) of an ensemble: the means over its models; each model's are in `results` too.

    The models were trained on energies of relaxed geometries, and *not on forces*. What autograd gives is the exact
    derivative of the predicted energy, and no physical force: at QM9's own geometries, where true forces vanish, it
    reaches 4 to 12 eV/Å. So an optimisation or a dynamics leaves QM9's geometries at once, and what the energies are
    there is unknown; the forces show what the network has learned. U0 holds the zero-point energy besides.

    What may mean a charge or a spin (see `electrons.doubts`) is a Python warning; a molecule that
    `applicability.refusal` refuses is ASE's InputError. All is computed in float64: in float32, SchNetPack's calculator
    would round the offsets, near −10⁴ eV, to 10⁻³ eV.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__([_calculator(record) for record in ensemble.records])

    def calculate(
        self, atoms: Atoms, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = all_changes
    ) -> None:
        """Fill `results` with energy and forces [A, 3]."""
        if why := refusal(atoms):
            raise InputError(why)
        for doubt in electrons.doubts(atoms):
            warnings.warn(doubt, stacklevel=2)
        super().calculate(unwrapped(atoms), properties, system_changes)
        self.atoms = atoms.copy()  # ASE compares it with the next ones: nothing is computed twice


def _calculator(record: Record) -> SpkCalculator:
    model = model_of(record, stock=True)
    model.output_modules.append(Forces(energy_key=ENERGY))
    model.collect_derivatives()
    model.collect_outputs()
    calculator = SpkCalculator(
        model,
        MatScipyNeighborList(cutoff=record.config.model.data_cutoff),
        energy_key=ENERGY,
        energy_unit="eV",
        position_unit="Ang",
        dtype=torch.float64,
    )
    calculator.implemented_properties = ["energy", "forces"]  # no stress: molecules have no cell
    return calculator
