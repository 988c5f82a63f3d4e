"""Errors of U0 on QM9 that others have published.

`MODELS` and `POINTS` are the one place of these numbers. They are constants of the literature: each names the entry of
`book/references.bib` that it is from, and the one in whose text it was read, which is not always the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from ase import units

from analysis.figures import style
from analysis.figures.words import say

CHEMICAL_ACCURACY = style.MEV * units.kcal / units.mol
"""1 kcal/mol, in meV."""
_MINUTE = 1 / 60  # hours


@dataclass(frozen=True)
class Published:
    """A mean absolute error of U0 (meV) that a source gives for a model, and what it says of the training.

    `model` is as the source calls it, `year` the source's; None for a later training with other software. `mae` is over
    the source's test molecules, with its `spread` over trainings where it gives one, meV; of HIP-NN, the standard error
    of their mean. `molecules` are those trained on, where the text says how many (Lubbers2018 counts 1,000 for
    validation among them), and `epochs` the passes over them, one number or from and to, or (`at_most`) the most that
    there may be. `gpu_hours` are what the training took, one number or from and to, on the graphics card `gpu`, or
    `days` how long it may take at most. `source` is the bibliography's key of whose model, or whose training, it is,
    and `read_in` that of the text that the number was read in; None if it is quoted from memory.
    """

    model: str
    year: int | None
    mae: float
    molecules: int | None
    source: str
    read_in: str | None
    spread: float | None = None
    epochs: tuple[int, ...] = ()
    at_most: bool = False
    gpu_hours: tuple[float, ...] = ()
    gpu: str | None = None
    days: int | None = None

    @property
    def name(self) -> str:
        """Model and year, as figures call it."""
        return self.model if self.year is None else f"{self.model} ({self.year})"


MODELS: Mapping[str, Published] = {
    # "Cormorant and EGNN are trained on 100,000 structures" (Musaelian2023, Methods), the others on 110,000.
    "cormorant": Published("Cormorant", 2019, 22, 100_000, "Anderson2019", "Musaelian2023"),
    # Fivefold cross-validation: training/results/README.md of kgcnn 4.0.0.
    "schnet_again": Published(
        "SchNet, kgcnn 4.0", None, 14.2, None, "Reiser2021", "Reiser2021", spread=0.2, epochs=(800,)
    ),
    "schnet": Published("SchNet", 2018, 14, 110_000, "Schutt2018", "Musaelian2023"),
    "schnetpack": Published("SchNet, SchNetPack 1.0", None, 12, 100_000, "SchNetPack2021", "SchNetPack2021"),
    "egnn": Published("EGNN", 2021, 11, 100_000, "Satorras2021", "Musaelian2023"),
    "painn_again": Published(
        "PaiNN, kgcnn 4.0", None, 9.9, None, "Reiser2021", "Reiser2021", spread=0.3, epochs=(872,)
    ),
    "physnet": Published("PhysNet", 2019, 8.15, None, "Unke2019", None),
    "equiformer": Published("Equiformer", 2023, 6.59, 110_000, "Liao2023", "Liao2024"),
    "dimenet": Published("DimeNet++", 2020, 6.3, 110_000, "Gasteiger2020", "Musaelian2023"),
    "spherenet": Published("SphereNet", 2022, 6.3, 110_000, "Liu2022", "Musaelian2023"),
    "equiformer_2": Published(
        "EquiformerV2", 2024, 6.17, 110_000, "Liao2024", "Liao2024", epochs=(300,), gpu_hours=(137,), gpu="A6000"
    ),
    # Epochs: the file examples/ET-QM9.yaml of TorchMD-NET; it stops after 150 without progress.
    "torchmd_net": Published(
        "TorchMD-NET", 2022, 6.15, 110_000, "Tholke2022", "Liao2024", epochs=(3000,), at_most=True
    ),
    "painn": Published("PaiNN", 2021, 5.85, 110_000, "Schutt2021", "Liao2024"),
    "allegro": Published("Allegro", 2023, 4.7, 110_000, "Musaelian2023", "Musaelian2023", spread=0.2, days=14),
    "mace": Published("MACE", 2023, 4.1, None, "Kovacs2023", None),
    # Molecules and epochs: the file examples/TensorNet-QM9.yaml of TorchMD-NET.
    "tensornet": Published("TensorNet", 2023, 3.9, 110_000, "Simeon2023", "DeepChem2024", epochs=(3000,), at_most=True),
}
"""Largest error first."""


def _lubbers(model: str, year: int, molecules: int, kcal: float, source: str, **rest: object) -> Published:
    """A number of Lubbers2018, Table I, in kcal/mol."""
    return Published(model, year, kcal * CHEMICAL_ACCURACY, molecules, source, "Lubbers2018", **rest)


def _lu(model: str, year: int, molecules: int, electronvolts: float, source: str, **rest: object) -> Published:
    """A number of Lu2019, Table 3, in eV."""
    return Published(model, year, electronvolts * style.MEV, molecules, source, "Lu2019", **rest)


POINTS: Mapping[str, Published] = {
    # The two texts agree on DTNN. Of SchNet with 50,000 molecules, Lubbers2018 says 0.49 kcal/mol, which is not the
    # 0.59 (0.0256 eV) that Lu2019 gives; of enn-s2s, 0.42 kcal/mol and not 0.45 (0.0194 eV).
    "dtnn_50000": _lubbers("DTNN", 2017, 50_000, 0.94, "Schutt2017b"),
    "dtnn_100000": _lubbers("DTNN", 2017, 100_000, 0.84, "Schutt2017b"),
    "schnet_50000": _lu("SchNet", 2017, 50_000, 0.0256, "Schutt2017"),
    "schnet_100000": _lu("SchNet", 2017, 100_000, 0.0147, "Schutt2017"),
    "schnet_110462": _lu("SchNet", 2017, 110_462, 0.0134, "Schutt2017"),
    # Epochs: Gilmer2017, section 7 ("3 million steps (540 epochs)").
    "enn_s2s_50000": _lu("enn-s2s", 2017, 50_000, 0.0249, "Gilmer2017"),
    "enn_s2s_110462": _lu("enn-s2s", 2017, 110_462, 0.0194, "Gilmer2017", epochs=(540,)),
    "hdad_110426": _lubbers("HDAD + KRR", 2017, 110_426, 0.58, "Faber2017"),
    "mtm_50000": _lubbers("MTM", 2018, 50_000, 0.41, "Gubaev2018"),
    # An epoch of all of QM9 takes a Tesla P100 "about 1 minute": Lubbers2018, section II.6.
    "hip_nn_50000": _lubbers("HIP-NN", 2018, 50_000, 0.354, "Lubbers2018", spread=0.004 * CHEMICAL_ACCURACY),
    "hip_nn_100000": _lubbers("HIP-NN", 2018, 100_000, 0.261, "Lubbers2018", spread=0.002 * CHEMICAL_ACCURACY),
    "hip_nn_110426": _lubbers(
        "HIP-NN",
        2018,
        110_426,
        0.256,
        "Lubbers2018",
        spread=0.003 * CHEMICAL_ACCURACY,
        epochs=(1000, 2000),
        gpu_hours=(1000 * _MINUTE, 2000 * _MINUTE),
        gpu="Tesla P100",
    ),
    "mgcn_50000": _lu("MGCN", 2019, 50_000, 0.0229, "Lu2019"),
    "mgcn_100000": _lu("MGCN", 2019, 100_000, 0.0142, "Lu2019"),
    "mgcn_110462": _lu("MGCN", 2019, 110_462, 0.0129, "Lu2019"),
}
"""Oldest model first, and of each the fewest molecules first."""


def by_model() -> dict[str, pd.DataFrame]:
    """`molecules` and `mae_meV` of each model of `POINTS`, by its name and year, in their order."""
    points = pd.DataFrame([(one.name, one.molecules, one.mae) for one in POINTS.values()])
    of_models = points.set_axis(["name", "molecules", "mae_meV"], axis=1).groupby("name", sort=False)
    return {name: of_model.drop(columns="name").reset_index(drop=True) for name, of_model in of_models}


def facts(*, lang: str) -> dict[str, str]:
    """What the table of published errors says; the same keys in both languages.

    `accuracy` is chemical accuracy (meV), and for each of `MODELS` there are `…_mae`, with an asterisk if the number
    was not read in a text, `…_molecules` and `…_training`.
    """
    found = {"accuracy": style.number(CHEMICAL_ACCURACY, lang)}
    for name, one in MODELS.items():
        spread = "" if one.spread is None else f" ± {style.plain_number(one.spread, lang)}"
        found[f"{name}_mae"] = style.plain_number(one.mae, lang) + spread + ("" if one.read_in else "*")
        found[f"{name}_molecules"] = "–" if one.molecules is None else style.number(one.molecules, lang)
        found[f"{name}_training"] = _training(one, lang)
    return found


def curve_facts(*, lang: str) -> dict[str, str]:
    """What the pages say of published learning curves; the same keys in both languages.

    For each of `POINTS` there is its error (meV), under its name, and where the text says what the training took,
    `…_epochs` and `…_hours`.
    """
    found = {}
    for name, one in POINTS.items():
        found[name] = style.number(one.mae, lang)
        spans = {"epochs": one.epochs, "hours": one.gpu_hours}
        found |= {f"{name}_{key}": _span(span, lang) for key, span in spans.items() if span}
    return found


def _span(ends: tuple[float, ...], lang: str) -> str:
    return "–".join(style.number(value, lang) for value in ends)


def _training(published: Published, lang: str) -> str:
    said = []
    if published.epochs:
        count = _span(published.epochs, lang)
        said.append(say("at most {count} epochs" if published.at_most else "{count} epochs", lang, count=count))
    if published.gpu_hours:
        card = "" if published.gpu is None else f" ({published.gpu})"
        said.append(say("{count} GPU hours", lang, count=_span(published.gpu_hours, lang)) + card)
    if published.days is not None:
        said.append(say("at most {count} days", lang, count=style.number(published.days, lang)))
    return ", ".join(said) or "–"
