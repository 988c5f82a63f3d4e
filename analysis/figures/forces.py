"""How far networks that have learnt forces miss them: by what they learnt, number of atoms and element; the claims.

Functions take the records of `study.ForcesParameters`, unless they say otherwise. An error is the mean absolute error
of the components of forces, over the test part or, by group, over all held-out molecules that have a frame.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from analysis.data import statistics, thesis
from analysis.evaluation import force_claims
from analysis.evaluation.verdicts import Verdict
from analysis.figures import baseline, replication, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import Arms
from analysis.runs.records import Record

LOOKS = {"painn": (style.BLUE, "o"), "schnet": (style.VERMILION, "s"), "energies alone": (style.GREY, "D")}
NAMES = messages({"painn": "PaiNN", "schnet": "SchNet", "energies alone": "PaiNN, energies alone"})
MAE = mark("MAE of forces (meV/Å)")
BAR = mark("demanded: {error} meV/Å")
_CLAIMS = messages(
    {
        "forces_by_frequency": "Sizes that few molecules have give poor forces",
        "forces_by_size": "The forces in molecules of more than {atoms} atoms are missed by more",
        "forces_by_element": "The forces on atoms of the rarest element are missed by more",
        "forces_bar": "The forces are within {error} meV/Å of GFN2-xTB’s",
        "survival_by_size": "Molecules of more than {atoms} atoms survive less often",
        "survival_by_element": "Molecules with fluorine survive less often",
    }
)


def errors(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """The error of each arm over the test part, a point per seed, beside what was demanded."""
    shown = _shown(records)
    data = _data(shown, lambda record: pd.DataFrame({"mae_meV_per_A": mev([record])}))
    alt = mark(
        "Mean absolute errors of forces on a log scale, a row per kind of network and a point per seed, beside a "
        "dashed line for what was demanded."
    )
    with style.figure(say(alt, lang), data, height=0.6 * len(shown) + 1.5, legend=1) as figure:
        axes = figure.subplots()
        for place, (arm, of_arm) in enumerate(shown.items()):
            colour, marker = LOOKS[arm]
            found = mev(of_arm)
            axes.plot(found, np.full(len(found), place), marker, color=colour, markersize=7, alpha=0.8)
        axes.axvline(bar(), color=style.BLACK, linestyle="--", label=say(BAR, lang, error=style.number(bar(), lang)))
        axes.set_yticks(range(len(shown)), [say(NAMES[arm], lang) for arm in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        style.log_axis(axes, lang, "x", name=say(MAE, lang), ticks=(1, 1.5, 2, 3, 5, 7))
        axes.grid(axis="x")
    return figure


def by_size(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """The error by number of atoms; bands reach from the best to the worst seed."""
    shown = _shown(records)
    tables = {arm: _by_seed(of_arm, "n_atoms").reindex(thesis.COMMON_SIZES).dropna() for arm, of_arm in shown.items()}
    alt = mark(
        "Line chart of the mean absolute error of forces by number of atoms on a log scale, a line with its band for "
        "each kind of network, beside a dashed line for what was demanded."
    )
    with style.figure(say(alt, lang), _grouped(shown, "n_atoms"), height=4.0, legend=2) as figure:
        axes = figure.subplots()
        for arm, table in tables.items():
            colour, marker = LOOKS[arm]
            style.band(axes, table, color=colour, marker=marker, markersize=4, label=say(NAMES[arm], lang))
        axes.axhline(bar(), color=style.BLACK, linestyle="--", label=say(BAR, lang, error=style.number(bar(), lang)))
        style.size_axis(axes, lang)
        style.log_axis(axes, lang, name=say(MAE, lang), ticks=(1, 2, 5))
    return figure


def by_element(records: Arms[Record], *, lang: str) -> style.BookFigure:
    """The error of the forces on atoms of each element, a point per seed; the element of the fewest atoms last."""
    shown = _shown(records)
    counted = next(iter(shown.values()))[0].forces.groupby("element")["atoms"].sum()
    ordered = sorted(statistics.ELEMENTS, key=lambda element: -counted.get(atomic_numbers[element], 0))
    order = [atomic_numbers[element] for element in ordered]
    alt = mark(
        "Mean absolute error of the forces on atoms of each element on a log scale, a point per seed and kind of "
        "network, the most frequent element first and the rarest last."
    )
    with style.figure(say(alt, lang), _grouped(shown, "element"), height=3.8, legend=3) as figure:
        axes = figure.subplots()
        for shift, (arm, of_arm) in zip((-0.2, 0.0, 0.2), shown.items(), strict=False):
            table, (colour, marker) = _by_seed(of_arm, "element").reindex(order), LOOKS[arm]
            places = np.repeat(np.arange(len(order)) + shift, len(of_arm))
            axes.plot(places, table.to_numpy().ravel(), marker, color=colour, markersize=6, label=say(NAMES[arm], lang))
        axes.set_xticks(range(len(order)), [say(baseline.ELEMENTS[element], lang) for element in ordered])
        style.log_axis(axes, lang, name=say(MAE, lang), ticks=(1, 2, 5))
    return figure


def claims(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per claim of `force_claims.all_claims`: its verdict with effect and interval, and what was counted.

    An asterisk marks a verdict that the correction over all of them does not leave.
    """
    limits = {"atoms": style.number(thesis.LARGE, lang), "error": style.number(bar(), lang)}
    rows = {
        say(_CLAIMS[one.claim], lang, **limits): {
            say("Verdict", lang): replication.cell(one, lang),
            say("Molecules", lang): style.number(one.n_molecules, lang),
            say("Models", lang): style.number(one.n_seeds, lang),
        }
        for one in verdicts
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def facts(records: Arms[Record], verdicts: Sequence[Verdict], *, lang: str) -> dict[str, str]:
    """The numbers of the prose, the same keys in both languages.

    `mae_<arm>` over the test part and `mae_<side>` of PaiNN "up_to" 17 atoms and "above", meV/Å, over seeds;
    `mae_<element>` on its atoms; `times_energies`, how many times as large as PaiNN's the error of energies alone is;
    `mae_C_<side>` the same on carbon atoms alone; `overfit`, its last loss over the validation part over that over
    the training part; `effect_<claim>`; `claims_<verdict>`, how many of the claims have it.
    """
    shown = _shown(records)
    painn = records[force_claims.ARM]
    found = {
        "seeds": style.number(len(painn), lang),
        "frames": style.number(painn[0].about["molecules"]["train"], lang),
        "tested": style.number(painn[0].about["molecules"]["test"], lang),
        "share": style.percent(painn[0].config.loss.forces, lang),
        "share_of_energies": style.percent(1 - painn[0].config.loss.forces, lang),
        "epochs": style.number(painn[0].config.training.epochs, lang),
        "overfit": style.number(np.mean([_overfit(record) for record in painn]), lang, 1),
        "bar": style.number(bar(), lang),
        "boundary": style.number(thesis.LARGE, lang),
    }
    found |= {f"mae_{_key(arm)}": style.mean_and_deviation(mev(of_arm), lang, 1) for arm, of_arm in shown.items()}
    if "energies alone" in shown:
        times = float(np.mean(mev(shown["energies alone"])) / np.mean(mev(painn)))
        found["times_energies"] = style.number(times, lang, 1 if times < 10 else 0)
    tables = [force_claims.errors(record) for record in painn]
    for side, chosen in (("up_to", lambda n: n <= thesis.LARGE), ("above", lambda n: n > thesis.LARGE)):
        for key, among in ((side, statistics.ELEMENTS), (f"C_{side}", ("C",))):
            numbers = [atomic_numbers[element] for element in among]
            rows = [table[chosen(table["n_atoms"]) & table["element"].isin(numbers)] for table in tables]
            of_seeds = [style.MEV * one["absolute"].sum() / one["components"].sum() for one in rows]
            found[f"mae_{key}"] = style.mean_and_deviation(of_seeds, lang, 1)
    of_elements = _by_seed(painn, "element")
    for element in statistics.ELEMENTS:
        if (number := atomic_numbers[element]) in of_elements.index:
            found[f"mae_{element}"] = style.mean_and_deviation(of_elements.loc[number], lang, 1)
    found |= {f"effect_{one.claim}": style.number(one.effect, lang, 2) for one in verdicts}
    counts = {word: sum(one.verdict == word for one in verdicts) for word in replication.VERDICTS}
    return found | {f"claims_{word}": style.number(count, lang) for word, count in counts.items()}


def bar() -> float:
    """The error that was demanded, meV/Å."""
    return style.MEV * force_claims.DEMANDED


def mev(records: Sequence[Record]) -> list[float]:
    """The error over the test part, meV/Å, per run."""
    return [style.MEV * force_claims.mae(record, test=True).item() for record in records]


def _shown(records: Arms[Record]) -> dict[str, list[Record]]:
    """The arms that are recorded, in the order of `LOOKS`; raises MissingArmError without the first."""
    return {force_claims.ARM: records[force_claims.ARM]} | {arm: records[arm] for arm in LOOKS if arm in records}


def _overfit(record: Record) -> float:
    last = record.history.iloc[-1]
    return last["validation_loss"] / last["train_loss"]


def _by_seed(records: Sequence[Record], by: str) -> pd.DataFrame:
    """The error by group, meV/Å: a row per group, a column per seed."""
    columns = {record.config.seed: style.MEV * force_claims.mae(record, by) for record in records}
    return pd.concat(columns, axis=1).sort_index()


def _grouped(shown: dict[str, list[Record]], by: str) -> pd.DataFrame:
    def table(record: Record) -> pd.DataFrame:
        molecules = force_claims.errors(record).groupby(by)["index"].nunique().rename("held_out_molecules")
        error = (style.MEV * force_claims.mae(record, by)).rename("mae_meV_per_A")
        return pd.concat([molecules, error], axis=1).rename_axis("n_atoms" if by == "n_atoms" else "atomic_number")

    return _data(shown, lambda record: table(record).reset_index())


def _data(shown: dict[str, list[Record]], table: Callable[[Record], pd.DataFrame]) -> pd.DataFrame:
    """A table of each run, with its arm, id and seed in front."""
    tables = {arm: baseline.of_runs(of_arm, table) for arm, of_arm in shown.items()}
    return pd.concat(tables, names=["arm"]).reset_index("arm").reset_index(drop=True)


def _key(arm: str) -> str:
    return arm.partition(" ")[0]
