"""What a molecule says of its charge and its spin, by whichever of the names that programs give them.

`charge` and `spin` (the multiplicity) are those of fairchem, `total_charge` of some data sets, `q` and `S` of
tmQM, `mult` of ORCA, Gaussian and cclib, `uhf` of xtb, `spin` (the number of unpaired electrons) of PySCF. ASE takes
some of them from an extended XYZ file into the results of a calculator.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np
from ase import Atoms

_WHOSE = "(?:total|tot|net|sum|overall|initial|formal|mol|molecule|molecular|system)*"
_CHARGE = re.compile(rf"{_WHOSE}(?:charges?|chrg|chg|q)(?:tot|total)?")
_MULTIPLICITY = re.compile(rf"(?:{_WHOSE}spin)?{_WHOSE}(?:multiplicity|mult|multip)|2s1")
_UNPAIRED = re.compile(
    rf"(?:n|num|number)?(?:of)?(?:unpaired|radical)(?:electrons?)?|uhf|2s|{_WHOSE}(?:magmoms?|magneticmoments?|magnetization)"
)
_SPIN = re.compile(rf"{_WHOSE}spins?")
_ALIKE = re.compile(
    "charge|chrg|chg|spin|multip|unpaired|magmom|magnet|radical|electrons"
    "|^(?:s|(?:di|tri|poly)?(?:ion|cation|anion)(?:ic)?|doublet|triplet|quartet|quintet)$"
)
_NOTHING = ("", "none", "null", "neutral", "singlet", "false")
_PAIR = re.compile(
    r"""(?:(["'])(?P<quoted>[^"']+)\1|(?<!\w)(?P<plain>[A-Za-z][\w +-]+?|[qQ]))\s*[:=]\s*"""
    r"""(?:\[(?P<several>[^][]*)\]|["']?(?P<value>[^][,;|{}"':=\s]+))"""
)
"""A name and its value in a text that stands for a dictionary, in JSON's way, Python's or another."""
_ROUNDING = 0.1
"""Partial charges and moments that were printed with few digits add up to less than this."""
_LONGEST = 40  # characters of a value that is shown


def refusal(atoms: Atoms) -> str:
    """Why a molecule is none of those that the models know, which are neutral and closed shells; "" if it may be one.

    A spin of 0 or 1 is a closed shell: 1 as a multiplicity, and as a number of unpaired electrons it does not go with
    an even number of electrons.
    """
    for key, value in _said(atoms):
        if value is True:
            continue
        name, found = _plain(key), _number(value, len(atoms))
        if _CHARGE.fullmatch(name):
            if found is None:
                return f"its {key} is {value!r}, which is no number"
            total = float(found.sum())
            if not abs(total) < (1e-6 if found.size == 1 else _ROUNDING):
                said = "is" if found.size == 1 else "add up to"
                return f"its {key} {said} {total:+g}; the models know only neutral molecules"
        elif closed := next((closed for kind, closed in _CLOSED if kind.fullmatch(name)), None):
            if found is None:
                return f"its {key} is {value!r}; the models know only closed shells"
            if found.size > 1:
                if not np.abs(found).max() < _ROUNDING:
                    return f"the {key} of its atoms are not zero; the models know only closed shells"
            elif not min(abs(float(found.flat[0]) - one) for one in closed) < _ROUNDING:
                return f"its {key} is {float(found.flat[0]):g}; the models know only closed shells"
    if (electrons := int(atoms.numbers.sum())) % 2:
        return f"it has {electrons} electrons, an odd number: a radical or an ion; the models know only closed shells"
    return ""


_CLOSED = ((_MULTIPLICITY, (1,)), (_UNPAIRED, (0,)), (_SPIN, (0, 1)))
"""What each name is for a closed shell."""


def doubts(atoms: Atoms) -> tuple[str, ...]:
    """What a molecule that is not refused says that may mean a charge or a spin all the same, a warning each."""
    said = []
    for key, value in _said(atoms):
        name = _plain(key)
        known = any(kind.fullmatch(name) for kind in (_CHARGE, _MULTIPLICITY, _UNPAIRED, _SPIN))
        if value is True:
            if len(name) > 1 and (known or _ALIKE.search(name)):
                said.append(f"it says {key!r} without a value: write charge=… and multiplicity=… if it has any")
        elif _SPIN.fullmatch(name):
            if np.any(_number(value, len(atoms)) == 1):
                said.append(f"its {key} is 1, taken as the multiplicity of a closed shell, and not as S = 1")
        elif not known and _ALIKE.search(name):
            found = _number(value, len(atoms))
            if found is None or not abs(found.sum() if "charge" in name else np.abs(found).max()) < _ROUNDING:
                text = " ".join(str(value).split())
                shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
                said.append(f"its {key} is {shown}; the models know only neutral closed shells")
    alone = [key for key, value in atoms.info.items() if value is True]
    if len(alone) == len(atoms.info) == 2 and all(map(_INTEGER.fullmatch, alone)) and set(alone) != {"0", "1"}:
        said.append(f"its comment is {' '.join(alone)!r}: write charge=… and multiplicity=… if that is what it means")
    return tuple(said)


_INTEGER = re.compile(r"[+-]?\d")


def _said(atoms: Atoms) -> Iterator[tuple[str, object]]:
    """Every name and value that goes with a molecule: of itself, its atoms, and a calculator that it brings along."""
    yield from _leaves(atoms.info)
    yield from ((key, value) for key, value in atoms.arrays.items() if key not in ("numbers", "positions"))
    for what in ("results", "parameters"):
        yield from _leaves(getattr(atoms.calc, what, None) or {})


def _leaves(tree: object, key: str = "") -> Iterator[tuple[str, object]]:
    """The names and values of dictionaries within dictionaries, lists and texts; ASE may leave JSON a text."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from (list(_pairs(str(name))) if value is True else []) or _leaves(value, str(name))
    elif isinstance(tree, list | tuple) and any(isinstance(one, Mapping | str) for one in tree):
        for one in tree:
            yield from _leaves(one, key)
    elif isinstance(tree, str) and (pairs := list(_pairs(tree))):
        yield from pairs
    elif not (tree is None or tree is False or (isinstance(tree, str) and tree.strip().lower() in _NOTHING)):
        yield key, tree


def _pairs(text: str) -> Iterator[tuple[str, object]]:
    for found in _PAIR.finditer(text.replace("\\", "")):
        several = found["several"]
        yield from _leaves(
            found["value"] if several is None else several.replace(",", " ").split(), found["quoted"] or found["plain"]
        )


def _plain(key: str) -> str:
    return re.sub("[^a-z0-9]", "", key.lower())


def _number(value: object, n_atoms: int) -> np.ndarray | None:
    """A value as a number, or as one or three per atom; None if it is neither."""
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError is a tensor's that needs its gradient
        return None
    return found if found.size == 1 or (found.ndim and found.size and len(found) == n_atoms) else None
