"""The networks of an ensemble and the limits of its domain as plain data: to predict where there is no Python.

A page of the book does (`book/_ext/interactive`). The rules are those of `applicability` and `electrons`; here are the
tables and limits that they compare with. Lengths in Å, energies in eV.
"""

from typing import Any

import ase.units
import numpy as np
from ase.data import chemical_symbols, covalent_radii

from analysis.data.as_text import packed
from analysis.data.molecules import BOND, FARTHEST, MIN_SEPARATION
from analysis.data.neighbours import LONGEST_BOND
from analysis.data.qm9 import ATOMIC_REFERENCES_U0
from analysis.evaluation.prediction_intervals import DFT, RINGS, UNKNOWN
from analysis.predict import applicability, electrons
from analysis.predict.ensemble import KCAL_PER_MOL, Ensemble, PredictError

LEVELS = 2**15 - 1
"""A weight is a whole number from −32,767 to 32,767 times its column's scale: that moves energies by 0.05 meV."""
_NETWORK, _READOUT = "representation.", "output_modules.0.outnet."


def networks(ensemble: Ensemble) -> dict[str, dict[str, Any]]:
    """By names: "dft", the networks for QM9's own geometries, and "approximate", those for all others.

    Raises PredictError for models that are no PaiNN.
    """
    return {name: _networks(one) for name, one in _every(ensemble).items()}


def _every(ensemble: Ensemble) -> dict[str, Ensemble]:
    return {DFT: ensemble, "approximate": ensemble.at(UNKNOWN)}


def _limit(spread: float) -> float | None:
    return None if np.isnan(spread) else spread


def _networks(ensemble: Ensemble) -> dict[str, Any]:
    """An ensemble of PaiNN networks.

    `arrays` (packed as `as_text.packed` does it) hold each network's layers under its number and SchNetPack's own name,
    such as "0/interactions.0.interatomic_context_net.0.weight": whole numbers, [inputs, outputs], and under that name
    and "/scale", float32, what each column, or all of a bias, is to be multiplied with. Of the embedding there are the
    rows of `elements`. `offsets` have, per network and element, what is added to the network's sum for each such atom;
    `free`, the energy of the free atom; `centres` and `widths` are the Gaussians', `cutoff` that of the cosine.
    """
    elements = sorted(ATOMIC_REFERENCES_U0)
    states = [record.state_dict() for record in ensemble.records]
    if not all(f"{_NETWORK}filter_net.weight" in state for state in states):
        raise PredictError("only networks of PaiNN can be exported")
    arrays: dict[str, np.ndarray] = {}
    for number, state in enumerate(states):
        for name, array in state.items():
            if not (name.startswith((_NETWORK, _READOUT)) and name.endswith((".weight", ".bias"))):
                continue
            rows = array[elements] if name.endswith("embedding.weight") else array.T
            key = f"{number}/{name.removeprefix(_NETWORK).removeprefix(_READOUT)}"
            arrays[key], arrays[f"{key}/scale"] = _whole(np.asarray(rows, np.float32))
    first, fitted = states[0], [record.offsets() for record in ensemble.records]
    return {
        **packed(arrays),
        "runs": [[record.id, record.config.seed] for record in ensemble.records],
        "elements": elements,
        "offsets": [{z: each.references[z] + each.mean * each.removes_mean for z in elements} for each in fitted],
        "free": {z: ATOMIC_REFERENCES_U0[z] for z in elements},
        "centres": first[f"{_NETWORK}radial_basis.offsets"].tolist(),
        "widths": first[f"{_NETWORK}radial_basis.widths"].tolist(),
        "cutoff": first[f"{_NETWORK}cutoff_fn.cutoff"].item(),
        "hartree": ase.units.Hartree,
        "kcal": KCAL_PER_MOL,
    }


def _whole(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values as int16, and the scale of each column of a matrix, or of a whole vector: float32 [columns] or [1]."""
    largest = np.abs(values).max(axis=0) if values.ndim == 2 else np.abs(values).max(keepdims=True)
    scale = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    return np.round(values / scale).astype(np.int16), scale


def limits(ensemble: Ensemble) -> dict[str, Any]:
    """What is compared with a molecule before and after it is predicted.

    The fields of `applicability.Domain` by their names, `codes` (int64 [E]), `distances` and the numbers that codes are
    sums of (`code_of`, int64 [elements, most_bonds + 2]) packed as `as_text.packed` does it; the limits of its rules;
    the patterns by which `electrons` knows charge and spin; the symbols of all elements; and `intervals`: the level
    and, by kind of geometry, floor, widest spread, quantiles by taxon and mean absolute error, and how many rings make
    one (None without intervals). `spread` has the limit of each of `networks`.
    """
    domain, intervals = ensemble.domain, ensemble.intervals
    return {
        **packed(
            {
                "codes": domain.codes.astype(np.int64),
                "code_of": applicability._CODES.astype(np.int64),
                "distances": domain.distances.astype(np.uint8),
            }
        ),
        "atoms": domain.atoms,
        "heavy_atoms": domain.heavy_atoms,
        "spread": {name: _limit(one.domain.spread) for name, one in _every(ensemble).items()},
        "elements": applicability._ELEMENTS.tolist(),
        "radii": {int(z): float(covalent_radii[z]) for z in applicability._ELEMENTS},
        "bond": BOND,
        "most_bonds": applicability._MOST_BONDS,
        "reach": applicability.REACH,
        "width": applicability.WIDTH,
        "largest": applicability.LARGEST,
        "farthest": FARTHEST,
        "nearest": MIN_SEPARATION,
        "longest_bond": LONGEST_BOND,
        "units": [[low, high] for low, high, _ in applicability._UNITS],
        "charge": electrons._CHARGE.pattern,
        "multiplicity": electrons._MULTIPLICITY.pattern,
        "unpaired": electrons._UNPAIRED.pattern,
        "spin": electrons._SPIN.pattern,
        "alike": electrons._ALIKE.pattern,
        "symbols": chemical_symbols,
        "intervals": None
        if intervals is None
        else {
            "level": intervals.level,
            "rings": RINGS,
            "scales": {kind: scale.model_dump() for kind, scale in intervals.scales.items()},
        },
    }
