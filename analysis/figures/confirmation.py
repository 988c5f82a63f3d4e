"""The claims judged once more: verdicts of the preregistered runs under both protocols and at both ends of a training.

`found` is what `confirmation.judged` gives: the verdicts by end.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.data import thesis
from analysis.evaluation.drift import drift
from analysis.evaluation.verdicts import CLAIMS, FACTOR, INDEPENDENT, PROTOCOLS, Verdict
from analysis.evaluation.verdicts.confirmation import Plan, failed, planned_chance, sizes_apart
from analysis.evaluation.verdicts.table import OURS
from analysis.figures import predictions, replication, style
from analysis.figures.preregistration import drift_by_arm, drifting
from analysis.figures.replication import ENDS_IN_WORDS, cell_or_same
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms
from analysis.runs.records import ENDS, End, Record

SQUARE = str.maketrans("()", "[]")
"""For an effect within a sentence, where it often stands in round brackets itself."""
_CAME = messages({True: "Yes", False: "No"})
_LOOKS: Mapping[End, Mapping[str, object]] = {
    "last": {"color": style.VERMILION, "marker": "o"},
    "settled": {"color": style.BLUE, "marker": "s"},
}


def claims(found: Mapping[End, Sequence[Verdict]], plan: Plan, protocol: str, *, lang: str) -> style.WordTable:
    """A row per claim, and for each end its verdict with effect and interval, and the chance of one that was planned.

    With the protocol "held_out" come the claims that depend on none. An asterisk marks a verdict that the correction
    over all claims of its end does not leave.
    """
    shown = (protocol, INDEPENDENT) if protocol == PROTOCOLS[0] else (protocol,)
    rows: dict[str, dict[str, str]] = {}
    for end, verdicts in found.items():
        for verdict in verdicts:
            if verdict.protocol not in shown:
                continue
            column = say(ENDS_IN_WORDS[end], lang)
            row = rows.setdefault(say(replication.CLAIM_NAMES[verdict.claim], lang), {})
            row[column] = cell_or_same(verdict, lang)
            chance = planned_chance(plan.claims[verdict.claim], end)
            if protocol == PROTOCOLS[0]:
                row[f"{column}: {say('planned chance', lang)}"] = "–" if chance is None else style.percent(chance, lang)
    table = style.WordTable.from_dict(rows, orient="index").fillna("–")
    return table.rename_axis(columns=say("Claim", lang))


def splits(of_splits: Mapping[int, Mapping[End, Sequence[Verdict]]], *, lang: str) -> style.WordTable:
    """A row per claim and end, a column per split: verdicts over its held-out molecules (`judged_on_splits`)."""
    rows: dict[str, dict[str, str]] = {}
    for split, found in of_splits.items():
        for end, verdicts in found.items():
            for verdict in verdicts:
                if verdict.protocol == PROTOCOLS[0]:
                    name = f"{say(replication.CLAIM_NAMES[verdict.claim], lang)} · {say(ENDS_IN_WORDS[end], lang)}"
                    rows.setdefault(name, {})[say("Split {seed}", lang, seed=split)] = cell_or_same(verdict, lang)
    ordered = dict(sorted(rows.items(), key=lambda row: row[0].rpartition(" · ")[0]))
    return style.WordTable.from_dict(ordered, orient="index").rename_axis(columns=say("Claim and end", lang))


def failures(found: Mapping[End, Sequence[Verdict]], plan: Plan, *, lang: str) -> style.WordTable:
    """A row per outcome that would count against the book's own explanation: whether it came, and what was found."""
    rows = {}
    for name, ends in failed(plan, found).items():
        row = {say("Against us if", lang): say(replication.VERDICTS[plan.failures[name].split()[0]], lang)}
        row[say("Came about", lang)] = say(_CAME[bool(ends)], lang)
        for end, verdicts in found.items():
            verdict = next(v for v in verdicts if v.claim == name and v.protocol != "as_reported")
            row[say(ENDS_IN_WORDS[end], lang)] = cell_or_same(verdict, lang)
        rows[say(replication.CLAIM_NAMES[name], lang)] = row
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def changed(before: Sequence[Verdict], found: Mapping[End, Sequence[Verdict]], *, lang: str) -> style.WordTable:
    """A row per claim of the report whose held-out verdict is another one than `before`, by the first records."""
    rows = {}
    for old in before:
        new = {
            say(ENDS_IN_WORDS[end], lang): verdict
            for end, verdicts in found.items()
            for verdict in verdicts
            if (verdict.claim, verdict.protocol) == (old.claim, old.protocol)
        }
        if old.protocol != PROTOCOLS[1] and any(verdict.verdict != old.verdict for verdict in new.values()):
            row = {say("First records", lang): cell_or_same(old, lang)}
            rows[say(replication.CLAIM_NAMES[old.claim], lang)] = row | {
                end: cell_or_same(verdict, lang) for end, verdict in new.items()
            }
    return style.WordTable.from_dict(rows, orient="index").fillna("–").rename_axis(columns=say("Claim", lang))


