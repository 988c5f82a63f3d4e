"""Errors of U0 on QM9 that others have published for several numbers of training molecules.

`POINTS` is the one place of these numbers, constants of the literature like those of `analysis.figures.published`: each
names the entry of `book/references.bib` that it is from, and the one in whose text it was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ase import units

from analysis.figures import style

_MEV = 1000  # meV per eV
_KCAL_PER_MOL = _MEV * units.kcal / units.mol  # meV per kcal/mol
_MINUTE = 1 / 60  # hours


@dataclass(frozen=True)
class Point:
    """A mean absolute error of U0 (meV) that a source gives for a model and a number of training molecules.

    Parameters
    ----------
    model, year
        As the source calls it, and the source's year.
    molecules
        Training molecules, as the text counts them: Lubbers2018 counts 1,000 for validation among them.
    mae, error
        Mean absolute error over the source's test molecules and, where the text gives it, the standard error of its
        mean over trainings, meV.
    source
        Key of the bibliography: whose model it is.
    read_in
        Key of the text that the number was read in; None if it was not read but is quoted from memory.
    epochs, gpu_hours
        What the training took, from and to, where the text says so.
    gpu
        Graphics card of these hours.
    """

    model: str
    year: int
    molecules: int
    mae: float
    source: str
    read_in: str | None
    error: float | None = None
    epochs: tuple[int, int] | None = None
    gpu_hours: tuple[float, float] | None = None
    gpu: str | None = None


def _lubbers(model: str, year: int, molecules: int, kcal: float, source: str, **rest: object) -> Point:
    """A number of Lubbers2018, Table I, in kcal/mol."""
    return Point(model, year, molecules, kcal * _KCAL_PER_MOL, source, "Lubbers2018", **rest)


def _lu(model: str, year: int, molecules: int, electronvolts: float, source: str, **rest: object) -> Point:
    """A number of Lu2019, Table 3, in eV."""
    return Point(model, year, molecules, electronvolts * _MEV, source, "Lu2019", **rest)


POINTS: Mapping[str, Point] = MappingProxyType(
    {
        # The two texts agree on DTNN. Of SchNet with 50,000 molecules, Lubbers2018 says 0.49 kcal/mol, which is not the
        # 0.59 (0.0256 eV) that Lu2019 gives; of enn-s2s, 0.42 kcal/mol and not 0.45 (0.0194 eV).
        "dtnn_50000": _lubbers("DTNN", 2017, 50_000, 0.94, "Schutt2017b"),
        "dtnn_100000": _lubbers("DTNN", 2017, 100_000, 0.84, "Schutt2017b"),
        "schnet_50000": _lu("SchNet", 2017, 50_000, 0.0256, "Schutt2017"),
        "schnet_100000": _lu("SchNet", 2017, 100_000, 0.0147, "Schutt2017"),
        "schnet_110462": _lu("SchNet", 2017, 110_462, 0.0134, "Schutt2017"),
        # Epochs: Gilmer2017, section 7 ("3 million steps (540 epochs)").
        "enn_s2s_50000": _lu("enn-s2s", 2017, 50_000, 0.0249, "Gilmer2017"),
        "enn_s2s_110462": _lu("enn-s2s", 2017, 110_462, 0.0194, "Gilmer2017", epochs=(540, 540)),
        "hdad_110426": _lubbers("HDAD + KRR", 2017, 110_426, 0.58, "Faber2017"),
        "mtm_50000": _lubbers("MTM", 2018, 50_000, 0.41, "Gubaev2018"),
        # An epoch of all of QM9 takes a Tesla P100 "about 1 minute": Lubbers2018, section II.6.
        "hip_nn_50000": _lubbers("HIP-NN", 2018, 50_000, 0.354, "Lubbers2018", error=0.004 * _KCAL_PER_MOL),
        "hip_nn_100000": _lubbers("HIP-NN", 2018, 100_000, 0.261, "Lubbers2018", error=0.002 * _KCAL_PER_MOL),
        "hip_nn_110426": _lubbers(
            "HIP-NN",
            2018,
            110_426,
            0.256,
            "Lubbers2018",
            error=0.003 * _KCAL_PER_MOL,
            epochs=(1000, 2000),
            gpu_hours=(1000 * _MINUTE, 2000 * _MINUTE),
            gpu="Tesla P100",
        ),
        "mgcn_50000": _lu("MGCN", 2019, 50_000, 0.0229, "Lu2019"),
        "mgcn_100000": _lu("MGCN", 2019, 100_000, 0.0142, "Lu2019"),
        "mgcn_110462": _lu("MGCN", 2019, 110_462, 0.0129, "Lu2019"),
    }
)
"""Oldest model first, and of each the fewest molecules first."""


def facts(*, lang: str) -> dict[str, str]:
    """What the page says of published learning curves; the same keys in both languages.

    For each of `POINTS` there is its error (meV), under its name, and where the text says what the training took,
    `…_epochs` and `…_hours`.
    """
    found = {}
    for name, point in POINTS.items():
        found[name] = style.number(point.mae, lang)
        for key, span in (("epochs", point.epochs), ("hours", point.gpu_hours)):
            if span is not None:
                found[f"{name}_{key}"] = "–".join(dict.fromkeys(style.number(value, lang) for value in span))
    return found
