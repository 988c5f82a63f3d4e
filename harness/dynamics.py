"""What networks that have learnt forces are worth in dynamics: measured by ``python -m harness.dynamics PART OUT``.

Models are those of `predict.dynamics.default_records`, molecules are of the test part and drawn with a seed. GFN2-xTB,
the level of the labels, is tblite's. A part goes on after a kill with what is missing.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from ase import Atoms, units
from ase.build import minimize_rotation_and_translation, molecule
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.constraints import FixInternals
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from tblite.ase import TBLite
from threadpoolctl import threadpool_limits

from analysis import study
from analysis.data import qm9, splits
from analysis.data.errors import UserError
from analysis.data.files import check_output, make_folder
from analysis.data.molecules import Molecules, to_ase
from analysis.evaluation import dynamics as recorded
from analysis.evaluation.dynamics import MEAN, XTB
from analysis.predict import ensemble
from analysis.predict.batched import Moved, move, potentials
from analysis.predict.dynamics import (
    LONGEST,
    DynamicsError,
    ForceCalculator,
    Trajectory,
    default_records,
    drift,
    frequencies,
    relax,
    simulate,
    spectrum,
    thermal,
)
from analysis.runs import checkout, measured
from analysis.runs.arms import Arm
from analysis.runs.console import OneLineErrors
from analysis.runs.records import Record
from fused.choice import processor
from harness.kept import Kept

LEVEL = "GFN2-xTB"
FMAX, STEPS = 0.003, 500
"""eV/Å, and steps: where a molecule is at rest, so near that slow vibrations are not called imaginary."""
STEP = 0.01
"""Å, of the central differences of forces."""
TEMPERATURE, FRICTION, TIMESTEP = 300.0, 2.0, 0.5
"""K, 1/ps and fs."""
SEGMENT = 250.0
"""fs of a simulation between two of which a kill falls: what it costs."""
EVERY = 20
"""Steps between two total energies whose drift is measured."""
FINE = 0.25
"""fs: the time step of the control, whose forces are far larger."""
SIZES = (9, 14, 18, 24, 29)
"""Atoms of the molecules that are timed, ethanol beside them."""
COPIES = 32
"""Of a molecule in one batch."""
ANGLES = tuple(float(angle) for angle in range(180, -1, -15))
CARBONS, TURNED = (0, 1, 2, 3), (3, 5, 8, 9, 12, 13)
"""Of G2's butane: the chain, and the atoms beyond its middle bond."""
BIN, HIGHEST = 10.0, 4000.0
"""cm⁻¹, of a density of states."""
FRAME = 2
"""Steps between two frames of a trajectory."""
_PACKAGES = ("ase", "numpy", "numba", "tblite", "torch", "schnetpack", "qm9pack")
app = typer.Typer(cls=OneLineErrors, add_completion=False, no_args_is_help=True, help=__doc__)
Out = Annotated[Path, typer.Argument(help="The record; the book shows results/dynamics/PART.json.")]
Number = Annotated[int, typer.Option(min=1, help="Held-out molecules, drawn at random.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the molecules that are drawn, and of their velocities.")]


class InTheWayError(UserError, FileExistsError):
    """The record is there already; the message names it."""


