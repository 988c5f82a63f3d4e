"""Energies of molecules that someone hands in, from recorded models: an ensemble of them, one per seed."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import ase.units
import numpy as np
from ase import Atoms

from analysis import study
from analysis.data import qm9
from analysis.data.errors import UserError
from analysis.data.molecules import Molecules, to_ase, unwrapped
from analysis.data.offsets import reference_energies
from analysis.evaluation import accuracy
from analysis.evaluation.prediction_intervals import DFT, KINDS, RELAXED, UNKNOWN, Intervals, taxa
from analysis.predict import electrons
from analysis.predict.applicability import Domain, refusal
from analysis.runs import checkout
from analysis.runs.arms import Arm
from analysis.runs.records import Record, find, has_forces, load
from fused.potential import Potential

OUTSIDE = "outside what the models know"
"""How refusals begin that `outside` overrides."""
KCAL_PER_MOL = ase.units.kcal / ase.units.mol
"""In eV."""


class PredictError(UserError, ValueError):
    """Models that make no ensemble, or molecules that can't be predicted; the message names them and the reason."""


@dataclass(frozen=True)
class Prediction:
    """What an ensemble says of one molecule.

    `energy` is U0, the internal energy at 0 K with the zero-point vibrations (B3LYP/6-31G(2df,p), as in QM9), eV: the
    mean over the models, and `spread` their standard deviation (n − 1), eV, NaN for a single model. `interval`, eV, is
    where U0 lies for nine in ten molecules like QM9's at such a `geometry` (see `prediction_intervals`); None if the
    models have no intervals, if none was calibrated for such a geometry, or for a molecule that is `outside`: unlike
    all that the models have seen, so that nobody knows how far they miss it.
    `atomisation_energy`, eV, is what it takes to set the free atoms apart at 0 K, Σ U0(atom) − U0: *positive* for
    whatever is bound (QM9's own column `U0_atom` has the opposite sign). `warnings` are those of `electrons.doubts`
    and, of a molecule outside, why it is.
    """

    name: str
    formula: str
    energy: float
    atomisation_energy: float
    spread: float
    warnings: tuple[str, ...] = ()
    geometry: str = UNKNOWN
    interval: tuple[float, float] | None = None
    outside: bool = False

    @property
    def energy_hartree(self) -> float:
        """U0, Hartree."""
        return self.energy / ase.units.Hartree

    @property
    def atomisation_energy_kcal(self) -> float:
        """The atomisation energy, kcal/mol."""
        return self.atomisation_energy / KCAL_PER_MOL

    def row(self) -> dict[str, str | float | None]:
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
            "outside": self.outside,
        }


def default_records(
    molecules: Molecules | None = None, *, results: str | os.PathLike[str] | None = None
) -> list[Record]:
    """The five recorded runs of the model "Beyond", one per seed; `molecules` is all of QM9, which need not be read.

    They lie in `results`, by default `records.results_folder()` or, where they are not all there, in the installed
    package. Raises what `study.recorded` raises.
    """
    parameters = study.BeyondParameters(brief=None, budgets=[])
    minutes = parameters.main
    by_arm = {Arm("minutes", minutes): [parameters.trained_for(minutes, seed) for seed in parameters.seeds]}
    data = qm9.FINGERPRINT if molecules is None else molecules.fingerprint()
    try:
        return study.recorded_arms(parameters, by_arm, data, results=results).runs
    except study.StudyError:
        if results is not None or not checkout.MODELS.is_dir():
            raise
        return study.recorded_arms(parameters, by_arm, data, results=checkout.MODELS).runs


def check_alike(records: Sequence[Record]) -> None:
    """Raise PredictError for no records, two of one seed, of different configurations, or of different molecules.

    Which runs they began with may differ: one per seed.
    """
    if not records:
        raise PredictError("an ensemble needs at least one recorded model")
    first = records[0]
    for record in records:
        own = {"seed": first.config.seed, "start": first.config.start}
        if record.config.model_copy(update=own) != first.config:
            raise PredictError(f"records {first.id} and {record.id} differ in more than their seed")
        if record.about["molecules_fingerprint"] != first.about["molecules_fingerprint"]:
            raise PredictError(f"records {first.id} and {record.id} were made with different molecules")
    if len({record.config.seed for record in records}) < len(records):
        raise PredictError(f"two of the records {', '.join(record.id for record in records)} have the same seed")


