"""Fuzzing: input mutated at random, which every target has to refuse with one message, or accept if it is valid.

The same mutations serve the harness (seeded) and the tests (drawn and shrunk by hypothesis): all randomness comes from
the `random.Random` passed in.
"""

import json
import logging
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import ase.units
import numpy as np
import pandas as pd
import torch
import yaml
from ase.data import chemical_symbols
from optuna.distributions import BaseDistribution, CategoricalDistribution
from pydantic import ValidationError

from analysis import study
from analysis.data import databases, extxyz, qm9
from analysis.data.molecules import Molecules, MoleculesError
from analysis.predict import applicability, geometries, kept
from analysis.predict.ensemble import Ensemble
from analysis.predict.geometries import Geometry
from analysis.runs import records
from analysis.runs.config import Loss, RunConfig, Selection, adjust
from analysis.runs.failures import CheckpointError
from analysis.study import sweeps
from analysis.study.parameters import ParameterError, check, refusal
from analysis.training.callbacks import read_checkpoint

Answer = Literal["refused", "same", "other", "wrong"]

ODD_VALUES = (
    None,
    True,
    -1,
    0,
    1,
    7,
    0.5,
    -0.5,
    10**30,
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    "",
    "1",
    "NaN",
    "../../elsewhere",
    "\x00",
    "a" * 300,
    [],
    {},
    [1],
    [[]],
    {"a": 1},
)
_ODD_CELLS = ("", "nan", "1e999", "-5", "3.5", "x", "[[", "[]", "['Qq']", "[[0,0,0]]", '"', "\ufeff", "1,2")
_SIGNS = (*"CNOFHSBcno[]()=#-+.@/\\%0123456789 *~:\x00é", "Cl", "[Na+]", "[nH]", "[2H]", "[CH2]", "C" * 40)
_MOST_CHANGES = 3
_VERSION = "1.0.3"  # stands for the installed qm9pack's
_KEPT = {"codes": np.arange(9), "distances": np.array([True, False, True])}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes truncated, flipped, deleted, duplicated or overwritten, one to three times."""
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        where = rng.randrange(len(content) + 1)
        length = min(rng.choice((1, 8, 512)), len(content) - where)
        piece = content[where : where + length]
        match rng.randrange(6):
            case 0:
                content = content[:where]
            case 1:
                flipped = bytes(byte ^ (1 << rng.randrange(8)) for byte in piece)
                content = content[:where] + flipped + content[where + length :]
            case 2:
                content = content[:where] + content[where + length :]
            case 3:
                content = content[:where] + piece + content[where:]
            case 4:
                content = content[:where] + bytes(length) + content[where + length :]
            case 5:
                content = content[:where] + rng.randbytes(length) + content[where + length :]
    return content


def edited(value: Any, rng: random.Random) -> Any:
    """JSON or YAML content with a value replaced, a key deleted or a key added, one to three times."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        places = list(_places(value))
        if not places:
            return rng.choice(ODD_VALUES)
        where, key = rng.choice(places)
        match rng.randrange(5):
            case 0 | 1 | 2:
                where[key] = rng.choice(ODD_VALUES)
            case 3:
                del where[key]
            case 4 if isinstance(where, dict):
                where[rng.choice(("a", "", "seed", "__class__", f"{key}_"))] = rng.choice(ODD_VALUES)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def edited_table(text: str, rng: random.Random) -> str:
    """A text with lines or words cut, duplicated, deleted or replaced, one to three times."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        if not lines:
            break
        row = rng.randrange(len(lines))
        words = lines[row].replace("\n", "").split(",")
        match rng.randrange(6):
            case 0:
                words[rng.randrange(len(words))] = rng.choice(_ODD_CELLS)
                lines[row] = ",".join(words) + "\n"
            case 1:
                lines[row] = ",".join(words[: rng.randrange(len(words)) + 1]) + "\n"
            case 2:
                del lines[row]
            case 3:
                lines.insert(rng.randrange(len(lines) + 1), lines[row])
            case 4:
                lines[row] = lines[row][: rng.randrange(len(lines[row]) + 1)]
            case 5:
                digits = [place for place, letter in enumerate(lines[row]) if letter.isdigit()]
                if digits:
                    place = rng.choice(digits)
                    lines[row] = lines[row][:place] + rng.choice("0123456789.-e") + lines[row][place + 1 :]
    return "".join(lines)


def edited_words(text: str, rng: random.Random) -> str:
    """Like `edited_table`, for words separated by blanks or tabs."""
    return edited_table(text.replace(" ", ",").replace("\t", ","), rng).replace(",", " ")


def _write_csv(path: Path, molecules: Molecules) -> None:
    """A file with those columns of qm9pack's files that are read."""
    symbols, positions = np.array(chemical_symbols)[molecules.numbers], molecules.positions
    inside = [slice(*molecules.offsets[m : m + 2]) for m in range(len(molecules))]
    frame = pd.DataFrame(
        {
            "Index": molecules.index,
            "SMILES": molecules.smiles,
            "N_atoms": molecules.n_atoms,
            "Elements": [str(symbols[atoms].tolist()) for atoms in inside],
            "XYZ_Ang": [json.dumps(positions[atoms].tolist()) for atoms in inside],
            "InternalEnergy_0K_au": [repr(float(energy)) for energy in molecules.energy / ase.units.Hartree],
        }
    )
    frame.to_csv(path, index=False)