@dataclass(frozen=True)
class Part:
    """One part under way: models by arm, settings and QM9, and what is kept of it until the record is whole."""

    kind: type[recorded.Made]
    out: Path
    models: dict[str, list[Record]]
    seed: int
    settings: dict[str, Any]
    molecules: Molecules

    @property
    def head(self) -> dict[str, Any]:
        """What the record says of itself."""
        return {
            "git": checkout.git_state(),
            "versions": measured.versions(_PACKAGES),
            "processor": processor(),
            "models": {arm: [one.id for one in models] for arm, models in self.models.items()},
            "seed": self.seed,
            **self.settings,
        }

    @cached_property
    def kept(self) -> Kept:
        """Interim results; raises InTheWayError if there is a record, kept.ForeignError if others are kept."""
        if self.out.exists():
            raise InTheWayError(f"{self.out} exists: name another file, or remove it to measure it again")
        make_folder(self.out.parent)
        check_output(self.out)
        make_folder(self._folder)
        return Kept(self._folder, self.head)

    @property
    def _folder(self) -> Path:
        return self.out.with_name(f".{self.out.stem}.partial")

    def once(self, job: dict[str, Any], make: Callable[[], Any]) -> Any:
        """What is kept of a job, or what it makes."""
        found = self.kept.get(job)
        return self.kept.keep(job, make()) if found is None else found

    def write(self, **content: Any) -> None:
        """Write the record, whole or not at all; interim results go."""
        whole = json.dumps(self.kept.header | content)
        measured.write(self.out, self.kind.model_validate_json(whole))
        shutil.rmtree(self._folder)
        typer.echo(f"recorded in {self.out}")

    def drawn(self, number: int, *, among: np.ndarray | None = None) -> Molecules:
        """So many of the test part, or all that there are; of those `among` them, positions."""
        data = next(iter(self.models.values()))[0].config.data
        test = splits.split(self.molecules, data.split_seed, data.held_out).test
        test = np.sort(test) if among is None else np.intersect1d(test, among)
        return self.molecules.select(test if number >= len(test) else splits.random_subset(test, number, self.seed))


def begin(
    kind: type[recorded.Made], out: Path, seed: int, models: dict[str, list[Record]] | None = None, **settings: Any
) -> Part:
    """A part with these settings, and QM9; by default with the models that forces are asked of."""
    return Part(kind, out, models or {"painn": default_records()}, seed, settings, qm9.load())


def described(molecules: Molecules) -> Iterator[tuple[dict[str, Any], Atoms]]:
    """What records say of each molecule, and the molecule."""
    for atoms in to_ase(molecules):
        about = {"index": atoms.info["index"], "smiles": atoms.info.get("smiles", ""), "n_atoms": len(atoms)}
        yield about | {"elements": sorted(set(atoms.get_chemical_symbols()))}, Atoms(atoms.numbers, atoms.positions)


def xtb() -> Calculator:
    """GFN2-xTB for one molecule: each geometry begins with the wave function of the last."""
    return TBLite(method=LEVEL, verbosity=0)


# ---- vibrations ------------------------------------------------------------------------------------------------------


def at_rest(atoms: Atoms, calculator: Calculator) -> tuple[dict[str, Any], Atoms | None]:
    """What `recorded.Rest` says of a molecule without GFN2-xTB's energies; and the geometry that was found."""
    start = Atoms(atoms.numbers, atoms.positions, calculator=calculator)
    about: dict[str, Any] = {"force": float(np.linalg.norm(start.get_forces(), axis=1).max())}
    try:
        found = relax(atoms, calculator, fmax=FMAX, steps=STEPS)
        if not found.converged:
            return about | {"trouble": f"it is not at rest after {found.steps} steps"}, None
        waves = frequencies(found.atoms, calculator, step=STEP).frequencies
    except (DynamicsError, CalculationFailed) as error:
        return about | {"trouble": " ".join(str(error).split())}, None
    laid = Atoms(atoms.numbers, found.atoms.positions)
    minimize_rotation_and_translation(atoms, laid)
    moved = np.sqrt(((laid.positions - atoms.positions) ** 2).sum(axis=1).mean())
    return about | {"displacement": float(moved), "frequencies": waves.round(2).tolist()}, found.atoms


def vibrating(atoms: Atoms, calculators: dict[str, Calculator]) -> dict[str, dict[str, Any]]:
    """The molecule at rest by GFN2-xTB and by each calculator: `recorded.Rest` by name."""
    level = xtb()
    found = {name: at_rest(atoms, calculator) for name, calculator in {XTB: level, **calculators}.items()}
    own = found[XTB][1] and found[XTB][1].get_potential_energy()
    for about, rest in found.values():
        if rest is not None and own is not None:
            energy = Atoms(rest.numbers, rest.positions, calculator=level).get_potential_energy()
            about |= {"energy_error": rest.get_potential_energy() - energy, "above": energy - own}
    return {name: about for name, (about, _) in found.items()}


