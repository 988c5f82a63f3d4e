"""The verdicts on the report's claims, and its own figures beside what the records say, under both protocols.

Functions take what `verdicts.all_claims` gives, or the records of several experiments by the experiment's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from analysis.data import thesis
from analysis.evaluation.verdicts import CLAIMS, INDEPENDENT, PROTOCOLS, Claim, Outcome, Part, Verdict
from analysis.evaluation.verdicts.table import OURS
from analysis.figures import baseline, final_comparison, groups, loss_modification, style
from analysis.figures.words import mark, messages, say
from analysis.runs.arms import CUSTOM, Arm, Arms
from analysis.runs.records import End, Record

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

_SPACE = "\N{NO-BREAK SPACE}"
_JOINER = "\N{WORD JOINER}"  # a line may end after a dash, no-break space or not

VERDICTS = messages({"confirmed": "confirmed", "rejected": "rejected", "undecided": "undecided"})
_SAID = messages({"confirmed": "claims it", "rejected": "discards it", "partly": "claims it in part"})
_CONTROL = mark("our control")
_SAME = mark("no difference")
ENDS_IN_WORDS = messages({"last": "Last step", "settled": "Settled"})
_OUTCOMES = messages(
    {
        "stands": "stands",
        "falls": "does not stand",
        "open": "open",
        "falls, stands": "stands with own means alone",
        "open, stands": "open; stands with own means",
        "stands, falls": "stands on held-out molecules alone",
        "stands, open": "stands on held-out molecules",
    }
)
"""What becomes of a conclusion of the report: on held-out molecules and, after a comma, with own means if that differs.

