"""QM9's molecules away from equilibrium, labelled with energies and forces: what `analysis.data.frames` reads.

``python -m harness.frames xtb-md`` starts each molecule at QM9's geometry with velocities of 1,000 K, which become some
500 K as half of the energy goes into stretched bonds, lets it move for 15, 30 or 45 fs, and labels where it is: both by
GFN2-xTB (Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019)), by tblite. Molecules come in a random
order, so that more of them are these and others. It goes on after a kill with the shards that are missing, and several
processes share the work.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import ase.units
import numpy as np
import typer
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, InputError
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from filelock import FileLock, Timeout
from tblite.ase import TBLite
from threadpoolctl import threadpool_limits

from analysis.data import frames, qm9
from analysis.data.errors import UserError
from analysis.data.files import check_output, make_folder, remove_leftovers
from analysis.data.frames import Labelled
from analysis.data.molecules import Molecules, to_ase
from analysis.runs import measured, records

LEVEL = "GFN2-xTB"
NAME = "xtb-md"
MOLECULES = 12_000
SHARD = 1_000
"""Molecules of a file: some minutes' work, which is what a kill costs."""
TEMPERATURE = 1000.0
"""K, of the velocities at the start."""
STEP = 1.0
"""fs. A hydrogen's stretching vibration takes ten of them."""
STEPS = (15, 30, 45)
"""After one of these, drawn, the frame is taken."""
SEED = 0
_LINEAR = 1e-10  # as a share of the largest, a moment of inertia below which an axis is none to turn about
_PACKAGES = ("tblite", "ase", "numpy", "qm9pack")
app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


class OtherFramesError(UserError, RuntimeError):
    """What is in the folder was made in another way; the message names the file."""


def order(molecules: int, seed: int = SEED) -> np.ndarray:
    """In which order so many molecules get their frames: positions, int64."""
    # With the seed alone it would be the permutation that a split with this seed is cut from: its test part first.
    return np.random.default_rng((seed, molecules)).permutation(molecules)


def heated(atoms: Atoms, rng: np.random.Generator, temperature: float = TEMPERATURE) -> Atoms:
    """The molecule with velocities drawn at so many K, that neither moves nor turns as a whole, and its calculator.

    The calculator starts each geometry from the wave function of the last.
    """
    found = Atoms(atoms.numbers, atoms.positions, calculator=TBLite(method=LEVEL, verbosity=0))
    thermalize_momenta(found, temperature, rng=rng)
    Stationary(found, preserve_temperature=False)
    _stop_rotation(found)
    return found


def _stop_rotation(atoms: Atoms) -> None:
    """Take the angular momentum away; ASE's own function divides by zero in a linear molecule."""
    mass, places = atoms.get_masses()[:, None], atoms.positions - atoms.get_center_of_mass()
    inertia = (mass * places**2).sum() * np.eye(3) - places.T @ (mass * places)
    turning = np.linalg.pinv(inertia, rcond=_LINEAR, hermitian=True) @ atoms.get_angular_momentum()
    atoms.set_momenta(atoms.get_momenta() - mass * np.cross(turning, places))


def moved(atoms: Atoms, steps: int, step: float = STEP) -> Atoms:
    """The same atoms after so many steps of velocity Verlet, fs each."""
    with VelocityVerlet(atoms, step * ase.units.fs, logfile=None) as dynamics:
        dynamics.run(steps)
    return atoms


def frame(atoms: Atoms, index: int, seed: int = SEED) -> tuple[Atoms, int]:
    """A molecule's frame, at a position that a file can hold, and after how many steps it is.

    All that is random comes from `seed` and the molecule's index. Raises ASE's CalculationFailed or InputError where
    the cycles do not converge.
    """
    rng = np.random.default_rng((seed, index))
    found, steps = heated(atoms, rng), int(rng.choice(STEPS))
    moved(found, steps)
    found.positions = frames.rounded(found.positions)
    found.get_forces()
    return found, steps