@app.command("frequencies")
def vibrations(out: Out, molecules: Number = 100, seed: Seed = 0) -> None:
    """Frequencies at the networks' minima beside QM9's own and GFN2-xTB's, and how far from QM9's geometry these are.

    Molecules whose frequencies QM9 does not hold whole are left out.
    """
    part = begin(recorded.Frequencies, out, seed, fmax=FMAX, step=STEP)
    (models,) = part.models.values()
    calculators = {MEAN: ForceCalculator(models)} | {one.id: ForceCalculator([one]) for one in models}
    chosen = part.drawn(molecules)
    waves = qm9.harmonic_frequencies(chosen.index.tolist())
    rows = []
    with threadpool_limits(1):
        for about, atoms in described(chosen):
            if about["index"] in waves:
                rest = part.once({"index": about["index"]}, lambda atoms=atoms: vibrating(atoms, calculators))
                rows.append(about | {"qm9": waves[about["index"]].tolist(), "rest": rest})
                typer.echo(f"{len(rows)} of {len(waves)}: {about['smiles']}")
    part.write(molecules=rows)


# ---- survival --------------------------------------------------------------------------------------------------------


@dataclass
class Walk:
    """A molecule on its way: where bonds count from, where it is and moves, and what is known of it until now."""

    start: Atoms
    now: Atoms
    about: dict[str, Any]
    total: list[float]

    @property
    def state(self) -> dict[str, Any]:
        """All but the start, as JSON has it."""
        place = {"positions": self.now.positions.tolist(), "momenta": self.now.get_momenta().tolist()}
        return place | {"about": self.about, "total": self.total}

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Be as a state says."""
        self.now.positions, self.about, self.total = state["positions"], state["about"], state["total"]
        self.now.set_momenta(state["momenta"])


def walk(walks: Sequence[Walk], networks: Sequence[Any], length: float, friction: float, rngs: list[Any]) -> None:
    """Move those that were not stopped for so many fs in one batch, and note how they fare.

    Without friction their total energies, eV per atom, are noted as well.
    """
    going = [one for one in walks if not one.about["stopped"]]
    if not going:
        return
    found = move(
        [one.now for one in going],
        networks,
        round(length / TIMESTEP),
        temperature=TEMPERATURE,
        timestep=TIMESTEP,
        friction=friction,
        rngs=[rng for one, rng in zip(walks, rngs, strict=True) if not one.about["stopped"]],
        every=EVERY,
        starts=[one.start for one in going],
    )
    for place, one in enumerate(going):
        _note(one, found, place, conserved=not friction)


def _note(one: Walk, found: Moved, place: int, *, conserved: bool) -> None:
    about, bonds = one.about, found.bonds[place]
    about["until"] += float(found.until[place])
    about["stopped"] = found.stopped[place]
    if abs(np.log(bonds.change)) > abs(np.log(about["bond_change"])):
        about |= {"bond": bonds.name, "bond_change": bonds.change}
    if np.isfinite(found.spread[place]):
        about["spread"] = max(about["spread"] or 0.0, float(found.spread[place]))
    if conserved and not found.stopped[place]:
        one.total += (found.total[bool(one.total) :, place] / len(one.now)).tolist()  # its start is noted already


@app.command()
def survival(
    out: Out,
    molecules: Number = 100,
    fluorine: Annotated[int, typer.Option(min=0, help="Held-out molecules with fluorine, beside them.")] = 20,
    ps: Annotated[float, typer.Option(min=0.1, help="How long, at 300 K by Langevin's equation.")] = 10.0,
    nve: Annotated[float, typer.Option(min=0.0, help="How long after that at constant energy, ps.")] = 5.0,
    models: Annotated[int | None, typer.Option(min=1, help="How many of the models; by default all.")] = None,
    seed: Seed = 0,
) -> None:
    """Which held-out molecules stay whole in dynamics at 300 K, and how well energy is conserved.

    All of them move in one batch, from QM9's geometry.
    """
    settings = {"ps": ps, "nve_ps": nve, "timestep": TIMESTEP, "temperature": TEMPERATURE, "friction": FRICTION}
    chosen = {"painn": default_records()[:models]}
    part = begin(recorded.Survival, out, seed, chosen, **settings)
    drawn = {"random": part.drawn(molecules)}
    if fluorine:
        holding = splits.by_element(part.molecules)["F"]
        others = holding[~np.isin(part.molecules.index[holding], drawn["random"].index)]
        drawn["fluorine"] = part.drawn(fluorine, among=others)
    walks = [
        Walk(atoms, _heated(atoms, seed, about["index"]), about | {"drawn": name} | _UNMOVED, [])
        for name, of_name in drawn.items()
        for about, atoms in described(of_name)
    ]
    networks = potentials(chosen["painn"])
    for friction, length in ((FRICTION, 1000 * ps), (0.0, 1000 * nve)):
        for number, piece in enumerate(_pieces(length)):
            rngs = [np.random.default_rng((seed, one.about["index"], number + 1)) for one in walks]

            def go(piece: float = piece, friction: float = friction, rngs: list[Any] = rngs) -> list[dict[str, Any]]:
                walk(walks, networks, piece, friction, rngs)
                return [one.state for one in walks]

            states = part.once({"friction": friction, "piece": number}, go)
            for one, state in zip(walks, states, strict=True):
                one.go_on_from(state)
            whole = sum(not one.about["stopped"] for one in walks)
            typer.echo(f"{sum(_pieces(length)[: number + 1]) / 1000:g} of {length / 1000:g} ps: {whole} move on")
    part.write(molecules=[one.about | _drift(one) for one in walks])


_UNMOVED = {"stopped": "", "until": 0.0, "bond": "", "bond_change": 1.0, "spread": None}


def _heated(atoms: Atoms, seed: int, index: int) -> Atoms:
    found = atoms.copy()
    found.set_momenta(thermal(found, TEMPERATURE, np.random.default_rng((seed, index)))[0])
    return found


def _pieces(length: float) -> list[float]:
    """So many fs in pieces of `SEGMENT`, the last one shorter."""
    whole, rest = divmod(length, SEGMENT)
    return [SEGMENT] * int(whole) + ([rest] if rest else [])


def _drift(one: Walk) -> dict[str, float]:
    """In meV per atom and ps, of one that was not stopped."""
    times = EVERY * TIMESTEP / 1000 * np.arange(len(one.total))
    slope, error, _ = drift(times, 1000 * np.array(one.total))
    return {"drift": slope, "drift_error": error} if np.isfinite(slope + error) and not one.about["stopped"] else {}


# ---- control ---------------------------------------------------------------------------------------------------------


@app.command()
def control(
    out: Out,
    molecules: Number = 100,
    length: Annotated[float, typer.Option(min=1, help="For how long, fs.")] = 200.0,
    seed: Seed = 0,
) -> None:
    """What forces as labels are worth: molecules let go at rest at QM9's geometry by models with and without them."""
    everything = qm9.load()
    parameters = study.ForcesParameters()
    arms = {arm: of for arm, of in parameters.by_arm(everything).items() if arm != "schnet"}
    by_arm = study.recorded_arms(parameters, arms, everything.fingerprint())
    models = {
        "beyond": ensemble.default_records(everything),
        **{arm: by_arm[Arm(arm)] for arm in ("energies alone", "painn")},
    }
    settings = {"length": length, "longest": LONGEST, "every": 4 * FINE, "timestep": FINE}
    part = begin(recorded.Control, out, seed, models, **settings)
    chosen = list(described(part.drawn(molecules)))
    rows = []
    for arm, of_arm in models.items():
        made = part.once({"arm": arm}, lambda of_arm=of_arm: released([atoms for _, atoms in chosen], of_arm, length))
        rows += [about | {"arm": arm} | one for (about, _), one in zip(chosen, made, strict=True)]
        broken = [one["broken"] for one in made if one["broken"] is not None]
        typer.echo(f"{arm}: {len(broken)} of {len(made)} broken")
    part.write(runs=rows)


