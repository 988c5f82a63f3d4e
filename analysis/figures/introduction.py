"""How much of U0 is in the free atoms."""

import numpy as np

from analysis.data import offsets
from analysis.data.molecules import Molecules
from analysis.figures import style


def facts(molecules: Molecules, *, lang: str, example: str = "C") -> dict[str, str]:
    """What the prose on U0 quotes: how much of it is in the free atoms; the same keys in both languages.

    Of the molecule whose SMILES is `example`, by default methane's, `example_u0` is U0, `example_atoms` the energy of
    its free atoms and `example_bound` what is left, all in eV; `example_share` is that in per cent of U0. The others
    are of all molecules: `lowest` and `highest` U0 (eV), `bound_mean` and `bound_deviation` of what is left per atom.
    Raises ValueError if no molecule has that SMILES.
    """
    (found,) = np.nonzero(molecules.smiles == example)
    if len(found) == 0:
        raise ValueError(f"no molecule has the SMILES {example!r}")
    free = offsets.reference_energies(molecules)
    bound = molecules.energy - free
    place = found[0]
    return {
        "example_u0": style.number(molecules.energy[place], lang, 1),
        "example_atoms": style.number(free[place], lang, 1),
        "example_bound": style.number(bound[place], lang, 1),
        "example_share": style.percent(bound[place] / molecules.energy[place], lang, 1),
        "lowest": style.number(molecules.energy.min(), lang),
        "highest": style.number(molecules.energy.max(), lang),
        "bound_mean": style.number(np.mean(bound / molecules.n_atoms), lang, 2),
        "bound_deviation": style.number(np.std(bound / molecules.n_atoms), lang, 2),
    }
