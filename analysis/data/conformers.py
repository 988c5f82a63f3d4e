"""Conformers by RDKit, in a process of its own: this file, run as a program, takes a SMILES a line and answers each.

RDKit embeds some molecules for minutes, silently takes Ctrl-C for the end of the embedding, its force field can't be
stopped at all, and what it can't handle may end the process. So that process is one that can be killed. It
imports nothing of this package, whose modules may take seconds to import.
"""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Self

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

SECONDS = 60
"""Processor time that a molecule may take. One of nine atoms other than hydrogen takes a hundredth of a second."""

_SEED = 2023  # of the conformer's embedding
_STEPS = 2000  # of MMFF's minimiser


class ConformerError(Exception):
    """There is no geometry; the message says why."""


class Conformers:
    """Geometries of SMILES, one after the other; a context that ends the process with itself, an interrupt too.

    A molecule may take `seconds` of processor time.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def of(self, smiles: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Positions, float [A, 3], Å, of a SMILES' atoms and hydrogens in RDKit's order, and warnings.

        Raises ConformerError if RDKit finds none, takes longer than it may, or breaks.
        """
        if self._process is None:
            # In a group of its own no Ctrl-C of the terminal reaches it, which it would answer with a traceback.
            self._process = subprocess.Popen(  # noqa: S603 - this file, by this interpreter
                [sys.executable, "-P", __file__, str(self._seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                process_group=0,
            )
        answer = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(smiles) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            if (code := self._end(kill=False)) == -signal.SIGPROF:
                why = f"RDKit needs more than {self._seconds:g} s of processor time to find a geometry"
            else:
                why = f"RDKit ended with code {code} in looking for a geometry"
            raise ConformerError(f"{why}: give one as an XYZ file")
        found = json.loads(answer)
        if "trouble" in found:
            raise ConformerError(found["trouble"])
        return np.array(found["positions"]), tuple(found["notes"])

    def _end(self, *, kill: bool = True) -> int | None:
        """End the process and say with which code it ended."""
        process, self._process = self._process, None
        if process is None:
            return None
        if kill:
            process.kill()
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process.wait()


def _conformer(smiles: str) -> dict:
    """Embedded with ETKDG, then relaxed with MMFF94."""
    structure = Chem.AddHs(Chem.MolFromSmiles(smiles))
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = _SEED
    if rdDistGeom.EmbedMolecule(structure, settings) != 0:
        return {"trouble": "RDKit finds no geometry for it: give one as an XYZ file"}
    notes = []
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(structure):
        notes.append("MMFF94 does not know all its atoms: the geometry is ETKDG's")
    elif rdForceFieldHelpers.MMFFOptimizeMolecule(structure, maxIters=_STEPS) != 0:
        notes.append(f"MMFF94 was not done after {_STEPS} steps")
    return {"positions": structure.GetConformer().GetPositions().tolist(), "notes": notes}


def _answer(seconds: float) -> None:
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process
        try:
            found = _conformer(json.loads(line))
        except Exception as error:  # RDKit raises what it likes; no molecule takes the others along
            found = {"trouble": f"RDKit can't make a geometry of it ({' '.join(str(error).split()[:8])})"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _answer(float(sys.argv[1]))
