"""Tables of the verdicts on the report's claims, as `verdicts.all_claims` gives them."""

from collections.abc import Sequence

import numpy as np

from analysis.evaluation.verdicts import CLAIMS, INDEPENDENT, PROTOCOLS, Verdict
from analysis.figures import baseline, style
from analysis.figures.words import messages, say

_SPACE = "\N{NO-BREAK SPACE}"
_JOINER = "\N{WORD JOINER}"  # a line may end after a dash, no-break space or not

VERDICTS = messages(
    {
        "confirmed": "confirmed",
        "rejected": "rejected",
        "undecided": "undecided",
    }
)
_SAID = messages(
    {
        "confirmed": "claims it",
        "rejected": "discards it",
        "partly": "claims it in part",
    }
)
_CLAIMS = messages(
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
    }
)
_RULES = messages(
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
    }
)


def table(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per claim: what the report says, and under each protocol the verdict with its effect and interval.

    A claim that depends on no protocol has its verdict in the first of their columns. An asterisk marks a verdict that
    does not stand after the correction over all of them (`Verdict.verdict_in_table`).
    """
    of_claim: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        of_claim.setdefault(verdict.claim, {})[verdict.protocol] = verdict
    rows = {}
    for key, found in of_claim.items():
        claim = CLAIMS[key]
        cells = [found.get(PROTOCOLS[0]) or found.get(INDEPENDENT), found.get(PROTOCOLS[1])]
        rows[say(_CLAIMS[key], lang)] = {
            say("Section", lang): claim.section,
            say("Thesis", lang): say(_SAID[claim.said], lang),
            **{
                say(baseline.SHORT_NAMES[protocol], lang): "–" if cell is None else _cell(cell, lang)
                for protocol, cell in zip(PROTOCOLS, cells, strict=True)
            },
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def rules(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per claim: its rule in short, seeds and held-out molecules; the whole rule is `Verdict.rule`."""
    rows = {}
    for verdict in verdicts:
        rows.setdefault(
            say(_CLAIMS[verdict.claim], lang),
            {
                say("Confirmed if", lang): say(_RULES[verdict.claim], lang),
                say("Seeds", lang): style.number(verdict.n_seeds, lang),
                say("Molecules", lang): style.number(verdict.n_molecules, lang) if verdict.n_molecules else "–",
            },
        )
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=say("Claim", lang))


def facts(verdicts: Sequence[Verdict], *, lang: str) -> dict[str, str]:
    """How many claims of the report stand: `…_held_out` and `…_as_reported`; the same keys in both languages.

    Counted are the claims that both protocols judge: `confirmed`, `rejected` and `undecided` of `judged`.
    """
    both = {v.claim for v in verdicts if v.protocol == PROTOCOLS[0]} & {
        v.claim for v in verdicts if v.protocol == PROTOCOLS[1]
    }
    found = {
        "judged": style.number(len(both), lang),
        "unstable": style.number(sum(v.verdict != v.verdict_in_table for v in verdicts), lang),
        "verdicts": style.number(len(verdicts), lang),
    }
    for protocol in PROTOCOLS:
        said = [v.verdict for v in verdicts if v.protocol == protocol and v.claim in both]
        for word in ("confirmed", "rejected", "undecided"):
            found[f"{word}_{protocol}"] = style.number(said.count(word), lang)
    return found


def _cell(verdict: Verdict, lang: str) -> str:
    word = say(VERDICTS[verdict.verdict], lang) + ("" if verdict.verdict == verdict.verdict_in_table else "*")
    numbers = (verdict.effect, *verdict.interval)
    if verdict.unit == "correlation":
        effect, low, high = (style.number(value, lang, 2) for value in numbers)
    else:
        effect, low, high = (_rounded(value, lang) for value in numbers)
    return f"{word}: {effect} ({low}{_SPACE}–{_JOINER}{_SPACE}{high})"


def _rounded(value: float, lang: str) -> str:
    """A ratio, with two or three significant digits; an interval from one seed alone has no end."""
    if not np.isfinite(value):
        return "∞"
    return style.number(value, lang, 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3)