def in_qm9s_layout(molecules: Molecules) -> list[str]:
    """Each molecule as a file of QM9's own archive; small numbers are written as 2.765*^-4."""
    texts = []
    for m, energy in enumerate(molecules.energy / ase.units.Hartree):
        inside = slice(*molecules.offsets[m : m + 2])
        symbols, positions = np.array(chemical_symbols)[molecules.numbers[inside]], molecules.positions[inside]
        properties = [*["1.5"] * 10, repr(float(energy)), *["1.5"] * 4, ""]
        rows = [
            "\t".join([symbol, *(f"{x:.10f}" if abs(x) > 1e-3 else f"{1e6 * x:.4f}*^-6" for x in xyz), "-0.5"])
            for symbol, xyz in zip(symbols, positions, strict=True)
        ]
        frequencies = "\t".join(["1341.307"] * max(1, 3 * len(rows) - 6))
        last = [frequencies, f"{molecules.smiles[m]}\tC\t", "InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4"]
        head = [str(len(rows)), "\t".join([f"gdb {molecules.index[m]}", *properties])]
        texts.append("\n".join([*head, *rows, *last, ""]))
    return texts


# ---- the targets ---------------------------------------------------------------------------------------------------


@dataclass
class FuzzTargets:
    """Every input of the package as a fuzz target, with valid content to mutate in `folder`, where no target may write.

    `record` is the folder of a record, and `checkpoint` one left by its training. A target takes a `random.Random` and
    returns its answer and the message.
    """

    folder: Path
    molecules: Molecules
    record: Path
    checkpoint: Path
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.few = self.molecules.select(np.linspace(0, len(self.molecules) - 1, 12).astype(int))
        _write_csv(self.folder / "whole.csv", self.few)
        extxyz.write(self.folder / "whole.extxyz", self.few)
        extxyz.write(self.folder / "whole.xyz", self.few.select(range(3)))
        (self.folder / "qm9s.xyz").write_text("".join(in_qm9s_layout(self.few.select(range(3)))), encoding="utf-8")
        databases.write(self.folder / "whole.db", self.few)
        qm9.write_cache(self.folder / "whole.safetensors", self.few, _VERSION)
        kept.write_cache(self.folder / "kept.safetensors", _KEPT, _VERSION)
        self._targets: dict[str, Callable[[random.Random], tuple[Answer, str]]] = {
            "csv": self.csv,
            "extxyz": self.extxyz,
            "database": self.database,
            "cache": self.cache,
            "config": self.config,
            "description": self.description,
            "record": self.recorded,
            "checkpoint": self.checkpointed,
            "sweep": self.sweep,
            "parameters": self.parameters,
            "geometry": self.geometry,
            "smiles": self.smiles,
        }
        self.names = tuple(self._targets)

    def fuzz(self, name: str, rng: random.Random) -> tuple[Answer, str]:
        """Give one target a mutated input; the answer is "wrong", with what happened, if it misbehaves."""
        before = self._standing()
        try:
            answer, said = self._targets[name](rng)
        except Exception as error:
            return "wrong", f"{type(error).__name__}: {error}"
        if answer == "refused" and not said.strip():
            return "wrong", "refused without a message"
        if self._standing() != before:
            return "wrong", f"something was written: {self._standing() ^ before}"
        return answer, said

    def _standing(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    @contextmanager
    def _file(self, name: str, content: bytes) -> Iterator[Path]:
        path = self.folder / f"mutated-{name}"
        path.write_bytes(content)
        try:
            yield path
        finally:
            path.unlink()

    def _molecules(
        self, name: str, content: bytes, read: Callable[[Path], Molecules], whole: Molecules | None = None
    ) -> tuple[Answer, str]:
        with self._file(name, content) as path:
            try:
                found = read(path)
            except MoleculesError as error:
                return "refused", str(error)
        return ("same" if found.fingerprint() == (whole or self.few).fingerprint() else "other"), ""

    def csv(self, rng: random.Random) -> tuple[Answer, str]:
        """CSV files in qm9pack's layout."""
        text = (self.folder / "whole.csv").read_text(encoding="utf-8")
        return self._molecules("a.csv", edited_table(text, rng).encode(), lambda path: qm9.read_csv_parts([path]))

    def extxyz(self, rng: random.Random) -> tuple[Answer, str]:
        """Extended XYZ files, and QM9's own."""
        path = self.folder / rng.choice(("whole.extxyz", "qm9s.xyz"))
        mutated = edited_words(path.read_text(encoding="utf-8"), rng)
        return self._molecules("a.extxyz", mutated.encode(), extxyz.read, extxyz.read(path))

    def database(self, rng: random.Random) -> tuple[Answer, str]:
        """ASE databases in SchNetPack's layout."""
        content = (self.folder / "whole.db").read_bytes()
        return self._molecules("a.db", damaged(content, rng), databases.read)

    def cache(self, rng: random.Random) -> tuple[Answer, str]:
        """The caches of QM9 and of a domain: a damaged one is refused with a warning, and made anew."""
        if rng.random() < 0.5:
            content = damaged((self.folder / "kept.safetensors").read_bytes(), rng)
            with self._file("a.safetensors", content) as path, _heard("analysis.predict.kept") as said:
                arrays = kept.read_cache(path, _VERSION)
            if arrays is None:
                return "refused", " ".join(said)
            same = arrays.keys() == _KEPT.keys() and all(np.array_equal(arrays[name], _KEPT[name]) for name in _KEPT)
            return ("same" if same else "wrong"), "another content"
        content = damaged((self.folder / "whole.safetensors").read_bytes(), rng)
        with self._file("a.safetensors", content) as path, _heard("analysis.data.qm9") as said:
            found = qm9.read_cache(path, _VERSION)
        if found is None:
            return "refused", " ".join(said)
        return ("same" if found.fingerprint() == self.few.fingerprint() else "wrong"), "another content"

    def config(self, rng: random.Random) -> tuple[Answer, str]:
        """Configurations of a run."""
        config = rng.choice(_CONFIGS)
        try:
            found = RunConfig.model_validate(edited(config.model_dump(), rng))
        except ValidationError as error:
            return "refused", refusal(error, RunConfig, None)
        return ("same" if found == config else "other"), ""

    @contextmanager
    def _copied(self) -> Iterator[Path]:
        copy = self.folder / self.record.name
        shutil.copytree(self.record, copy)
        try:
            yield copy
        finally:
            shutil.rmtree(copy)

    def _answer_of_record(self, copy: Path) -> tuple[Answer, str]:
        try:
            found = records.load(copy)
        except records.RecordError as error:
            return "refused", str(error)
        whole = records.load(self.record)
        same = found.about == whole.about and found.errors.equals(whole.errors) and found.history.equals(whole.history)
        return ("same" if same else "wrong"), "something else was read"

    def description(self, rng: random.Random) -> tuple[Answer, str]:
        """A record's `run.json`, edited."""
        with self._copied() as copy:
            path = copy / "run.json"
            about = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps(edited(about, rng)), encoding="utf-8")
            return self._answer_of_record(copy)

    def recorded(self, rng: random.Random) -> tuple[Answer, str]:
        """A record with one file damaged, missing or replaced by another."""
        with self._copied() as copy:
            path = rng.choice(sorted(copy.iterdir()))
            match rng.randrange(4):
                case 0:
                    path.unlink()
                case 1:
                    path.write_bytes(rng.choice(sorted(copy.iterdir())).read_bytes())
                case _:
                    path.write_bytes(damaged(path.read_bytes(), rng))
            return self._answer_of_record(copy)

    def checkpointed(self, rng: random.Random) -> tuple[Answer, str]:
        """A checkpoint."""
        with self._file("a.ckpt", damaged(self.checkpoint.read_bytes(), rng)) as path:
            try:
                found = read_checkpoint(path)
            except CheckpointError as error:
                return "refused", str(error)
        whole = read_checkpoint(self.checkpoint)
        return ("same" if _text(found) == _text(whole) else "wrong"), "something else was read"

    def sweep(self, rng: random.Random) -> tuple[Answer, str]:
        """Sweep files."""
        with self._file("a.yaml", yaml.safe_dump(edited(_SWEEP, rng)).encode()) as path:
            try:
                found = sweeps.load_sweep(path)
                found.config({name: _any_of(distribution) for name, distribution in found.space.items()})
            except sweeps.SweepError as error:
                return "refused", str(error)
        return "other", ""

    def parameters(self, rng: random.Random) -> tuple[Answer, str]:
        """A notebook's parameters."""
        model = rng.choice(list(study.EXPERIMENTS.values()))
        default = model(profile="smoke")
        try:
            found = check(model, edited(default.model_dump(), rng))
            found.configs(self.molecules)
        except ParameterError as error:
            return "refused", str(error)
        return ("same" if found == default else "other"), ""

    @cached_property
    def _ensemble(self) -> Ensemble:
        return Ensemble([records.load(self.record)], self.molecules)

    def _predicted(self, given: list[Geometry], whole: list[Geometry]) -> tuple[Answer, str]:
        """As the command does: refuse each molecule by name, or predict it."""
        if not given:
            return "wrong", "neither a molecule nor a message"
        refused = [f"{one.name}: {one.trouble or applicability.refusal(one.atoms)}" for one in given if _refused(one)]
        known = [one for one in given if not _refused(one)]
        names, kinds = [one.name for one in known], [one.kind for one in known]
        found = self._ensemble.answers([one.atoms for one in known], names, kinds, outside=True)
        refused += [f"{name}: {one}" for name, one in zip(names, found, strict=True) if isinstance(one, str)]
        energies = [one.energy for one in found if not isinstance(one, str)]
        if not np.isfinite(energies).all():
            return "wrong", f"energies {energies}"
        if refused:
            return "refused", min(refused, key=len)
        return ("same" if [one.atoms for one in given] == [one.atoms for one in whole] else "other"), ""

    def geometry(self, rng: random.Random) -> tuple[Answer, str]:
        """XYZ files with molecules to predict; one that is refused does not keep the others from being predicted."""
        path = self.folder / rng.choice(("whole.xyz", "qm9s.xyz"))
        if rng.random() < 0.5:
            mutated = damaged(path.read_bytes(), rng)
        else:
            mutated = edited_words(path.read_text(encoding="utf-8"), rng).encode()
        with self._file("a.xyz", mutated) as damaged_path:
            return self._predicted(*(list(geometries.read_file(one)) for one in (damaged_path, path)))

    def smiles(self, rng: random.Random) -> tuple[Answer, str]:
        """SMILES of molecules to predict, with characters added, deleted or replaced."""
        whole = rng.choice(self.few.smiles.tolist())
        mutated = misspelt(whole, rng)
        given, expected = geometries.all_from_smiles([mutated, whole])
        return self._predicted([given], [expected])


