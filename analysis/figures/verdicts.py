"""Tables of the verdicts on the report's claims, as `verdicts.all_claims` gives them."""

from collections.abc import Sequence

import numpy as np

from analysis.evaluation.verdicts import CLAIMS, INDEPENDENT, PROTOCOLS, Verdict
from analysis.figures import style
from analysis.figures.labels import label

_SPACE = "\N{NO-BREAK SPACE}"
_JOINER = "\N{WORD JOINER}"  # a line may end after a dash, no-break space or not


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
        rows[label(f"claim_{key}", lang)] = {
            label("section", lang): claim.section,
            label("report", lang): label(f"said_{claim.said}", lang),
            **{
                label(f"short_{protocol}", lang): "–" if cell is None else _cell(cell, lang)
                for protocol, cell in zip(PROTOCOLS, cells, strict=True)
            },
        }
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=label("claim", lang))


def rules(verdicts: Sequence[Verdict], *, lang: str) -> style.WordTable:
    """A row per claim: its rule in short, seeds and held-out molecules; the whole rule is `Verdict.rule`."""
    rows = {}
    for verdict in verdicts:
        rows.setdefault(
            label(f"claim_{verdict.claim}", lang),
            {
                label("rule", lang): label(f"rule_{verdict.claim}", lang),
                label("seeds", lang): style.number(verdict.n_seeds, lang),
                label("molecules", lang): style.number(verdict.n_molecules, lang) if verdict.n_molecules else "–",
            },
        )
    return style.WordTable.from_dict(rows, orient="index").rename_axis(columns=label("claim", lang))


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
    word = label(verdict.verdict, lang) + ("" if verdict.verdict == verdict.verdict_in_table else "*")
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
