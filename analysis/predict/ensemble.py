"""Energies of molecules that someone hands in, from recorded models: an ensemble of them, one per seed."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import ase.units
import numpy as np
import torch
from ase import Atoms
from schnetpack.model import NeuralNetworkPotential

from analysis import study
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules, to_ase, unwrapped
from analysis.data.neighbours import neighbour_pairs
from analysis.data.offsets import reference_energies
from analysis.evaluation import accuracy
from analysis.evaluation.prediction_intervals import KINDS, UNKNOWN, Intervals
from analysis.predict import electrons
from analysis.predict.applicability import Domain, refusal
from analysis.runs import checkout
from analysis.runs.records import Record
from analysis.training import networks
from analysis.training.batches import ENERGY, PackedMolecules
from analysis.training.loop import predict_errors

KCAL_PER_MOL = ase.units.kcal / ase.units.mol
"""In eV."""


class PredictError(UserError, ValueError):
    """Models that make no ensemble, or molecules that can't be predicted; the message names them and the reason."""


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says of one molecule.

    `energy` is U0, the internal energy at 0 K with the zero-point vibrations (B3LYP/6-31G(2df,p), as in QM9), eV: the
    mean over the models, and `spread` their standard deviation (n − 1), eV, NaN for a single model. `interval`, eV, is
    where U0 lies for nine in ten molecules like QM9's at such a `geometry` (see `prediction_intervals`); None for a
    molecule with a warning, or if the models have no intervals.
    `atomisation_energy`, eV, is what it takes to set the free atoms apart at 0 K, Σ U0(atom) − U0: *positive* for
    whatever is bound (QM9's own column `U0_atom` has the opposite sign). `warnings` are those of `electrons.doubts` and
    of `applicability.Domain`.
    """

    name: str
    formula: str
    energy: float
    atomisation_energy: float
    spread: float
    warnings: tuple[str, ...] = ()
    geometry: str = UNKNOWN
    interval: tuple[float, float] | None = None

    @property
    def energy_hartree(self) -> float:
        """U0, Hartree."""
        return self.energy / ase.units.Hartree

    @property
    def atomisation_energy_kcal(self) -> float:
        """The atomisation energy, kcal/mol."""
        return self.atomisation_energy / KCAL_PER_MOL

    def row(self) -> dict[str, str | float]:
        """All but the warnings, by names that say the unit."""
        return {
            "molecule": self.name,
            "formula": self.formula,
            "U0_eV": self.energy,
            "U0_hartree": self.energy_hartree,
            "atomisation_eV": self.atomisation_energy,
            "atomisation_kcal_mol": self.atomisation_energy_kcal,
            "spread_eV": self.spread,
            "geometry": self.geometry,
            "U0_low_eV": self.interval and self.interval[0],
            "U0_high_eV": self.interval and self.interval[1],
        }


def default_records(molecules: Molecules, *, results: str | os.PathLike[str] | None = None) -> list[Record]:
    """The five recorded runs of the model "Beyond", one per seed; `molecules` is all of QM9.

    They lie in `results`, by default `records.results_folder()` or, where they are not all there, in the installed
    package. Raises what `study.recorded` raises.
    """
    parameters = study.BeyondParameters(brief=None, budgets=[])
    try:
        return study.recorded(parameters, molecules, results=results).runs
    except study.StudyError:
        if results is not None or not checkout.MODELS.is_dir():
            raise
        return study.recorded(parameters, molecules, results=checkout.MODELS).runs


class Ensemble:
    """Recorded models of one configuration that differ only in their seeds; `molecules` is the whole database.

    Raises PredictError for no records, two of one seed, of different configurations, or of other molecules.
    """

    def __init__(self, records: Sequence[Record], molecules: Molecules) -> None:
        if not records:
            raise PredictError("an ensemble needs at least one recorded model")
        first = records[0]
        for record in records:
            if record.config.model_copy(update={"seed": first.config.seed}) != first.config:
                raise PredictError(f"records {first.id} and {record.id} differ in more than their seed")
            if record.about["molecules_fingerprint"] != molecules.fingerprint():
                raise PredictError(f"record {record.id} was made with other molecules than the {len(molecules):,} here")
        if len({record.config.seed for record in records}) < len(records):
            raise PredictError(f"two of the records {', '.join(record.id for record in records)} have the same seed")
        self.records = tuple(records)
        self._models = [model_of(record) for record in records]
        self._molecules = molecules

    @cached_property
    def domain(self) -> Domain:
        """What the training molecules hold; the first look at it takes seconds."""
        return Domain.of(self.records, self._molecules)

    @cached_property
    def scores(self) -> accuracy.Scores:
        """How good the mean prediction is on the test molecules."""
        return accuracy.scores(*self.records)

    @cached_property
    def intervals(self) -> Intervals | None:
        """How far predictions may be off, if that is recorded; raises IntervalError if the record is damaged."""
        return Intervals.of_models(self.records)

    def predict(
        self,
        given: Molecules | Iterable[Atoms],
        names: Sequence[str] | None = None,
        *,
        geometry: str | Sequence[str] = UNKNOWN,
    ) -> list[Prediction]:
        """U0 of each molecule (Å), in their order, and what is out of the ordinary about it.

        A molecule is called by its index in `Molecules`, by its place (from 1) among `Atoms`, or by `names`. `geometry`
        is the kind of all geometries, or of each, which decides the interval: one of `prediction_intervals.KINDS`, or
        "unknown".

        Raises PredictError, which names each molecule that can't be predicted (see `applicability.refusal`), or a kind
        of geometry that there is not.
        """
        kinds = {geometry} if isinstance(geometry, str) else set(geometry)
        if unknown := sorted(kinds - {*KINDS, UNKNOWN}):
            raise PredictError(
                f"there is no kind of geometry {unknown[0]!r}: it is one of {', '.join(KINDS)}, {UNKNOWN}"
            )
        packed = isinstance(given, Molecules)
        atoms = to_ase(given) if packed else list(given)
        if names is None:
            names = [str(name) for name in (given.index if packed else range(1, len(atoms) + 1))]
        refused = [f"{name}: {why}" for name, one in zip(names, atoms, strict=True) if (why := refusal(one))]
        if refused:
            raise PredictError("; ".join(refused))
        if not atoms:
            return []
        molecules = without_energies(atoms)
        energies = self.energies(molecules)
        mean = energies.mean(axis=0)
        alone = len(energies) == 1
        spread = np.full(len(molecules), np.nan) if alone else energies.std(axis=0, ddof=1)
        atomisation = reference_energies(molecules) - mean
        doubts = map(electrons.doubts, atoms)
        warnings = [doubt + words for doubt, words in zip(doubts, self.domain.warnings(molecules, spread), strict=True)]
        formulas = [one.get_chemical_formula() for one in atoms]
        of_each = [geometry] * len(atoms) if isinstance(geometry, str) else geometry
        intervals = [
            None if warned or alone or self.intervals is None else self.intervals.of(kind, *said)
            for kind, warned, *said in zip(of_each, warnings, mean.tolist(), spread.tolist(), strict=True)
        ]
        columns = (names, formulas, mean.tolist(), atomisation.tolist(), spread.tolist(), warnings, of_each, intervals)
        return [Prediction(*values) for values in zip(*columns, strict=True)]

    def energies(self, molecules: Molecules) -> np.ndarray:
        """U0 by each model: float64 [models, M], eV. Nothing is refused here but what `neighbour_pairs` does."""
        pairs = neighbour_pairs(molecules, self.records[0].config.model.data_cutoff)
        # The errors of a network whose targets are 0 are what it puts out, by the code that recorded the errors.
        packed = PackedMolecules(molecules, pairs, targets=np.zeros(len(molecules)))
        everyone = np.arange(len(molecules))
        return np.stack(
            [
                predict_errors(model, packed, everyone) + record.offsets().of(molecules)
                for model, record in zip(self._models, self.records, strict=True)
            ]
        )


def model_of(record: Record, *, stock: bool = False) -> NeuralNetworkPotential:
    """The recorded network with its weights and offsets, ready to predict U0 in eV.

    With `stock`, of SchNetPack's own modules; whichever it was trained with, the parameters are the same.
    """
    model = networks.build_from(
        record.config.model, fused=not stock, postprocessors=networks.postprocessors(record.offsets(), ENERGY)
    )
    model.load_state_dict({name: torch.from_numpy(value) for name, value in record.state_dict().items()})
    return model.eval()


def without_energies(atoms: Sequence[Atoms]) -> Molecules:
    """Molecules, Å, whose energies are not known and stand at 0."""
    n_atoms = np.array([len(one) for one in atoms])
    return Molecules(
        index=np.arange(1, len(atoms) + 1),
        n_atoms=n_atoms,
        numbers=np.concatenate([one.numbers for one in atoms]),
        positions=np.concatenate([unwrapped(one).positions for one in atoms]),
        energy=np.zeros(len(atoms)),
        smiles=np.full(len(atoms), ""),
    )