What is not here has the words of held-out molecules alone.
"""
CLAIM_NAMES = messages(
    {
        "h1": "H1: infrequent sizes are predicted worse",
        "h2": "H2: infrequent elements are predicted worse",
        "h3": "H3: equal frequencies make the errors equal",
        "threshold_2000": "The cap of 2,000 improves the molecules of more than 18 atoms",
        "threshold_2000_same_updates": "The cap of 2,000, with as many updates as the baseline",
        "best_rate_size": "The best exponent of the weights by size is 10",
        "best_rate_size_frequency": "The best exponent of the weights by size and frequency is 10",
        "h4": "H4: training only on more than 17 atoms predicts these better",
        "h4_same_updates": "H4, with the same updates",
        "directed_by_size": "Training on more than 17 atoms improves every size above 19 and worsens every size below",
        "general_mse": "Default has a smaller general error than Custom",
        "custom_by_size": "Custom improves every size above 19 atoms and worsens every size below",
        "run_time": "Custom takes less time than Default",
        "convergence": "Default converges in fewer updates than Custom",
        "stability": "The errors of a batch lie closer together in Custom than in Default",
        "stage2": "The physical hyperparameters change the result little",
        "directed_crossing": "Ours: the same, either side as a whole, with the same updates",
        "means_alone": "Ours: the means alone order the curve by size",
    }
)
RULES = messages(
    {
        "h1": (
            "Spearman’s correlation of frequency with error, 10 to 25 atoms, lies below −0.5, and chance gives "
            "it no more than one time in forty"
        ),
        "h2": (
            "the error of the molecules with fluorine is more than 1.1 times the geometric mean of that of the "
            "other four elements"
        ),
        "h3": (
            "the spread of the error over sizes with the cap of 2,000 is less than 1/1.1 of that of as many "
            "molecules drawn at random"
        ),
        "threshold_2000": (
            "with the cap the error is less than 1/1.1 of the baseline’s (geometric mean, 19 to 25 atoms)"
        ),
        "threshold_2000_same_updates": "as that of the cap of 2,000, between trainings with the same updates",
        "best_rate_size": (
            "from 18 to 23 atoms the error with r = 10 is smaller than with any other exponent, and less than "
            "1/1.1 of that of the unweighted loss"
        ),
        "best_rate_size_frequency": "as that of the weights by size",
        "h4": (
            "the error is less than 1/1.1 both of that of the whole training part and of that of as many "
            "molecules drawn at random (geometric mean, 18 to 25 atoms)"
        ),
        "h4_same_updates": "as H4, between trainings with the same updates",
        "directed_by_size": (
            "next to the whole part the error is less than 1/1.1 at each size from 20 to 25 and more than 1.1 "
            "times at each size from 10 to 18"
        ),
        "general_mse": "Custom’s error is more than 1.1 times Default’s",
        "custom_by_size": "as directed training, of Custom next to Default",
        "run_time": "Custom’s time is less than 1/1.1 of Default’s, on the same machine",
        "convergence": "Custom makes more than 1.1 times Default’s updates until the loss is 1.5 times the last one",
        "stability": (
            "the distance between the five largest and the five smallest errors of a batch is less than 1/1.1 "
            "of Default’s in Custom"
        ),
        "stage2": (
            "the ninth decile of the validation loss over the first is less than 1.1 times what seeds alone would give"
        ),
        "directed_crossing": (
            "next to the whole part the error is less than 1/1.1 from 20 to 25 atoms taken together and more than 1.1 "
            "times from 10 to 18"
        ),
        "means_alone": "Spearman’s correlation of the error with own means with Δ²N², 10 to 25 atoms, lies above 0.9",
    }
)


def claims(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per claim: what the report says, and under each protocol the verdict with its effect and interval.

    A claim that depends on no protocol has its verdict in the first of their columns. An asterisk marks a verdict that
    does not stand after the correction over all of them (`Verdict.verdict_in_table`).
    """
    rows = {}
    for verdict in verdicts:
        claim = CLAIMS[verdict.claim]
        row = {say("Section", lang): claim.section, say("Thesis", lang): _said(claim, lang)}
        row |= {say(baseline.SHORT_NAMES[protocol], lang): "–" for protocol in PROTOCOLS}
        column = PROTOCOLS[0] if verdict.protocol == INDEPENDENT else verdict.protocol
        judged = {say(baseline.SHORT_NAMES[column], lang): cell(verdict, lang)}
        rows[say(CLAIM_NAMES[verdict.claim], lang)] = rows.get(say(CLAIM_NAMES[verdict.claim], lang), row) | judged
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def box(
    verdicts: Sequence[Verdict], again: Mapping[End, Sequence[Verdict]] | None = None, *, lang: str
) -> style.WordTable:
    """What opens a chapter: a row per claim with what the thesis said, the verdicts, and what becomes of it.

    `verdicts` are those of the first records and `again` (`confirmation.judged`) those of the preregistered runs, whose
    last word decides what becomes of a claim, and which alone have claims of ours. Each verdict is at its claim's own
    level, whichever claims it stands with.
    """
    found = [verdicts, *(again or {}).values()]
    rows = {}
    for key in dict.fromkeys(verdict.claim for each in found for verdict in each):
        of_claim = [{v.protocol: replace(v, p_in_table=0.0) for v in each if v.claim == key} for each in found]
        latest = {protocol: verdict for each in of_claim for protocol, verdict in each.items()}
        first, *new = map(_held_out, of_claim)
        if again is None:
            cells = {baseline.SHORT_NAMES[PROTOCOLS[0]]: first and cell(first, lang)}
        else:
            cells = {mark("First records"): first and cell(first, lang)}
            ends = (ENDS_IN_WORDS[end] for end in again)
            cells |= {end: each and cell_or_same(each, lang) for end, each in zip(ends, new, strict=True)}
        own = latest.get(PROTOCOLS[1])
        cells[baseline.SHORT_NAMES[PROTOCOLS[1]]] = own and (cell_or_same if again else cell)(own, lang)
        row = {say("The thesis", lang): _said({**CLAIMS, **OURS}[key], lang)}
        row |= {say(name, lang): text or "–" for name, text in cells.items()}
        rows[say(CLAIM_NAMES[key], lang)] = row | {say("What becomes of it", lang): _outcome(latest, lang)}
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def rules(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per claim: its rule in short, seeds and held-out molecules; the whole rule is `Verdict.rule`."""
    rows = {}
    for verdict in verdicts:
        row = {
            say("Confirmed if", lang): say(RULES[verdict.claim], lang),
            say("Seeds", lang): style.number(verdict.n_seeds, lang),
            say("Molecules", lang): style.number(verdict.n_molecules, lang) if verdict.n_molecules else "–",
        }
        rows.setdefault(say(CLAIM_NAMES[verdict.claim], lang), row)
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def claim_facts(verdicts: Sequence[Verdict], *, lang: str) -> dict[str, str]:
    """What becomes of the report's claims: `…_held_out` and `…_as_reported`; the same keys in both languages.

    Counted are its own claims (our `controls` are none) that both protocols judge: `judged` is how many, and of what it
    concludes `confirmed` stands, `rejected` does not and `undecided` is open. Where it discards a claim that we reject,
    it is confirmed.
    """
    own = [v for v in verdicts if not CLAIMS[v.claim].control]
    first, second = ({v.claim for v in own if v.protocol == protocol} for protocol in PROTOCOLS)
    both = first & second
    found = {
        "judged": style.number(len(both), lang),
        "controls": style.number(len({v.claim for v in verdicts} - {v.claim for v in own}), lang),
        "unstable": style.number(sum(v.verdict != v.verdict_in_table for v in verdicts), lang),
        "verdicts": style.number(len(verdicts), lang),
    }
    for protocol in PROTOCOLS:
        found_so = [CLAIMS[v.claim].outcome(v.verdict) for v in own if v.protocol == protocol and v.claim in both]
        for word, outcome in zip(("confirmed", "rejected", "undecided"), get_args(Outcome), strict=True):
            found[f"{word}_{protocol}"] = style.number(found_so.count(outcome), lang)
    return found


def beside_the_report(records: Mapping[str, Arms[Record]], *, lang: str) -> style.WordTable:
    """A row per figure of the report: its value, and ours with held-out molecules and with each set's own mean.

    Errors and times are mean ± deviation over seeds. Rates and sizes are those of the means over seeds; where single
    seeds say something else, theirs follow in brackets, in the order of the seeds. What doesn't depend on the protocol
    stands in the first column of ours.
    """
    rows = {}
    models = final_comparison.by_model(records["final-comparison"])
    for name, of_model in models.items():
        found = [style.mean_and_deviation(baseline.general(of_model, each), lang, 4) for each in baseline.PROTOCOLS]
        title = f"{say(final_comparison.NAMES[name], lang)}: {say('MSE (eV²)', lang)}"
        rows[title] = style.number(thesis.MSE[name], lang, 4), *found
    found = [style.mean_and_deviation(_own(models["custom"], each), lang, 4) for each in baseline.PROTOCOLS]
    rows[say("Custom: MSE, molecules of more than 17 atoms (eV²)", lang)] = "–", *found
    minutes = say("Time (min)", lang)
    for name, of_model in models.items():
        found = style.mean_and_deviation(map(baseline.minutes, of_model), lang, 1)
        title = f"{say(final_comparison.NAMES[name], lang)}: {minutes[:1].lower()}{minutes[1:]}"
        rows[title] = style.number(thesis.MINUTES[name], lang), found, "–"
    weighted = records["loss-modification"]
    for weighting in ("size", "size-frequency"):
        rates = [loss_modification.best_rates(weighted, weighting, each) for each in baseline.PROTOCOLS]
        best = [_with_seeds(*(style.plain_number(rate, lang) for rate in each)) for each in rates]
        title = say("Best r, weights by {weights}", lang, weights=say(loss_modification.WEIGHTINGS[weighting], lang))
        rows[title] = style.plain_number(thesis.BEST_RATE, lang), *best
    for key, (better, other) in _pairs(records, lang).items():
        found = [_better(better, other, each, lang) for each in baseline.PROTOCOLS]
        title = say(_BETTER[key], lang, cap=style.number(thesis.CAPS[0], lang))
        rows[title] = style.ranges(thesis.BETTER[key], lang), *found
    columns = [say(column, lang) for column in (mark("Thesis"), *baseline.SHORT_NAMES.values())]
    table = style.WordTable.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis(columns=say("Quantity", lang))


def facts(records: Mapping[str, Arms[Record]], *, lang: str) -> dict[str, str]:
    """Every number that the prose around the table quotes; the same keys in both languages.

    `reached` is the first epoch at which Default's validation loss is at most what the report gives for it (of the
    seeds that get there), `leak` its MSE over the molecules that it was trained on, in per cent of that over held-out
    ones, `decay` how much AdamW's weight decay shrinks a weight over Default's training, `own_…` Custom's MSE over
    molecules of more than 17 atoms, the only ones that it was trained on.
    """
    models = final_comparison.by_model(records["final-comparison"])
    reached = [epoch for record in models["default"] if (epoch := _reached(record, thesis.MSE["default"])) is not None]
    return {f"report_{name}": style.number(thesis.MSE[name], lang, 4) for name in models} | {
        "reached": style.mean_and_deviation(reached, lang, 0) if reached else say("none", lang),
        "epochs": style.number(models["default"][0].config.training.epochs, lang),
        "decay": style.percent(np.mean([_decay(record) for record in models["default"]]), lang),
        "leak": style.percent(np.mean([_leak(record) for record in models["default"]]), lang),
        "custom": style.mean_and_deviation(baseline.general(models["custom"]), lang, 3),
        "custom_own_mean": style.mean_and_deviation(baseline.general(models["custom"], "as_reported"), lang, 1),
        "own": style.mean_and_deviation(_own(models["custom"], "held_out"), lang, 3),
        "own_reported": style.mean_and_deviation(_own(models["custom"], "as_reported"), lang, 3),
    }


def _said(claim: Claim, lang: str) -> str:
    if claim.said == "nothing":
        return "–"
    return say(_CONTROL if claim.control else _SAID[claim.said], lang)


def _held_out(of_claim: Mapping[str, Verdict]) -> Verdict | None:
    """A claim's verdict over held-out molecules, or the only one of a claim that depends on no protocol."""
    return of_claim.get(PROTOCOLS[0], of_claim.get(INDEPENDENT))


