"""Records of networks that have learnt forces, and of their dynamics, made up."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from ase.build import molecule

from analysis.evaluation import dynamics
from analysis.evaluation.cost import Cost, Costs
from analysis.evaluation.dynamics import MEAN, XTB
from analysis.evaluation.relaxation import PLACES, WAYS, Answer, Lacking, Mean, Relaxation, RelaxationLacking
from analysis.runs.arms import Arm, Arms
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

IDS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
HEAD = {
    "git": {"commit": "0" * 40, "clean": True},
    "versions": {"ase": "3"},
    "processor": "made up",
    "models": {"painn": IDS},
    "seed": 0,
}
MOLECULE = {"index": 1, "smiles": "C", "n_atoms": 5, "elements": ("C", "H")}

SIZES = np.arange(8, 27)
FREQUENCY = np.array([60, 80, 100, 130, 165, 205, 250, 300, 345, 390, 420, 400, 310, 330, 230, 270, 115, 150, 90])
HELD_OUT = 1500
HYDROGEN, CARBON, NITROGEN, OXYGEN, FLUORINE = 1, 6, 7, 8, 9


def even(n_atoms: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.full(len(n_atoms), 0.03)


def force_arms(
    level: Callable = even,
    *,
    seeds: int = 5,
    draw: int = 0,
    deviation: float = 0.02,
    arms: Mapping[str, float] = MappingProxyType({"painn": 1.0}),
) -> Arms[Record]:
    """Records whose forces are missed by `level`, eV/Å: of the number of atoms of the molecule and the atom's element.

    A molecule is as hard in all runs, and runs differ by `deviation`; the error of an arm is so many times as large.
    """
    rng = np.random.default_rng(draw)
    n_atoms = rng.choice(SIZES, HELD_OUT, p=FREQUENCY / FREQUENCY.sum())
    index = 1 + np.arange(HELD_OUT)
    others = {z: (rng.random(HELD_OUT) < share).astype(int) for z, share in ((7, 0.6), (8, 0.8), (9, 0.05))}
    heavy = (n_atoms - sum(others.values())) // 2
    counts = {HYDROGEN: n_atoms - sum(others.values()) - heavy, CARBON: heavy, **others}
    rows = pd.concat(
        [pd.DataFrame({"index": index, "n_atoms": n_atoms, "element": z, "atoms": of_z}) for z, of_z in counts.items()]
    )
    rows = rows[rows["atoms"] > 0].sort_values(["index", "element"], ignore_index=True)
    hard = np.exp(rng.normal(0, 0.3, HELD_OUT) - 0.045)[rows["index"] - 1]
    size = [str(each) for each in SIZES]
    groups = pd.DataFrame({"kind": "size", "group": size, "part": "held_out", "molecules": FREQUENCY})
    found: dict[Arm, list[Record]] = {Arm(name): [] for name in arms}
    for (name, times), seed in product(arms.items(), range(seeds)):
        noise = np.exp(rng.normal(0, 0.3, len(rows)) - 0.045 + rng.normal(0, deviation))
        mean = times * level(rows["n_atoms"].to_numpy(), rows["element"].to_numpy()) * hard * noise
        forces = rows[["index", "element", "atoms"]].assign(absolute=mean * 3 * rows["atoms"], squared=0.0)
        errors = pd.DataFrame({"index": index, "n_atoms": n_atoms, "test": index % 2 == 0, "error": 0.0})
        config = RunConfig(experiment="forces", seed=seed)
        history, steps = pd.DataFrame({"train_loss": [0.01], "validation_loss": [0.02]}), pd.DataFrame()
        folder = Path("made-up") / name / f"run-{seed}"
        about = {"molecules": {"train": 4 * HELD_OUT, "test": int(errors["test"].sum())}}
        found[Arm(name)].append(Record(folder, config, about, history, steps, errors, groups, forces))
    return Arms("forces", found)


def made[Kind: dynamics.Made](kind: type[Kind], **content: Any) -> Kind:
    """A record as it is read."""
    return kind.model_validate_json(json.dumps(HEAD | content))


def simulated(**changes: Any) -> dynamics.Simulated:
    """A molecule that came through, but for the changes."""
    plain = {"drawn": "random", "stopped": "", "until": 15e3, "bond": "C1–H2", "bond_change": 1.2, "spread": 0.2}
    moving = {} if changes.get("stopped") else {"drift": 0.02, "drift_error": 0.01}
    return dynamics.Simulated(**MOLECULE | plain | moving | changes)


def survival_of(molecules: Sequence[dynamics.Simulated]) -> dynamics.Survival:
    """A record of these molecules."""
    settings = {"ps": 10.0, "nve_ps": 5.0, "timestep": 0.5, "temperature": 300.0, "friction": 2.0}
    return made(dynamics.Survival, **settings, molecules=[one.model_dump() for one in molecules])


def survival() -> dynamics.Survival:
    """Large and small molecules, of which some are stopped, and some with fluorine."""
    rng, found = np.random.default_rng(0), []
    for number in range(40):
        size = 12 + 2 * (number % 8)
        how = {"stopped": "bond", "until": float(rng.uniform(100, 9000)), "bond_change": 1.63} if number < 5 else {}
        found.append(simulated(index=number, n_atoms=size, elements=("C", "H", "NO"[number % 2]), **how))
    found += [simulated(index=100 + k, drawn="fluorine", elements=("C", "F", "H")) for k in range(5)]
    return survival_of(found)


def frequencies() -> dynamics.Frequencies:
    """Six molecules: networks are 5 and 10 cm⁻¹ above GFN2-xTB, the mean 7, and GFN2-xTB 30 above QM9."""
    rows = []
    for number in range(6):
        qm9 = np.linspace(200 + 10 * number, 3000, 9)
        rest = {
            name: {
                "force": 0.5 + 0.01 * number,
                "displacement": 0.05,
                "frequencies": (qm9 + shift).tolist(),
                "energy_error": error,
                "above": 0.002,
            }
            for name, shift, error in ((XTB, 30, 0.0), (MEAN, 37, 0.006), (IDS[0], 35, 0.008), (IDS[1], 40, -0.012))
        }
        rows.append(MOLECULE | {"index": number, "qm9": qm9.tolist(), "rest": rest})
    rows[1]["rest"][IDS[0]]["frequencies"][0] = -50.0
    rows[2]["rest"][IDS[1]] = {"force": 0.9, "trouble": "the bond C1–H2 breaks"}
    return made(dynamics.Frequencies, fmax=0.003, step=0.01, molecules=rows)


def control() -> dynamics.Control:
    """Of three molecules, those that forces were not learnt of break, at 20, 30 and 40 fs."""
    rows = []
    for arm in ("beyond", "energies alone", "painn"):
        for number in range(3):
            fate = {"broken": 20.0 + 10 * number, "energy_change": 0.002} if arm != "painn" else {"broken": None}
            frames = 101 if arm == "painn" else 20 + 10 * number
            change = np.linspace(1, 1.02 if arm == "painn" else 1.58, frames).round(4).tolist()
            rows.append(MOLECULE | {"index": number, "arm": arm, "bond": "C1–H2", "energy_change": 1e-4} | fate)
            rows[-1]["change"] = change
    models = {"models": {"beyond": ("c" * 12,), "energies alone": ("d" * 12,), "painn": IDS}}
    return made(dynamics.Control, **models, length=100.0, longest=1.6, every=1.0, timestep=0.25, runs=rows)


def speed() -> dynamics.Speed:
    """Two molecules, three repeats: per step 1 ms, 8 ms for 32 copies, 4 ms and 20 ms, on the larger four times."""
    seconds = {"network": 1e-3, "batch": 8e-3, "xtb": 4e-3, "schnetpack": 20e-3}
    times = [
        {
            "molecule": molecule,
            "n_atoms": n_atoms,
            "contestant": contestant,
            "copies": 32 if contestant == "batch" else 1,
            "repeat": repeat,
            "seconds": of * taken * (1 + 0.1 * repeat),
        }
        for molecule, n_atoms, of in (("CCO", 9, 1), ("CCCCCC", 20, 4))
        for contestant, taken in seconds.items()
        for repeat in range(3)
    ]
    return made(dynamics.Speed, timestep=0.5, highest_load=1.1, times=times)


def costs() -> Costs:
    """Two methods on three molecules: the network's time grows with the number of atoms, B3LYP's with its cube."""
    times = {"b3lyp": lambda atoms: 0.01 * atoms**3, "network": lambda atoms: 1e-5 * atoms}
    found = [
        Cost(method=method, molecule=smiles, atoms=atoms, seconds=(1.0 * seconds(atoms),) * 2, load=1.0)
        for method, seconds in times.items()
        for smiles, atoms in (("CCC", 11), ("CCCC", 14), ("CCCCC", 17))
    ]
    return Costs(processor="made up", git=None, versions={}, costs=tuple(found))


def torsion() -> dynamics.Torsion:
    """A cosine and its like; one network found no rest at 0°."""
    angles = np.arange(180, -1, -15.0)
    turned = 0.1 * (1 + np.cos(np.radians(3 * angles)))
    energies = {name: (scale * turned).tolist() for name, scale in ((XTB, 1), (MEAN, 1.1), (IDS[0], 1.2), (IDS[1], 1))}
    energies[IDS[1]][-1] = None
    return made(dynamics.Torsion, molecule="CCCC", angles=angles.tolist(), energies=energies)


def relaxation() -> Relaxation:
    """Sixty molecules, each refused one way for every twentieth; relaxing halves the errors."""
    rng = np.random.default_rng(0)
    errors = dict(zip(map(str, range(1, 61)), 100 * rng.normal(size=60), strict=True))
    refused = {way: {str(index): "no" for index in range(first, 61, 20)} for first, way in enumerate(WAYS, 1)}
    by_way = {
        way: {index: round(error / (1 + place), 2) for index, error in errors.items() if index not in refused[way]}
        for place, way in enumerate(WAYS)
    }
    both = np.array([[by_way[way][index] for way in WAYS] for index in errors if all(index in by_way[w] for w in WAYS)])
    of_size = np.abs(both) / 1000
    return Relaxation(
        git=None,
        versions={},
        processor="made up",
        models=[IDS[0]],
        relaxed_on=[IDS[1]],
        part="test",
        drawn=60,
        seed=0,
        compared=len(both),
        absolute={way: Mean.over(of_size[:, place]) for place, way in enumerate(WAYS)},
        signed={way: Mean.over(both[:, place] / 1000) for place, way in enumerate(WAYS)},
        change=Mean.over(of_size[:, 1] - of_size[:, 0]),
        seconds=1.25,
        errors=by_way,
        refused=refused,
    )


def lacking() -> RelaxationLacking:
    """One molecule that is answered, one that is refused, and nearer when relaxed, and one that relaxing loses."""
    near = [
        Answer(error=50.0, refused="", numberless="", interval=(40.0, 60.0)),
        Answer(error=-400.4, refused="", numberless="", interval=(-600.0, 100.0)),
        Answer(error=500.0, refused="", numberless=""),
    ]
    far = [Answer(error=error, refused="no", numberless="") for error in (299.0, 2000.0, -1000.0)]
    lost = [Answer(error=-310.0, refused="no", numberless=""), Answer(error=20.0, refused="no", numberless="")]
    lost.append(Answer(error=None, refused="no", numberless="it breaks"))
    of_each = {"near": ("C", near), "far_C2v": ("CC", far), "lost": ("CCC", lost)}
    return RelaxationLacking(
        git=None,
        versions={},
        processor="made up",
        models=[IDS[0]],
        relaxed_on=[IDS[1]],
        molecules={
            name: Lacking(smiles=smiles, answers=dict(zip(PLACES, answers, strict=True)))
            for name, (smiles, answers) in of_each.items()
        },
    )


def watched() -> dynamics.Watched:
    """Ethanol: each atom to and fro, the first stretched most; bands at the harmonic frequencies, GFN2-xTB 10 above."""
    ethanol, waves = molecule("CH3CH2OH"), np.arange(5.0, 4000, 10)
    harmonic = np.append(np.linspace(200, 3000, 20), 3700)
    minimum = np.round(1000 * ethanol.positions).astype(int)
    phase = 2 * np.pi * np.arange(60) / 20
    moves = 1 + 0.03 * np.sin(phase)[:, None, None] * np.linspace(1, 2, 9)[:, None]
    frames = [" ".join(map(str, frame.ravel())) for frame in np.round(minimum * moves).astype(int)]
    rest = {
        name: {"force": 0.5, "frequencies": (harmonic + shift).tolist(), "energy_error": 0.0, "above": 0.0}
        for name, shift in ((MEAN, 0), (XTB, 10))
    }
    moving = {}
    for name, shift in ((MEAN, -20), (XTB, -10)):
        density = np.exp(-(((waves[:, None] - harmonic - shift) / 15) ** 2)).sum(axis=1)
        density = (density / density.sum() / 10).round(7).tolist()
        moving[name] = {"density": density, "temperature": 300.0, "drift": 0.002, "drift_error": 0.001}
    settings = {"thermal_ps": 5.0, "ps": 20.0, "timestep": 0.5, "temperature": 300.0, "friction": 2.0, "fmax": 0.003}
    return made(
        dynamics.Watched,
        **settings,
        every=1.0,
        molecule=MOLECULE | {"n_atoms": 9, "smiles": "CCO", "qm9": (harmonic + 40).tolist(), "rest": rest},
        numbers=ethanol.numbers.tolist(),
        wavenumbers=waves.tolist(),
        moving=moving,
        minimum=" ".join(map(str, minimum.ravel())),
        frames=frames,
        potential=(0.2 + 0.1 * np.sin(phase)).round(5).tolist(),
        kinetic=(0.3 - 0.1 * np.sin(phase)).round(5).tolist(),
    )