def released(molecules: Sequence[Atoms], models: Sequence[Record], length: float) -> list[dict[str, Any]]:
    """What `recorded.Released` says of each molecule that is let go for so many fs."""
    given = [one.copy() for one in molecules]
    found = move(given, potentials(models), round(length / FINE), temperature=0.0, timestep=FINE, most_spread=np.inf)
    rows = []
    for place, stopped in enumerate(found.stopped):
        total, change = found.total[:, place], found.change[:, place]
        known = np.isfinite(total)
        rows.append(
            {
                "bond": found.bonds[place].name,
                "broken": float(found.until[place]) if stopped else None,
                "energy_change": float(np.abs(total[known] - total[0]).max()),
                "change": change[known].round(4).tolist(),
            }
        )
    return rows


# ---- speed -----------------------------------------------------------------------------------------------------------


def stock(record: Record) -> Calculator:
    """SchNetPack's own network and calculator, with its forces, in float32."""
    import torch
    from schnetpack.interfaces import SpkCalculator
    from schnetpack.transform import MatScipyNeighborList

    from analysis.training import networks
    from analysis.training.batches import ENERGY, FORCES

    model = networks.build_from(record.config.model, fused=False, forces=True)
    own = model.state_dict().keys()
    weights = {name: torch.from_numpy(array) for name, array in record.state_dict().items() if name in own}
    model.load_state_dict(weights)
    return SpkCalculator(
        model.eval(),
        MatScipyNeighborList(cutoff=record.config.model.data_cutoff),
        energy_key=ENERGY,
        force_key=FORCES,
        energy_unit="eV",
        position_unit="Ang",
    )


