"""Recorded models as an ASE calculator: SchNetPack's own, one per model, averaged by ASE."""

import warnings
from collections.abc import Sequence

import torch
from ase import Atoms
from ase.calculators.calculator import InputError, PropertyNotImplementedError, all_changes
from ase.calculators.mixing import AverageCalculator
from schnetpack.atomistic import Forces
from schnetpack.interfaces import SpkCalculator
from schnetpack.model import NeuralNetworkPotential
from schnetpack.transform import MatScipyNeighborList

from analysis.data.molecules import unwrapped
from analysis.evaluation.prediction_intervals import UNKNOWN
from analysis.predict.ensemble import Ensemble
from analysis.runs.records import Record
from analysis.training import networks
from analysis.training.batches import ENERGY

_NO_FORCES = (
    "these models have learnt energies of relaxed geometries and no forces: even there the derivative of their energy "
    "reaches 12 eV/Å, where the true force is 0, and a molecule that it moves from rest soon breaks; if you want it "
    "all the same, EnsembleCalculator(ensemble, untrained_forces=True) gives it"
)


class EnsembleCalculator(AverageCalculator):
    """Energy of an ensemble (U0, eV), the mean over its models; each model's is in `results` too.

    `geometry` is the kind of all geometries, as in `Ensemble.predict`: it decides which models these are.
    The models were trained on energies of relaxed geometries, and *not on forces*, which are therefore refused: ASE's
    PropertyNotImplementedError says why. With `untrained_forces` there are some, eV/Å: the exact derivative of the
    predicted energy, and no physical force. U0 holds the zero-point energy besides.

    What `Ensemble.answers` refuses is ASE's InputError: without `outside`, molecules
    outside what the models know, too. Its warnings are Python warnings, when a molecule comes for the first time. All
    is computed in float64: in float32, SchNetPack's calculator would round the offsets, near −10⁴ eV, to 10⁻³ eV.
    """

    def __init__(
        self, ensemble: Ensemble, *, geometry: str = UNKNOWN, untrained_forces: bool = False, outside: bool = False
    ) -> None:
        records = ensemble.at(geometry).records
        super().__init__([_calculator(record, forces=untrained_forces) for record in records])
        self._ensemble, self._geometry, self._outside = ensemble, geometry, outside

    def get_property(self, name: str, *where: object, **how: object) -> object:
        """As ASE's, but says why there are no forces."""
        if name == "forces" and name not in self.implemented_properties:
            raise PropertyNotImplementedError(_NO_FORCES)
        return super().get_property(name, *where, **how)

    def calculate(
        self, atoms: Atoms, properties: Sequence[str] = ("energy",), system_changes: Sequence[str] = all_changes
    ) -> None:
        """Fill `results` with the energy and, if they were asked for, the forces [A, 3]."""
        (answer,) = self._ensemble.answers([atoms], ["it"], [self._geometry], outside=self._outside)
        if isinstance(answer, str):
            raise InputError(answer)
        if set(system_changes) - {"positions"}:
            for warning in answer.warnings:
                warnings.warn(warning, stacklevel=2)
        super().calculate(unwrapped(atoms), properties, system_changes)
        self.atoms = atoms.copy()  # ASE compares it with the next ones: nothing is computed twice


def _model(record: Record) -> NeuralNetworkPotential:
    """The recorded network of SchNetPack's own modules, with its weights and offsets, ready to predict U0 in eV."""
    postprocessors = networks.postprocessors(record.offsets(), ENERGY)
    model = networks.build_from(record.config.model, fused=False, postprocessors=postprocessors)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in record.state_dict().items()})
    return model.eval()


def _calculator(record: Record, *, forces: bool) -> SpkCalculator:
    model = _model(record)
    if forces:
        model.output_modules.append(Forces(energy_key=ENERGY, force_key="forces"))
        model.collect_derivatives()
        model.collect_outputs()
    calculator = SpkCalculator(
        model,
        MatScipyNeighborList(cutoff=record.config.model.data_cutoff),
        energy_key=ENERGY,
        force_key="forces" if forces else None,
        energy_unit="eV",
        position_unit="Ang",
        dtype=torch.float64,
    )
    # No stress: molecules have no cell.
    calculator.implemented_properties = ["energy", "forces"] if forces else ["energy"]
    return calculator
