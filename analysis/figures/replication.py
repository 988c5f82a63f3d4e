"""The report's own figures beside what the records say, under both evaluation protocols.

Every function takes the records of several experiments, by the experiment's name.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.data import thesis
from analysis.figures import baseline, final_comparison, groups, loss_modification, style
from analysis.figures.groups import Group
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import CUSTOM, Arm, Arms
from analysis.runs.records import Record

EXPERIMENTS = ("baseline", "balancing", "loss-modification", "directed-training", "final-comparison")
WEIGHT_DECAY = 0.01
"""λ of torch's AdamW, which `training.EnergyTask` leaves as it is."""

_BETTER = messages(
    {
        "cap": "Sizes at which the cap of {cap} beats the whole training part",
        "directed": "Sizes at which training on more than 17 atoms beats the whole training part",
        "custom": "Sizes at which Custom beats Default",
    }
)


def beside_the_report(records: Mapping[str, Arms[Record]], *, lang: str) -> style.WordTable:
    """A row per figure of the report: its value, and ours with held-out molecules and with each set's own mean.

    Errors and times are mean ± deviation over seeds. Rates and sizes are those of the means over seeds; where single
    seeds say something else, theirs follow in brackets, in the order of the seeds. What doesn't depend on the protocol
    stands in the first column of ours.
    """
    rows = {}

    def row(name: str, report: str, ours: Sequence[str]) -> None:
        columns = (mark("Thesis"), *baseline.SHORT_NAMES.values())
        rows[name] = {say(column, lang): cell for column, cell in zip(columns, (report, *ours), strict=True)}

    models = final_comparison.by_model(records["final-comparison"])
    for name, of_model in models.items():
        row(
            f"{say(final_comparison.NAMES[name], lang)}: {say('MSE (eV²)', lang)}",
            style.number(thesis.MSE[name], lang, 4),
            [style.mean_and_deviation(groups.general(of_model, each), lang, 4) for each in baseline.PROTOCOLS],
        )
    row(
        say("Custom: MSE, molecules of more than 17 atoms (eV²)", lang),
        "–",
        [style.mean_and_deviation(_own(models["custom"], each), lang, 4) for each in baseline.PROTOCOLS],
    )
    minutes = say("Time (min)", lang)
    for name, of_model in models.items():
        row(
            f"{say(final_comparison.NAMES[name], lang)}: {minutes[:1].lower()}{minutes[1:]}",
            style.number(thesis.MINUTES[name], lang),
            [style.mean_and_deviation([baseline.minutes(record) for record in of_model], lang, 1), "–"],
        )
    weighted = records["loss-modification"]
    for weighting in ("size", "size-frequency"):
        row(
            say("Best r, weights by {weights}", lang, weights=say(loss_modification.WEIGHTINGS[weighting], lang)),
            style.plain_number(thesis.BEST_RATE, lang),
            [_rates(loss_modification.best_rates(weighted, weighting, each), lang) for each in baseline.PROTOCOLS],
        )
    for key, (better, other) in _pairs(records, lang).items():
        row(
            say(_BETTER[key], lang, cap=style.number(thesis.CAPS[0], lang)),
            style.ranges(thesis.BETTER[key], lang),
            [_better(better, other, each, lang) for each in baseline.PROTOCOLS],
        )
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Quantity", lang))


def facts(records: Mapping[str, Arms[Record]], *, lang: str) -> dict[str, str]:
    """Every number that the prose around the table quotes; the same keys in both languages.

    `reached` is the first epoch at which Default's validation loss is at most what the report gives for it (of the
    seeds that get there), `leak` its MSE over the molecules that it was trained on, in per cent of that over held-out
    ones, `decay` how much AdamW's weight decay shrinks a weight over Default's training, `own_…` Custom's MSE over
    molecules of more than 17 atoms, the only ones that it was trained on.
    """
    models = final_comparison.by_model(records["final-comparison"])
    reached = [epoch for record in models["default"] if (epoch := _reached(record, thesis.MSE["default"])) is not None]
    found = {f"report_{name}": style.number(thesis.MSE[name], lang, 4) for name in models}
    found |= {
        "reached": style.mean_and_deviation(reached, lang, 0) if reached else say("none", lang),
        "epochs": style.number(models["default"][0].config.training.epochs, lang),
        "decay": style.percent(float(np.mean([_decay(record) for record in models["default"]])), lang),
        "leak": style.percent(float(np.mean([_leak(record) for record in models["default"]])), lang),
        "custom": style.mean_and_deviation(groups.general(models["custom"]), lang, 3),
        "custom_own_mean": style.mean_and_deviation(groups.general(models["custom"], "as_reported"), lang, 1),
        "own": style.mean_and_deviation(_own(models["custom"], "held_out"), lang, 3),
        "own_reported": style.mean_and_deviation(_own(models["custom"], "as_reported"), lang, 3),
    }
    return found


def _own(custom: Sequence[Record], protocol: str) -> list[float]:
    """MSE of Custom, per seed, over the sizes that it was trained on."""
    return groups.of_sizes(custom, groups.SIDES["above"], protocol)


def _pairs(records: Mapping[str, Arms[Record]], lang: str) -> dict[str, tuple[Group, Group]]:
    """What the report compares, by the key of `thesis.BETTER`: a training set or model, and what it is better than."""
    pairs = {
        "cap": ("balancing", Arm("cap", thesis.CAPS[0])),
        "directed": ("directed-training", Arm("more than", thesis.LARGE)),
        "custom": ("final-comparison", CUSTOM),
    }
    return {
        key: (Group(arm, records[name][arm], style.BLACK, "o"), groups.of_baseline(records[name], lang=lang))
        for key, (name, arm) in pairs.items()
    }


def _better(group: Group, other: Group, protocol: str, lang: str) -> str:
    """The sizes at which a group's mean is below the other's; in brackets those of the seeds, where they differ."""
    sizes = thesis.COMMON_SIZES
    of_all = style.ranges(groups.lower_at(group, other, protocol), lang) or say("none", lang)
    tables = [baseline.by_seed(each.records, "size", protocol).reindex(sizes) for each in (group, other)]
    seeds = [seed for seed in tables[0].columns if seed in tables[1].columns]
    single = [
        style.ranges(tables[0].index[tables[0][seed] < tables[1][seed]], lang) or say("none", lang) for seed in seeds
    ]
    return _with_seeds(of_all, single)


def _rates(rates: Sequence[float], lang: str) -> str:
    of_all, *single = (style.plain_number(rate, lang) for rate in rates)
    return _with_seeds(of_all, single)


def _with_seeds(of_all: str, single: Sequence[str]) -> str:
    return of_all if all(each == of_all for each in single) else f"{of_all} ({'; '.join(single)})"


def _reached(record: Record, mse: float) -> int | None:
    """The first epoch whose validation loss is at most `mse`, eV²."""
    losses = record.history.set_index("epoch")["validation_loss"]
    return int((losses <= mse).idxmax()) if (losses <= mse).any() else None


def _decay(record: Record) -> float:
    """The part of a weight that decay alone takes away over a run: AdamW multiplies it by 1 − ηλ in each step."""
    return 1 - (1 - record.config.training.learning_rate * WEIGHT_DECAY) ** int(record.steps["step"].iloc[-1])


def _leak(record: Record) -> float:
    rows = record.groups[record.groups["kind"] == "all"].set_index("part")
    mse = rows["sum_ee"] / rows["molecules"]
    return float(mse["train"] / mse["held_out"])