def _refused(one: Geometry) -> bool:
    return one.atoms is None or bool(applicability.refusal(one.atoms))


def misspelt(smiles: str, rng: random.Random) -> str:
    """A SMILES with characters deleted, inserted or replaced, one to three times."""
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        where = rng.randrange(len(smiles) + 1)
        sign = rng.choice(_SIGNS)
        smiles = smiles[:where] + rng.choice(("", sign)) + smiles[where + rng.randrange(2) :]
    return smiles


_CONFIGS = (
    RunConfig(experiment="fuzz"),
    adjust(
        RunConfig(experiment="fuzz", seed=3),
        data={"selection": Selection(smallest=13, largest=23, cap_per_size=100), "train_molecules": 200},
        model={"data_cutoff": 4.0, "convolution": "stock"},
        training={"batch_size": 20, "schedule": "cosine", "warm_up": 0.1},
        loss=Loss(weighting="size", rate=2.0),
    ),
)
_SWEEP = {
    "program": "analysis/study/search.py",
    "method": "random",
    "run_cap": 6,
    "metric": {"name": "validation_loss", "goal": "minimize"},
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.0003, "max": 0.003},
        "batch_size": {"values": [20, 50, 100]},
        "n_atom_basis": {"min": 8, "max": 32, "q": 8, "distribution": "q_uniform"},
        "epochs": {"value": 2},
    },
}


