"""What the command `md` does: a molecule is simulated, and it is said whether the simulation can be believed."""

import json
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import typer
from ase import Atoms
from tqdm import tqdm

from analysis.data.errors import UserError
from analysis.data.extxyz import SUFFIXES
from analysis.data.files import check_output, whole_file
from analysis.predict import electrons
from analysis.predict.applicability import refusal
from analysis.predict.dynamics import (
    DynamicsError,
    ForceCalculator,
    Relaxed,
    Trajectory,
    default_records,
    relax,
    simulate,
)
from analysis.predict.ensemble import outside_of
from analysis.predict.geometries import Geometry
from analysis.runs.console import aligned, complain
from analysis.runs.records import Record

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from analysis.figures.style import BookFigure

_MEV = 1000  # meV per eV
_PICTURE = ".png"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Those of `simulate` that a user gives, with its names and units."""

    ps: float
    timestep: float
    temperature: float
    thermostat: Literal["langevin"] | None
    friction: float
    seed: int
    every: int


def check_outputs(out: str | os.PathLike[str] | None, plot: str | os.PathLike[str] | None) -> None:
    """Raise, before the work, DynamicsError or OSError for files that can't be written."""
    for path, endings in ((out, SUFFIXES), (plot, (_PICTURE,))):
        if path is not None:
            if Path(path).suffix.lower() not in endings:
                raise DynamicsError(f"{path}: the name of this file must end in {' or '.join(endings)}")
            check_output(path)


def only(given: Iterable[Geometry]) -> Geometry:
    """The one molecule that is given; raises DynamicsError if there are more, or it can't be read or simulated."""
    one, *others = islice(given, 2)
    if others:
        raise DynamicsError("md takes one molecule, and there are several: hand in a file with the one that is meant")
    if why := one.trouble or refusal(one.atoms):
        raise DynamicsError(f"refused: {one.name}: {why}")
    return one


def run(
    molecule: Geometry,
    models: Sequence[Record],
    settings: Settings,
    *,
    at_rest: bool,
    out: str | os.PathLike[str] | None,
    plot: str | os.PathLike[str] | None,
    as_json: bool,
    results: str | os.PathLike[str] | None,
) -> None:
    """Simulate a molecule and say how it went; ends the command with 1 if the simulation was stopped.

    `models` are the models' records, none for those of `default_records`; with `at_rest` it is relaxed before.
    """
    calculator = ForceCalculator(models or default_records(results))
    atoms = molecule.atoms
    warned = [*molecule.notes, *electrons.doubts(atoms), *_unlike(calculator, atoms)]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # the calculator's, which are among these
        relaxed = relax(atoms, calculator) if at_rest else None
        if relaxed is not None:
            atoms = relaxed.atoms
            if not relaxed.converged:
                warned.append(f"it is not at rest after {relaxed.steps} steps")
        with tqdm(total=round(1000 * settings.ps), unit=" fs", disable=None, leave=False) as bar:
            trajectory = simulate(
                atoms, calculator, **asdict(settings), out=out, watch=lambda time: bar.update(time - bar.n)
            )
    if plot is not None:
        picture = health_figure(trajectory).png()
        with whole_file(plot) as temporary:
            temporary.write_bytes(picture)
    if as_json:
        ids = [record.id for record in calculator.records]
        typer.echo(_json(molecule.name, trajectory, settings, relaxed, ids, warned))
    else:
        typer.echo(_table(molecule.name, trajectory, settings, relaxed, len(calculator.records)))
        for warning in warned:
            typer.echo(f"warning: {warning}")
    if trajectory.health.stopped:
        complain(trajectory.verdict)
        raise typer.Exit(1)


def _unlike(calculator: ForceCalculator, atoms: Atoms) -> tuple[str, ...]:
    """That a molecule is unlike all that the models have learnt from, in a sentence, or that this can't be told."""
    try:
        unlike = calculator.unlike(atoms)
    except UserError as error:
        return (f"whether the models have learnt from molecules like it can't be told: {error}",)
    return (outside_of(unlike),) if unlike else ()