def made(molecules: Molecules, seed: int = SEED) -> tuple[Labelled, np.ndarray, list[int]]:
    """The frames of these molecules, their times (fs), and the indices of those that have none."""
    found: list[tuple[int, Atoms, int]] = []
    with threadpool_limits(1):  # in molecules as small as these threads only wait for one another
        for place, atoms in enumerate(to_ase(molecules)):
            index = int(molecules.index[place])
            try:
                found.append((place, *frame(atoms, index, seed)))
            except (CalculationFailed, InputError) as error:
                typer.echo(f"molecule {index}: {' '.join(str(error).split())}", err=True)
    own = molecules.select(np.array([place for place, *_ in found], dtype=np.int64))
    labelled = Labelled(
        replace(
            own,
            positions=np.concatenate([np.zeros((0, 3)), *(atoms.positions for _, atoms, _ in found)]),
            energy=np.array([atoms.get_potential_energy() for _, atoms, _ in found]),
        ),
        np.concatenate([np.zeros((0, 3)), *(atoms.get_forces() for _, atoms, _ in found)]),
        LEVEL,
    )
    fits = ~frames.beyond(labelled, own)
    times = STEP * np.array([steps for *_, steps in found])
    for index in own.index[~fits]:
        typer.echo(f"molecule {index}: it is too far from its start, or its forces are too large", err=True)
    kept = labelled.select(fits)
    return kept, times[fits], np.setdiff1d(molecules.index, kept.molecules.index).tolist()


def protocol(first: int, last: int, seed: int = SEED) -> dict[str, Any]:
    """How the frames of a shard are made; `molecules` are its places in the `order`, the last excluded."""
    return {
        "dynamics": "velocity Verlet",
        "start": "QM9's geometry, Maxwell-Boltzmann velocities without momentum and angular momentum",
        "temperature_K": TEMPERATURE,
        "step_fs": STEP,
        "steps": list(STEPS),
        "seed": seed,
        "molecules": [first, last],
    }


def make(
    molecules: Molecules, out: Path, number: int = MOLECULES, shard: int = SHARD, seed: int = SEED, name: str = NAME
) -> None:
    """Make what is missing of the shards of the first so many molecules.

    Raises OtherFramesError for a shard that was made in another way, frames.FramesError for a damaged one.
    """
    make_folder(out)
    chosen = order(len(molecules), seed)[:number]
    shards = {first // shard: chosen[first : first + shard] for first in range(0, len(chosen), shard)}
    ways = {k: protocol(k * shard, k * shard + len(of), seed) for k, of in shards.items()}
    paths = {k: frames.path_of(out, name, k) for k in shards}
    for k, path in paths.items():
        if path.exists():
            _check(path, ways[k])
    locks = out / ".locks"
    make_folder(locks)
    for k, path in paths.items():
        try:
            with FileLock(locks / f"{path.stem}.lock", blocking=False):
                if not path.exists():
                    _make_shard(molecules.select(shards[k]), path, ways[k], seed)
        except Timeout:
            typer.echo(f"{path.name}: another process makes it")


def _check(path: Path, way: dict[str, Any]) -> None:
    about = frames.about(path)
    if about.level != LEVEL or about.protocol != way:
        raise OtherFramesError(
            f"{path} was made in another way, or of other molecules: remove it, or name another folder"
        )


def _make_shard(molecules: Molecules, path: Path, way: dict[str, Any], seed: int) -> None:
    remove_leftovers(path)
    check_output(path)
    begun = time.monotonic()
    labelled, times, left_out = made(molecules, seed)
    own = molecules.select(np.isin(molecules.index, labelled.molecules.index))
    versions = measured.versions(_PACKAGES)
    frames.write(path, labelled, own, times, protocol=way, versions=versions, left_out=left_out)
    seconds = time.monotonic() - begun
    typer.echo(f"{path.name}: {len(labelled):,} molecules, {len(left_out)} left out, {seconds:.0f} s")


@app.callback()
def _several() -> None:
    """One command per name of frames."""


@app.command(NAME)
def xtb_md(
    molecules: Annotated[int, typer.Option(min=1, max=qm9.N_MOLECULES, help="How many get a frame.")] = MOLECULES,
    out: Annotated[Path | None, typer.Option(help="Their folder; by default results/frames.")] = None,
    shard: Annotated[int, typer.Option(min=1, help="Molecules of a file.")] = SHARD,
    seed: Annotated[int, typer.Option(min=0, help="Of the order and of each trajectory.")] = SEED,
) -> None:
    """Make what is missing; processes that run at once take a file each."""
    try:
        make(qm9.load(), out or records.results_folder() / "frames", molecules, shard, seed)
    except (UserError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