def _outcome(of_claim: Mapping[str, Verdict], lang: str) -> str:
    """What becomes of a claim, by its verdicts by protocol; a control speaks of its claim in the row before."""
    found = {protocol: {**CLAIMS, **OURS}[v.claim].outcome(v.verdict) for protocol, v in of_claim.items()}
    first = found.get("held_out", found.get(INDEPENDENT))
    both = f"{first}, {found.get('as_reported', first)}"
    return say(_OUTCOMES.get(both, _OUTCOMES[first]), lang)


def cell(verdict: Verdict, lang: str) -> str:
    """A verdict with its effect and interval; an asterisk if the correction over its table does not leave it."""
    word = say(VERDICTS[verdict.verdict], lang) + ("" if verdict.verdict == verdict.verdict_in_table else "*")
    return f"{word}: {effect(verdict, lang)}"


def cell_or_same(verdict: Verdict, lang: str) -> str:
    """`cell`, which says if the verdict is one of no difference."""
    said = cell(verdict, lang)
    return f"{said} ({say(_SAME, lang)})" if verdict.no_difference else said


def effect(verdict: Verdict | Part, lang: str) -> str:
    """The effect of a verdict or of a part of one, with its interval."""
    value, low, high = (
        style.number(value, lang, 2) if verdict.unit == "correlation" else rounded(value, lang)
        for value in (verdict.effect, *verdict.interval)
    )
    return f"{value} ({low}{_SPACE}–{_JOINER}{_SPACE}{high})"