def _table(name: str, done: Trajectory, settings: Settings, relaxed: Relaxed | None, n_models: int) -> str:
    health, formula = done.health, done.atoms.get_chemical_formula()
    by = "at constant energy" if settings.thermostat is None else f"Langevin, friction {settings.friction:g} /ps"
    asked = (
        f"velocities drawn for {settings.temperature:g} K"
        if settings.thermostat is None
        else f"{settings.temperature:g} K asked for"
    )
    rows = [
        ("molecule", f"{name} ({formula}, {len(done.atoms)} atoms)"),
        ("simulated", f"{done.times[-1] / 1000:.4g} of {settings.ps:g} ps in steps of {settings.timestep:g} fs, {by}"),
        ("models", f"{n_models}, at most {health.forces_spread:.2g} eV/Å apart" if n_models > 1 else "1"),
    ]
    if relaxed is not None:
        rows.append(("relaxed", f"in {relaxed.steps} steps" + ("" if relaxed.converged else ", and not at rest")))
    rows += [
        ("energy", f"{done.total.mean():.3f} eV on average, kinetic energy included"),
        ("temperature", f"{done.temperature.mean():.0f} K on average, {asked}"),
    ]
    if settings.thermostat is None:
        drift = f"{health.drift:+.2g} ± {health.drift_error:.1g} meV per atom and ps"
        rows += [("drift", drift), ("fluctuation", f"{health.rms:.2g} meV per atom about the drift")]
    if health.bond:
        rows.append(("bond that changed most", f"{health.bond}, to {health.bond_change:.3f} times its length"))
    return aligned([*rows, ("verdict", done.verdict)])


def _json(
    name: str, done: Trajectory, settings: Settings, relaxed: Relaxed | None, models: list[str], warned: list[str]
) -> str:
    content = {
        "models": models,
        "molecule": name,
        "formula": done.atoms.get_chemical_formula(),
        "settings": asdict(settings),
        "relaxed": None if relaxed is None else {"converged": relaxed.converged, "steps": relaxed.steps},
        "simulated_ps": done.times[-1] / 1000,
        "mean_total_energy_eV": done.total.mean(),
        "mean_temperature_K": done.temperature.mean(),
        "drift_meV_per_atom_and_ps": done.health.drift,
        "drift_standard_error": done.health.drift_error,
        "fluctuation_meV_per_atom": done.health.rms,
        "bond_changed_most": done.health.bond,
        "bond_change": done.health.bond_change,
        "forces_spread_eV_per_A": done.health.forces_spread,
        "stopped": done.health.stopped,
        "verdict": done.verdict,
        "warnings": warned,
    }
    plain = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in content.items()}
    return json.dumps(plain, ensure_ascii=False, indent=1)


def health_figure(done: Trajectory) -> "BookFigure":
    """Total energy per atom about its mean, and temperature, against time."""
    from analysis.figures import style

    data = pd.DataFrame(
        {
            "time_ps": done.times / 1000,
            "total_energy_meV_per_atom": _MEV * (done.total - done.total.mean()) / len(done.atoms),
            "temperature_K": done.temperature,
        }
    )
    alt = "Total energy per atom about its mean, and temperature, against the time of a simulation"
    with style.figure(alt, data, height=4.6) as figure:
        upper, lower = figure.subplots(2, sharex=True)
        upper.plot(data["time_ps"], data["total_energy_meV_per_atom"], color=style.BLUE, linewidth=0.8)
        upper.set_ylabel("Total energy about\nits mean, meV per atom")
        lower.plot(data["time_ps"], data["temperature_K"], color=style.VERMILION, linewidth=0.8)
        lower.set(ylabel="Temperature, K", xlabel="Time, ps")
    return figure