def explained(scores: Mapping[End, pd.DataFrame], *, lang: str) -> style.WordTable:
    """`predictions.explained` with a column per explanation and end of a training: of `explanations.scores_again`."""
    tables = [
        predictions.explained(of_end, lang=lang).rename(
            columns=lambda name, end=end: f"{name}: {say(ENDS_IN_WORDS[end], lang).lower()}"
        )
        for end, of_end in scores.items()
    ]
    return style.WordTable(pd.concat(tables, axis=1)).rename_axis(columns=say("What the report says", lang))


def facts(found: Mapping[End, Sequence[Verdict]], plan: Plan, *, lang: str) -> dict[str, str]:
    """What becomes of the report's claims by end, and of our own explanation; the same keys in both languages.

    Counted as in `replication.claim_facts`, with the end before each of its keys; `{end}_same` of them are not
    confirmed over held-out molecules, and differ by less than a tenth. `failures` of our explanation were named,
    `failures_came` came about.
    """
    counted = {}
    for end, verdicts in found.items():
        of_report = [v for v in verdicts if v.claim not in OURS]
        own = [v for v in of_report if v.protocol == PROTOCOLS[0] and not CLAIMS[v.claim].control]
        counted |= {f"{end}_{key}": value for key, value in replication.claim_facts(of_report, lang=lang).items()}
        counted[f"{end}_same"] = style.number(sum(v.verdict != "confirmed" and v.no_difference for v in own), lang)
    ends = failed(plan, found)
    return counted | {
        "failures": style.number(len(ends), lang),
        "failures_came": style.number(sum(map(bool, ends.values())), lang),
    }


def effects(found: Mapping[End, Sequence[Verdict]], *, lang: str) -> dict[str, str]:
    """Effects over held-out molecules: `{claim}_{end}` with its interval, `{claim}_{part}_{end}` of each part alone.

    Intervals stand in square brackets: in a sentence the effect itself is often in round ones.
    """
    told = {}
    for end, verdicts in found.items():
        for verdict in verdicts:
            if verdict.protocol == PROTOCOLS[1]:
                continue
            told[f"{verdict.claim}_{end}"] = replication.effect(verdict, lang).translate(SQUARE)
            for part in verdict.parts:
                told[f"{verdict.claim}_{part.name}_{end}"] = replication.rounded(part.effect, lang)
    return told


def size_facts(arms: Arms[Record], *, lang: str, of: str) -> dict[str, str]:
    """The sizes at which a settled arm's error is surely below and above another's: `{pair}_lower`, `{pair}_higher`.

    `of` is a key of `_PAIRS`: the pairs of a chapter.
    """
    told = {}
    sizes, pairs = _PAIRS[of]
    for name, (first, other) in pairs.items():
        for word, found in zip(("lower", "higher"), sizes_apart(arms, first, other, sizes), strict=True):
            told[f"{name}_{word}"] = style.ranges(found, lang) or say("none", lang)
    return told


def drifts(arms: Arms[Record], *, lang: str) -> style.BookFigure:
    """`preregistration.drift_by_arm` at both ends of each arm's trainings."""
    alt = mark(
        "Deviation between seeds on a log scale, two rows per arm with two marks each. At the last step the common "
        "error per atom lies near the rest; settled, it lies far to the left of it, and the rest stays where it was."
    )
    both = {
        f"{label}, {say(ENDS_IN_WORDS[end], lang).lower()}": [record.at(end) for record in records]
        for label, records in drifting(arms, lang=lang).items()
        for end in ENDS
    }
    return drift_by_arm(both, lang=lang, alt=alt)