def steppers(atoms: Atoms, record: Record, copies: int) -> dict[str, Callable[[int], object]]:
    """By contestant: what moves the molecule, or its copies, by so many steps."""

    def alone(calculator: Calculator) -> Callable[[int], object]:
        own = atoms.copy()
        own.calc = calculator
        return VelocityVerlet(own, TIMESTEP * units.fs, logfile=None).run

    several, networks = [atoms.copy() for _ in range(copies)], potentials([record], threads=1)

    def together(steps: int) -> None:
        found = move(several, networks, steps, temperature=TEMPERATURE, timestep=TIMESTEP, every=steps)
        if any(found.stopped):  # and has left the batch, which is then faster
            raise DynamicsError(
                f"{atoms.get_chemical_formula()} breaks while it is timed: these models move no molecule"
            )

    return {
        "network": alone(ForceCalculator([record])),
        "batch": together,
        "xtb": alone(xtb()),
        "schnetpack": alone(stock(record)),
    }


def seconds_per_step(run: Callable[[int], object], least: float) -> float:
    """Processor time, of as many steps as take `least` seconds or more."""
    steps = 1
    while True:
        begun = time.process_time()
        run(steps)
        if (taken := time.process_time() - begun) >= least:
            return taken / steps
        steps *= 2


@app.command()
def speed(
    out: Out,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="That a measurement takes at least.")] = 1.0,
    copies: Annotated[int, typer.Option(min=2, help="Of a molecule in one batch.")] = COPIES,
    seed: Seed = 0,
) -> None:
    """Nanoseconds per day of one network, of GFN2-xTB and of stock SchNetPack, by turns, on one thread."""
    import torch

    part = begin(recorded.Speed, out, seed, {"painn": default_records()[:1]}, timestep=TIMESTEP)
    (record,) = part.models["painn"]
    chosen = {"CCO": molecule("CH3CH2OH")}
    for size in SIZES:
        of_size = part.drawn(1, among=splits.by_size(part.molecules)[size])
        chosen |= {about["smiles"]: atoms for about, atoms in described(of_size)}
    torch.set_num_threads(1)
    times = []
    for name, atoms in chosen.items():

        def measure(atoms: Atoms = atoms) -> list[dict[str, Any]]:
            moving = _heated(atoms, seed, 0)
            given, rows = steppers(moving, record, copies), []
            for repeat in range(repeats + 1):
                for contestant, run in given.items():
                    taken = seconds_per_step(run, seconds)
                    of = copies if contestant == "batch" else 1
                    rows.append({"contestant": contestant, "copies": of, "repeat": repeat - 1, "seconds": taken})
            return [row | {"load": os.getloadavg()[0]} for row in rows if row["repeat"] >= 0]  # the first one loads

        with threadpool_limits(1):
            made = part.once({"molecule": name}, measure)
        times += [row | {"molecule": name, "n_atoms": len(atoms)} for row in made]
        typer.echo(f"{name}: done")
    load = max(row.pop("load") for row in times)
    part.write(highest_load=load, times=times)