def rounded(value: float, lang: str) -> str:
    """A ratio, with two or three significant digits; an interval from one seed alone has no end."""
    if not np.isfinite(value):
        return "∞"
    return style.number(value, lang, 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3)


def _own(custom: Sequence[Record], protocol: str) -> list[float]:
    """MSE of Custom, per seed, over the sizes that it was trained on."""
    return groups.of_sizes(custom, groups.SIDES["above"], protocol)


def _pairs(records: Mapping[str, Arms[Record]], lang: str) -> dict[str, tuple[groups.Group, groups.Group]]:
    """What the report compares, by the key of `thesis.BETTER`: a training set or model, and what it is better than."""
    pairs = {
        "cap": ("balancing", Arm("cap", thesis.CAPS[0])),
        "directed": ("directed-training", Arm("more than", thesis.LARGE)),
        "custom": ("final-comparison", CUSTOM),
    }
    return {
        key: (groups.Group(arm, records[name][arm], style.BLACK, "o"), groups.of_baseline(records[name], lang=lang))
        for key, (name, arm) in pairs.items()
    }


def _better(group: groups.Group, other: groups.Group, protocol: str, lang: str) -> str:
    """The sizes at which a group's mean is below the other's; in brackets those of the seeds, where they differ."""
    single = [
        groups.better(replace(group, records=[one]), replace(other, records=[same]), protocol, lang)
        for one in group.records
        for same in other.records
        if one.config.seed == same.config.seed
    ]
    return _with_seeds(groups.better(group, other, protocol, lang), *single)


def _with_seeds(of_all: str, *single: str) -> str:
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