def drift_facts(arms: Arms[Record], *, lang: str) -> dict[str, str]:
    """What one error per atom makes Default's and Custom's seeds differ by at both ends, meV: `{model}_drift_{end}`."""
    return {
        f"{model}_drift_{end}": style.number(1e3 * drift([one.at(end) for one in arms[model]]).common ** 0.5, lang)
        for model in (DEFAULT, CUSTOM)
        for end in ENDS
    }


def forest(found: Mapping[End, Sequence[Verdict]], *, lang: str) -> style.BookFigure:
    """The effect of each claim that compares errors, with its interval, at both ends, over held-out molecules.

    Effects are turned so that the claim lies to the left: where it says that a ratio is large, its inverse stands here.
    The band is a tenth on either side of 1.
    """
    rows, drawn = [], {}
    for end, verdicts in found.items():
        for verdict in verdicts:
            if verdict.protocol != PROTOCOLS[0] or verdict.unit == "correlation":
                continue
            turned = np.array([verdict.effect, *verdict.interval, verdict.threshold])
            if verdict.side == "above":
                turned = 1 / turned[[0, 2, 1, 3]]
            drawn[end, verdict.claim] = turned
            names = ("effect", "low", "high", "threshold")
            rows.append({"claim": verdict.claim, "end": end, **dict(zip(names, turned, strict=True))})
    alt = mark(
        "Ratios of errors with their intervals on a log scale, one row per claim, a mark for the last step and one for "
        "the settled end; a grey band around one, and in each row the claim’s threshold."
    )
    names = list(dict.fromkeys(claim for _, claim in drawn))
    with style.figure(say(alt, lang), pd.DataFrame(rows), height=0.46 * len(names) + 1.3, legend=2) as figure:
        axes = figure.subplots()
        axes.axvspan(1 / FACTOR, FACTOR, color=style.GREY, alpha=0.18, linewidth=0)
        for (end, claim), (effect, low, high, threshold) in drawn.items():
            place = names.index(claim) + {"last": -0.16, "settled": 0.16}[end]
            axes.plot([low, high], [place, place], color=_LOOKS[end]["color"], linewidth=1.6)
            axes.plot([effect], [place], linestyle="", label=say(ENDS_IN_WORDS[end], lang), **_LOOKS[end])
            axes.plot([threshold], [names.index(claim)], color=style.BLACK, linestyle="", marker="|", markersize=16)
        axes.set_yticks(range(len(names)), [say(_SHORT[name], lang) for name in names])
        axes.invert_yaxis()
        style.log_axis(
            axes, lang, "x", name=say("Ratio, so turned that the claim lies to the left", lang), ticks=(1, 2, 5)
        )
        axes.grid(axis="x")
    return figure


_CAP = thesis.CAPS[0]
_PAIRS: Mapping[str, tuple[Collection[int], Mapping[str, tuple[str, str]]]] = {
    "balancing": (
        thesis.COMMON_SIZES,
        {
            "capped": (Arm("cap", _CAP), Arm("cap", _CAP, random=True)),
            "longer": (Arm("cap", _CAP, same_updates=True), DEFAULT),
        },
    ),
    "weights": (
        range(thesis.MODIFIED_SIZES[0], thesis.MODIFIED_SIZES[1] + 1),
        {
            "size": (Arm("size", thesis.BEST_RATE), "unweighted"),
            "size_frequency": (Arm("size-frequency", thesis.BEST_RATE), "unweighted"),
        },
    ),
}
"""The arms that chapters compare size by size, beyond what was preregistered: the sizes, and the pairs by name."""
_SHORT = messages(
    {
        "h2": "H2: fluorine",
        "h3": "H3: equal frequencies",
        "threshold_2000": "Cap of 2,000",
        "threshold_2000_same_updates": "… same updates",
        "best_rate_size": "Weights by size",
        "best_rate_size_frequency": "Weights by size and frequency",
        "h4": "H4",
        "h4_same_updates": "H4, same updates",
        "directed_by_size": "Directed, by size",
        "general_mse": "Custom’s general error",
        "custom_by_size": "Custom, by size",
        "directed_crossing": "Ours: real crossing",
    }
)
