import re
from dataclasses import replace

import pytest

from analysis.evaluation import verdicts
from analysis.figures import replication as figures
from analysis.figures import style
from analysis.figures.words import LANGUAGES, say

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


def made_up(claim: str, protocol: str, verdict: str, *, effect: float = 0.5, unit: str = "ratio") -> verdicts.Verdict:
    return verdicts.Verdict(
        claim=claim,
        protocol=protocol,
        verdict=verdict,
        effect=effect,
        interval=(effect - 0.25, effect + 0.25),
        unit=unit,
        threshold=1 / 1.1,
        side="below",
        p=0.01,
        n_seeds=3,
        n_molecules=12345 if protocol == "held_out" else 0,
        rule="",
        p_in_table=0.02,
    )


@pytest.fixture
def found() -> list[verdicts.Verdict]:
    return [
        made_up("h1", "held_out", "rejected", effect=-0.09, unit="correlation"),
        made_up("h1", "as_reported", "confirmed", effect=-0.86, unit="correlation"),
        replace(made_up("h4", "held_out", "confirmed"), p_in_table=0.2),
        replace(made_up("h4", "as_reported", "undecided"), interval=(0.0, float("inf")), effect=105.3),
        made_up("run_time", "independent", "confirmed"),
    ]


@EACH_LANGUAGE
def test_the_table_has_a_row_per_claim_and_both_protocols(found, lang):
    table = figures.claims(found, lang=lang)
    assert table.index.tolist() == [say(figures.CLAIM_NAMES[key], lang) for key in ("h1", "h4", "run_time")]
    words = [say(key, lang) for key in ("Section", "Thesis", "held-out molecules", "own mean")]
    assert list(table.columns) == words
    assert table[say("Section", lang)].tolist() == ["5.3.1", "5.3.4", "5.3.4"]


def test_a_cell_says_verdict_effect_interval_and_whether_it_stands(found):
    table = figures.claims(found, lang="en")
    table = table.map(lambda text: text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{WORD JOINER}", ""))
    assert table["held-out molecules"].tolist() == [
        "rejected: −0.09 (−0.34 – 0.16)",
        "confirmed*: 0.50 (0.25 – 0.75)",
        "confirmed: 0.50 (0.25 – 0.75)",
    ]
    assert table["own mean"].tolist() == ["confirmed: −0.86 (−1.11 – −0.61)", "undecided: 105 (0.000 – ∞)", "–"]
    assert table["Thesis"].tolist() == ["claims it", "claims it in part", "claims it"]


@EACH_LANGUAGE
def test_every_claim_has_its_words(lang):
    found = [made_up(key, claim.protocols[0], "undecided") for key, claim in verdicts.CLAIMS.items()]
    table, rules = figures.claims(found, lang=lang), figures.rules(found, lang=lang)
    assert len(table) == len(rules) == len(verdicts.CLAIMS)
    assert rules[say("Seeds", lang)].tolist() == ["3"] * len(rules)


def test_a_table_of_words_is_shown_whole(found):
    rules = figures.rules(found, lang="en")
    html = rules._repr_html_()
    assert 'class="dataframe words"' in html
    assert figures.RULES["h4"] in html
    assert "words" in rules.iloc[:1]._repr_html_()


def test_headings_of_a_table_of_words_stand_in_one_row_and_begin_with_a_capital():
    table = style.WordTable({"demand": ["a"], "met": ["yes"]}).set_index("demand")
    assert re.findall("<th>(.*)</th>", table._repr_html_()) == ["demand", "Met", "a"]


def test_the_rules_count_held_out_molecules(found):
    rules = figures.rules(found, lang="en")
    assert rules["Molecules"].tolist() == ["12,345", "12,345", "–"]


@EACH_LANGUAGE
def test_a_box_says_what_becomes_of_each_claim(found, lang):
    found += [made_up("h3", "held_out", "rejected"), made_up("h3", "as_reported", "confirmed")]
    found += [
        made_up("h4_same_updates", "held_out", "undecided"),
        made_up("h4_same_updates", "as_reported", "confirmed"),
    ]
    box = figures.box(found, lang=lang)
    said = ("claims it", "claims it in part", "claims it", "discards it", "our control")
    assert box[say("The thesis", lang)].tolist() == [say(words, lang) for words in said]
    becomes = (
        "stands with own means alone",  # h1: rejected on held-out molecules, confirmed with own means
        "stands on held-out molecules",  # h4: with own means it is undecided
        "stands",  # the time, which has no protocol
        "stands on held-out molecules alone",  # h3, which the report discards: rejecting it is agreeing
        "open; stands with own means",
    )
    assert box[say("What becomes of it", lang)].tolist() == [say(words, lang) for words in becomes]
    assert not box.map(lambda cell: "*" in cell).any(axis=None)  # a verdict stands at its own level


@EACH_LANGUAGE
def test_a_box_of_two_judgements_gives_both_and_the_last_word_to_the_second(found, lang):
    again = {
        "last": [
            made_up("h4", "held_out", "undecided"),
            made_up("h1", "held_out", "rejected"),
            made_up("convergence", "independent", "rejected"),
        ],
        "settled": [
            made_up("h4", "held_out", "rejected"),
            made_up("h4", "as_reported", "confirmed"),
            made_up("directed_crossing", "held_out", "confirmed"),
        ],
    }
    box = figures.box(found, again, lang=lang)
    heads = ("The thesis", "First records", "Last step", "Settled", "own mean", "What becomes of it")
    assert list(box.columns) == [say(head, lang) for head in heads]
    names = ("h1", "h4", "run_time", "convergence", "directed_crossing")
    assert box.index.tolist() == [say(figures.CLAIM_NAMES[name], lang) for name in names]

    def words(row: int) -> list[str]:
        return [cell.partition(":")[0] for cell in box.iloc[row]]

    _, *h4, becomes = words(1)
    assert h4 == [say(word, lang) for word in ("confirmed", "undecided", "rejected", "confirmed")]
    assert becomes == say("stands with own means alone", lang)
    assert words(0)[1:] == [
        *(say(word, lang) for word in ("rejected", "rejected")),
        "–",
        *(say(word, lang) for word in ("confirmed", "stands with own means alone")),  # own means as at first
    ]
    assert words(2)[1:] == [say("confirmed", lang), "–", "–", "–", say("stands", lang)]  # not judged again
    assert words(3)[1:] == ["–", say("rejected", lang), "–", "–", say("does not stand", lang)]
    assert words(4) == ["–", "–", "–", say("confirmed", lang), "–", say("stands", lang)]  # ours


def test_the_facts_count_claims_that_both_protocols_judge(found):
    found += [made_up("h3", protocol, "rejected") for protocol in verdicts.PROTOCOLS]
    found += [made_up("h4_same_updates", protocol, "confirmed") for protocol in verdicts.PROTOCOLS]
    ca, en = (figures.claim_facts(found, lang=lang) for lang in LANGUAGES)
    assert ca == en
    assert (en["judged"], en["controls"], en["verdicts"], en["unstable"]) == ("3", "1", "9", "1")
    # H1 and H4 as they are; H3, which the report discards, counts as confirmed; the control does not count.
    assert [en[f"{word}_held_out"] for word in ("confirmed", "rejected", "undecided")] == ["2", "1", "0"]
    assert [en[f"{word}_as_reported"] for word in ("confirmed", "rejected", "undecided")] == ["2", "0", "1"]