# ---- torsion ---------------------------------------------------------------------------------------------------------


def profile(calculator: Calculator) -> list[float | None]:
    """Butane's energy at each of `ANGLES`, eV, all else relaxed; None where it does not come to rest."""
    moving, found = molecule("trans-butane"), []
    moving.calc = calculator
    for angle in ANGLES:
        moving.set_constraint()
        moving.set_dihedral(*CARBONS, angle, indices=TURNED)
        moving.set_constraint(FixInternals(dihedrals_deg=[[angle, CARBONS]]))
        with BFGS(moving, logfile=None) as search:
            found.append(moving.get_potential_energy() if search.run(fmax=FMAX, steps=STEPS) else None)
    return found


@app.command()
def torsion(out: Out) -> None:
    """Butane turned about its middle bond, by GFN2-xTB and by the networks, all else relaxed at each angle."""
    part = begin(recorded.Torsion, out, 0, molecule="CCCC", angles=ANGLES)
    (models,) = part.models.values()
    calculators = {XTB: xtb, MEAN: lambda: ForceCalculator(models)}
    calculators |= {one.id: lambda one=one: ForceCalculator([one]) for one in models}
    energies = {}
    with threadpool_limits(1):
        for name, make in calculators.items():
            found = part.once({"by": name}, lambda make=make: profile(make()))
            first = found[0]
            energies[name] = [None if None in (one, first) else one - first for one in found]
            typer.echo(f"{name}: done")
    part.write(energies=energies)


# ---- a trajectory ----------------------------------------------------------------------------------------------------


def at_minimum(atoms: Atoms, calculator: Calculator) -> dict[str, Any]:
    """Positions and energy where the molecule is at rest; raises DynamicsError if it does not come there."""
    found = relax(atoms, calculator, fmax=FMAX, steps=STEPS)
    if not found.converged:
        raise DynamicsError(f"{atoms.get_chemical_formula()} is not at rest after {found.steps} steps")
    return {"positions": found.atoms.positions.tolist(), "energy": found.atoms.get_potential_energy()}


def moved(atoms: Atoms, calculator: Calculator, ps: float, seed: int, thermostat: Any = None) -> Trajectory:
    """The molecule moved for so long; raises DynamicsError if it stops before."""
    settings = {"timestep": TIMESTEP, "temperature": TEMPERATURE, "friction": FRICTION, "every": FRAME, "seed": seed}
    found = simulate(atoms, calculator, ps=ps, thermostat=thermostat, **settings)
    if found.health.stopped:
        raise DynamicsError(f"{atoms.get_chemical_formula()}: {found.verdict}")
    return found


