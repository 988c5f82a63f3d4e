"""What was decided before the runs of the experiment `confirmation`: its claims, their rules, and the power."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.data import thesis
from analysis.evaluation.drift import drift
from analysis.evaluation.verdicts.confirmation import REGISTERED, Plan
from analysis.figures import style
from analysis.figures.replication import CLAIM_NAMES, ENDS_IN_WORDS, RULES
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.records import Record

_PARTS = messages(
    {
        "frequency": "frequency",
        "random": "random control",
        "baseline": "whole part",
        "rate_0": "unweighted",
        "rate_2": "with exponent 2",
        "sizes_above": "20 to 25 atoms",
        "sizes_below": "10 to 18 atoms",
        "size_20": "20 atoms",
        "size_18": "18 atoms",
        "default": "Default",
        "rarest_element": "fluorine",
    }
)

_DRIFTING = messages(
    {
        DEFAULT: "Default",
        CUSTOM: "Custom",
        Arm("more than", thesis.LARGE): "More than 17 atoms",
        Arm("more than", thesis.LARGE, random=True): "As many at random",
        Arm("more than", thesis.LARGE, same_updates=True): "More than 17, same updates",
        Arm("cap", thesis.CAPS[0]): "Cap of 2,000",
        Arm("cap", thesis.CAPS[0], random=True): "As many as the cap, at random",
        Arm("cap", thesis.CAPS[0], same_updates=True): "Cap of 2,000, same updates",
        Arm("minutes", 25): "Beyond",
    }
)


def claims(plan: Plan, *, lang: str) -> style.WordTable:
    """A row per claim: when it is confirmed, in short, and by how many arms and seeds."""
    rows = {
        say(CLAIM_NAMES[name], lang): {
            say("Confirmed if", lang): say(RULES[name], lang),
            say("Arms", lang): style.number(len(claim.arms), lang),
            say("Seeds", lang): style.number(len(claim.seeds), lang),
        }
        for name, claim in plan.claims.items()
    }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def power(plan: Plan, *, lang: str) -> style.WordTable:
    """A row per comparison: the spread between seeds and the chances of either verdict, at both ends of a training."""
    rows = {}
    for name, claim in plan.claims.items():
        for one in claim.power:
            chances = one.chances[str(len(claim.seeds))]
            row = rows.setdefault((say(CLAIM_NAMES[name], lang), say(_PARTS[one.part], lang)), {})
            end = say(ENDS_IN_WORDS[one.end], lang)
            row[f"{end}: {say('spread', lang)}"] = style.number(one.deviation, lang, 2)
            row[f"{end}: {say('confirmed / rejected', lang)}"] = " / ".join(style.percent(c, lang) for c in chances)
    table = style.WordTable.from_dict({f"{claim} · {part}": row for (claim, part), row in rows.items()}, orient="index")
    return table.rename_axis(columns=say("Claim and comparison", lang))


def facts(plan: Plan, runs: int, *, lang: str) -> dict[str, str]:
    """The numbers of the page's text, `runs` among them; the same keys in both languages."""
    counted = {
        "seeds": len(plan.seeds),
        "split_seeds": len(plan.split_seeds),
        "splits": len(plan.splits),
        "claims": len(plan.claims),
        "runs": runs,
    }
    return {name: style.number(value, lang) for name, value in counted.items()} | {
        "settled": style.percent(plan.settled, lang),
        "commit": REGISTERED[:7],
        "margin": style.number(plan.thresholds["equivalence_margin"], lang, 1),
    }


def drifting(*experiments: Arms[Record], lang: str) -> dict[str, list[Record]]:
    """The arms of experiments whose drift is shown, by their label: the models, then what changes their molecules."""
    whole = {arm: of_arm for arms in reversed(experiments) for arm, of_arm in arms.items()}
    return {say(label, lang): whole[arm] for arm, label in _DRIFTING.items() if arm in whole}


_FIRST_DRIFTS = mark(
    "Deviation between seeds on a log scale, one row per arm with two marks: the common error per atom and the "
    "rest. For Beyond the first lies far to the left of the second; for the other arms they are much closer."
)


def drift_by_arm(arms: Mapping[str, Sequence[Record]], *, lang: str, alt: str = _FIRST_DRIFTS) -> style.BookFigure:
    """Deviation of held-out errors between seeds, by arm: what one error per atom makes of it, and the rest.

    `arms` has the records of each arm by its label, in the language; `alt` is the message that says what is seen.
    """
    found = {label: drift(records) for label, records in arms.items()}
    rows = [
        {"arm": label, "run": record.id, "per_atom_meV": 1e3 * per_atom, "rest_meV": 1e3 * rest}
        for label, records in arms.items()
        for record, per_atom, rest in zip(records, found[label].per_atom, found[label].of_seeds, strict=True)
    ]
    with style.figure(say(alt, lang), pd.DataFrame(rows), height=0.34 * len(arms) + 1.4, legend=2) as figure:
        axes = figure.subplots()
        for place, one in enumerate(found.values()):
            ends = 1e3 * np.sqrt([one.common, one.rest])
            axes.plot(ends, [place, place], color=style.GREY, linewidth=1, zorder=1)
            for value, name, look in zip(
                ends,
                (say("One error per atom in common", lang), say("The rest", lang)),
                ({"color": style.VERMILION, "marker": "o"}, {"color": style.BLUE, "marker": "s"}),
                strict=True,
            ):
                axes.plot([value], [place], linestyle="", label=name, **look)
        axes.set_yticks(range(len(found)), list(found))
        axes.invert_yaxis()
        style.log_axis(axes, lang, "x", name=say("Deviation between seeds (meV)", lang))
        axes.grid(axis="x")
    return figure


def drift_facts(arms: Mapping[str, Sequence[Record]], *, lang: str) -> dict[str, str]:
    """What the drift does to the first of the arms over large molecules; the same keys in both languages.

    By how much the largest mean squared error of a seed is above the smallest, with the common error per atom and
    without; and how many seeds the arms have.
    """
    found = drift(next(iter(arms.values())), more_than=thesis.LARGE)
    with_it, without = (float(mse.max() / mse.min()) for mse in (found.mse, found.mse_without))
    seeds = [len(records) for records in arms.values()]
    return {
        "drift_fewest": style.number(min(seeds), lang),
        "drift_most": style.number(max(seeds), lang),
        "drift_factor": style.number(with_it, lang, 2),
        "drift_factor_without": style.number(without, lang, 2),
    }