def _any_of(distribution: BaseDistribution) -> float:
    return distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low


def _text(content: Any) -> str:
    """All that a checkpoint holds, to compare: tensors don't compare to one truth value."""
    if isinstance(content, torch.Tensor):
        return f"{content.dtype} {tuple(content.shape)} {content.flatten().tolist()}"
    if isinstance(content, dict):
        return str({str(key): _text(value) for key, value in content.items()})
    if isinstance(content, list | tuple):
        return str([_text(value) for value in content])
    return repr(content)


@contextmanager
def _heard(name: str) -> Iterator[list[str]]:
    """The messages of a logger inside the context."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def fuzz(targets: FuzzTargets, name: str, times: int, seed: str) -> dict[str, Any]:
    """Give one target `times` mutated inputs; the result is for the record, with all that went wrong in `troubles`."""
    answers: Counter[str] = Counter()
    example, troubles = "", []
    for number in range(times):
        answer, said = targets.fuzz(name, random.Random(f"{seed}-{name}-{number}"))  # noqa: S311 - no secret
        answers[answer] += 1
        if answer == "refused":
            example = min(example or said, said, key=len).replace(str(targets.folder), "…")
        elif answer == "wrong":
            troubles.append(f"{name} {number}: {said}")
    counts = {key: answers[key] for key in ("refused", "same", "other", "wrong")}
    return {"name": name, "inputs": times, **counts, "said": example, "troubles": troubles}