def domain_of(records: Sequence[Record], molecules: Molecules | None = None) -> Domain:
    """What the molecules hold that models were trained on, out of the whole database, by default QM9.

    For a new set of them, the first look at it takes seconds (see `Domain.of`). Raises PredictError for models that
    were made with another one, and frames.FramesError if the frames that they were trained on are missing.
    """
    first = records[0]
    return Domain.of(records, lambda: molecules or _checked(first, qm9.load()))


def _checked(record: Record, molecules: Molecules) -> Molecules:
    """The same, if the model was made with them."""
    if record.about["molecules_fingerprint"] != molecules.fingerprint():
        raise PredictError(f"record {record.id} was made with other molecules than the {len(molecules):,} here")
    return molecules


class Ensemble:
    """Recorded models of one configuration that differ only in their seeds.

    Molecules whose geometry is not QM9's kind are predicted by those that went on from these, `approximate`.

    `molecules` is the whole database; by default it is QM9, which is read only if it is not known yet what of it the
    models were trained on (see `Domain.of`). `began` are the models that these began as, if they have gone on.

    Raises PredictError for no records, two of one seed, of different configurations, or of other molecules, and for
    models of energies that are not U0.
    """

    def __init__(
        self, records: Sequence[Record], molecules: Molecules | None = None, *, began: "Ensemble | None" = None
    ) -> None:
        check_alike(records)
        first = records[0]
        if has_forces(first.config):
            raise PredictError(
                f"record {first.id} has learnt the energies of frames ({first.config.data.geometries}), which are not "
                "U0: `python -m analysis md` takes models of this kind that have learnt forces"
            )
        self.records = tuple(records)
        self._began = began
        self._molecules = None if molecules is None else _checked(first, molecules)
        cutoff = first.config.model.data_cutoff
        self._models = [Potential(record.state_dict(), cutoff=cutoff) for record in records]
        self._offsets = [record.offsets() for record in records]

    @cached_property
    def domain(self) -> Domain:
        """What the training molecules hold, see `domain_of`; of models that went on, those that they began with."""
        if self._began is not None:
            return self._began.domain.with_spread_of(self.records)
        return domain_of(self.records, self._molecules)

    @cached_property
    def approximate(self) -> "Ensemble | None":
        """The models that began as these and have then seen other geometries than QM9's; None without their records.

        They are runs of `study.GeometriesParameters`, and lie beside the experiment of these.
        """
        folder, going_on = self.records[0].folder.parents[1], study.GeometriesParameters().going_on
        runs = [(going_on(one.config, data := one.about["molecules_fingerprint"]), data) for one in self.records]
        found = [one for config, data in runs if (one := find(config, data, folder, read=load))]
        return Ensemble(found, self._molecules, began=self) if len(found) == len(runs) else None

    def at(self, geometry: str) -> "Ensemble":
        """The models that predict molecules with a kind of geometry: these, or `approximate`."""
        return self if geometry == DFT else self.approximate or self

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
        outside: bool = False,
    ) -> list[Prediction]:
        """U0 of each molecule (Å), in their order, and what is out of the ordinary about it.

        A molecule is called by its index in `Molecules`, by its place (from 1) among `Atoms`, or by `names`. `geometry`
        is the kind of all geometries, or of each, which decides the interval: one of `prediction_intervals.KINDS`,
        "relaxed" (see `answers.relaxed`), or "unknown".

        Raises PredictError, which names each molecule that is refused (see `answers`), or a kind of geometry that there
        is not. With `outside`, molecules unlike all that the models have seen are predicted too, without an interval.
        """
        kinds = {geometry} if isinstance(geometry, str) else set(geometry)
        known = (*KINDS, RELAXED, UNKNOWN)
        if unknown := sorted(kinds - set(known)):
            raise PredictError(f"there is no kind of geometry {unknown[0]!r}: it is one of {', '.join(known)}")
        called: Iterable[int]
        if isinstance(given, Molecules):
            atoms, called = to_ase(given), given.index
        else:
            atoms = list(given)
            called = range(1, len(atoms) + 1)
        names = [str(name) for name in called] if names is None else names
        of_each = [geometry] * len(atoms) if isinstance(geometry, str) else list(geometry)
        answers = self.answers(atoms, names, of_each, outside=outside)
        refused = [f"{name}: {one}" for name, one in zip(names, answers, strict=True) if isinstance(one, str)]
        if refused:
            raise PredictError("; ".join(refused))
        return [one for one in answers if not isinstance(one, str)]

    def answers(
        self, given: Sequence[Atoms], names: Sequence[str], geometries: Sequence[str], *, outside: bool = False
    ) -> list[Prediction | str]:
        """The prediction of each molecule or, in a line, why it is refused.

        `geometries` are their kinds, as in `predict`; `at` says which models predict each. It is refused if it can't be
        predicted (see `applicability.refusal`), if its atoms would be better off apart, and, without `outside`, if it
        is unlike all that the models have seen (see `applicability.Domain` and `prediction_intervals`).
        """
        found: list[Prediction | str] = [refusal(one) for one in given]
        of_models: dict[Ensemble, list[int]] = {}
        for m, geometry in enumerate(geometries):
            if not found[m]:
                of_models.setdefault(self.at(geometry), []).append(m)
        for models, mine in of_models.items():
            accepted = ([of[m] for m in mine] for of in (given, names, geometries))
            for m, one in zip(mine, models._predicted(*accepted), strict=True):
                found[m] = _refused(one, outside) or one
        return found

    def _predicted(self, atoms: Sequence[Atoms], names: Sequence[str], kinds: Sequence[str]) -> list[Prediction]:
        molecules = without_energies(atoms)
        energies = self.energies(molecules)
        mean = energies.mean(axis=0)
        alone = len(energies) == 1
        spread = np.full(len(molecules), np.nan) if alone else energies.std(axis=0, ddof=1)
        atomisation = reference_energies(molecules) - mean
        unlike = self.domain.warnings(molecules, spread)
        if self.intervals is not None and not alone:
            unlike = [words or self._divided(*one) for words, *one in zip(unlike, kinds, spread.tolist(), strict=True)]
        warnings = [electrons.doubts(one) + words for one, words in zip(atoms, unlike, strict=True)]
        formulas = [one.get_chemical_formula() for one in atoms]
        intervals = [
            None if words or alone or self.intervals is None else self.intervals.of(*said)
            for words, *said in zip(
                unlike, kinds, taxa(molecules).tolist(), mean.tolist(), spread.tolist(), strict=True
            )
        ]
        numbers = (mean.tolist(), atomisation.tolist(), spread.tolist())
        columns = (names, formulas, *numbers, warnings, kinds, intervals, map(bool, unlike))
        return [Prediction(*values) for values in zip(*columns, strict=True)]

    def _divided(self, kind: str, spread: float) -> tuple[str, ...]:
        """That models differ too much for an interval, if they do."""
        if self.intervals is None or spread <= (widest := self.intervals.widest(kind)):
            return ()
        return (f"the models differ by {spread:.3f} eV: above {widest:.3f} eV no interval holds at such geometries",)

    def energies(self, molecules: Molecules) -> np.ndarray:
        """U0 by each model: float64 [models, M], eV. Nothing is refused here but what `Potential` does."""
        given = molecules.numbers, molecules.positions, molecules.n_atoms
        return np.stack(
            [
                model(*given).astype(np.float64) + offsets.of(molecules)
                for model, offsets in zip(self._models, self._offsets, strict=True)
            ]
        )


def _refused(one: Prediction, outside: bool) -> str:
    """Why a prediction is not believed, in a line; "" if it is, or if it is asked for all the same."""
    if one.atomisation_energy <= 0:
        return f"the models say {one.atomisation_energy:.3g} eV of its atomisation: it is unbound, or nothing they know"
    return "" if outside or not one.outside else outside_of(one.warnings)


def outside_of(warnings: Sequence[str]) -> str:
    """Why a molecule is outside, in a line."""
    more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
    return f"{OUTSIDE}: {warnings[0]}{more}"


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