def watched(trajectory: Trajectory, frames: int, least: float) -> dict[str, Any]:
    """What `recorded.Moving` and `recorded.Watched` say of a trajectory; its potential energy is above `least`."""
    waves, density = spectrum(trajectory)
    points = max(1, round(BIN / waves[1]))
    bins = int(HIGHEST / waves[1]) // points
    means = [each[: bins * points].reshape(bins, points).mean(axis=1) for each in (waves, density)]
    health = trajectory.health
    return {
        "wavenumbers": means[0].round(2).tolist(),
        "moving": {
            "density": [float(f"{one:.3g}") for one in means[1]],
            "temperature": round(float(trajectory.temperature.mean()), 2),
            "drift": health.drift,
            "drift_error": health.drift_error,
        },
        "frames": [_written(one) for one in trajectory.positions[:frames]],
        "potential": (trajectory.potential[:frames] - least).round(5).tolist(),
        "kinetic": trajectory.kinetic[:frames].round(5).tolist(),
    }


def _written(positions: np.ndarray) -> str:
    return " ".join(f"{one:.0f}" for one in (positions / recorded.LENGTH_STEP).round().ravel() + 0.0)


@app.command("trajectory")
def trajectory(
    out: Out,
    smiles: Annotated[str, typer.Option(help="Of a held-out molecule, as QM9 writes it.")] = "CC(C)O",
    atoms: Annotated[int | None, typer.Option(min=3, help="In its place one with so many atoms, drawn.")] = None,
    thermal_ps: Annotated[float, typer.Option(min=0.01, help="How long first, by Langevin's equation.")] = 5.0,
    ps: Annotated[float, typer.Option(min=0.1, help="How long then, at constant energy.")] = 20.0,
    frames: Annotated[int, typer.Option(min=2, help="How many are recorded, one per fs.")] = 400,
    seed: Seed = 0,
) -> None:
    """A held-out molecule at 300 K by the networks and by GFN2-xTB: spectra, and the first frames to watch."""
    settings = {"timestep": TIMESTEP, "temperature": TEMPERATURE, "friction": FRICTION, "every": FRAME * TIMESTEP}
    part = begin(recorded.Watched, out, seed, thermal_ps=thermal_ps, ps=ps, fmax=FMAX, **settings)
    known = part.molecules
    alike = np.flatnonzero(known.n_atoms == atoms if atoms else known.smiles == smiles)
    chosen = part.drawn(1, among=alike)
    if not len(chosen):
        raise DynamicsError(f"no held-out molecule is {f'of {atoms} atoms' if atoms else smiles}: choose another")
    ((about, start),) = described(chosen)
    network, index = ForceCalculator(part.models["painn"]), about["index"]
    by = {MEAN: network, XTB: xtb()}

    def once(what: str, make: Callable[[], Any]) -> Any:
        found = part.once({"index": index, "frames": frames, "what": what}, make)
        typer.echo(f"{about['smiles']}: {what}")
        return found

    with threadpool_limits(1):
        rest = once("vibrations", lambda: vibrating(start, {MEAN: network}))
        minimum = once("minimum", lambda: at_minimum(start, network))
        start.positions = minimum["positions"]
        warm = once("heated", lambda: moved(start, network, thermal_ps, seed, "langevin").positions[-1].tolist())
        found = {}
        start.positions = warm
        for name, of in by.items():
            found[name] = once(name, lambda of=of: watched(moved(start, of, ps, seed + 1), frames, minimum["energy"]))
    moving = {name: one.pop("moving") for name, one in found.items()}
    waves = qm9.harmonic_frequencies([index]).get(index, np.array([])).tolist()
    part.write(
        molecule=about | {"qm9": waves, "rest": rest},
        numbers=start.numbers.tolist(),
        moving=moving,
        minimum=_written(np.array(minimum["positions"])),
        **found[MEAN],
    )


if __name__ == "__main__":
    app()
