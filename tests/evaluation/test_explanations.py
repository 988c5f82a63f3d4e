from itertools import product

import numpy as np
import pandas as pd
import pytest

from analysis import study
from analysis.data import thesis
from analysis.data.offsets import Offsets
from analysis.evaluation import explanations
from analysis.evaluation.decomposition import crossings, offset_of, sets_of, training_mean
from analysis.evaluation.explanations import EXPLANATIONS, STATEMENTS, surprise
from analysis.runs import protocols
from analysis.runs.arms import CUSTOM, DEFAULT, Arm, Arms, MissingArmError

SIZES = list(thesis.COMMON_SIZES)
NO_FREQUENCY = pd.Series(dtype=float)
EXPERIMENTS = {
    *(experiment for statement in STATEMENTS.values() for experiment, _ in statement.cases),
    "default-to-custom",
}


@pytest.fixture(scope="module")
def records(qm9_molecules) -> dict[str, Arms]:
    return {name: study.recorded(study.EXPERIMENTS[name](), qm9_molecules) for name in EXPERIMENTS}


@pytest.fixture(scope="module")
def scores(records, qm9_molecules) -> pd.DataFrame:
    return explanations.scores(records, qm9_molecules)


def curve(*, lower_at: object = (), by: float = 0.5) -> pd.Series:
    """1 eV² at every size, and a part of that at some."""
    found = pd.Series(1.0, index=SIZES)
    found[list(lower_at)] *= by
    return found


# ---- when a statement is true


def test_the_valley_is_asked_of_ranks_and_of_its_bottom():
    frequency = pd.Series(np.r_[np.arange(1, 9), np.arange(8, 0, -1)], index=SIZES)
    valley = 1 / frequency
    assert STATEMENTS["fig3_correlation"].true_of(frequency, valley)
    assert not STATEMENTS["fig3_correlation"].true_of(frequency, 1 / valley)
    assert STATEMENTS["fig3_best"].true_of(frequency, curve(lower_at=[18]))
    assert not STATEMENTS["fig3_best"].true_of(frequency, curve(lower_at=[24]))


def test_elements_are_asked_for_the_three_rarest_only():
    frequency = pd.Series({"H": 100, "C": 99, "N": 62, "O": 85, "F": 2})
    worst_first = pd.Series({"F": 9.0, "N": 5.0, "O": 2.0, "C": 1.0, "H": 1.5})
    assert STATEMENTS["fig4_order"].true_of(frequency, worst_first)
    assert STATEMENTS["fig4_order"].true_of(frequency, worst_first.rename({"C": "H", "H": "C"}))
    assert not STATEMENTS["fig4_order"].true_of(frequency, worst_first.rename({"O": "H", "H": "O"}))


def test_a_cap_may_help_elsewhere_too_and_must_help_at_every_size_claimed():
    helps = STATEMENTS["fig6_cap"]
    above = range(thesis.CAP_HELPS_ABOVE + 1, SIZES[-1] + 1)
    assert helps.true_of(NO_FREQUENCY, curve(lower_at=above), curve())
    assert helps.true_of(NO_FREQUENCY, curve(lower_at=SIZES), curve())
    assert not helps.true_of(NO_FREQUENCY, curve(lower_at=above[1:]), curve())
    alone, better = STATEMENTS["fig6_cap_change"], curve(lower_at=above)
    assert alone.true_of(NO_FREQUENCY, better, curve(), curve(), curve())
    assert not alone.true_of(NO_FREQUENCY, better, better, curve(), curve())
    assert not alone.true_of(NO_FREQUENCY, curve(lower_at=above, by=0.95), curve(), curve(), curve())


@pytest.mark.parametrize("figure", ["fig9", "fig10"])
def test_of_the_size_at_the_crossing_itself_nothing_is_said(figure):
    above = range(thesis.CROSSOVER + 1, SIZES[-1] + 1)
    better = STATEMENTS[f"{figure}_better"]
    for sizes, true in ((above, True), ([19, *above], True), (above[1:], False), ([12, *above], False)):
        assert better.true_of(NO_FREQUENCY, curve(lower_at=sizes), curve()) is true
    straight = pd.Series(np.exp(0.1 * (19.2 - np.array(SIZES))), index=SIZES)
    crosses = STATEMENTS[f"{figure}_crossing"]
    assert crosses.true_of(NO_FREQUENCY, straight, curve())
    assert not crosses.true_of(NO_FREQUENCY, straight * 1.1, curve())
    assert not crosses.true_of(NO_FREQUENCY, curve(lower_at=SIZES), curve())


@pytest.mark.parametrize("figure", ["fig7", "fig8"])
def test_the_rate_claimed_must_beat_the_others_and_no_modification_on_large_molecules(figure):
    statement = STATEMENTS[figure]
    shown = range(thesis.LARGE + 1, thesis.MODIFIED_SIZES[1] + 1)
    first, *others = (arm for _, arm in statement.cases)
    assert first.value == thesis.BEST_RATE
    assert {arm.value for arm in others} == {*thesis.RATES} - {0.0, thesis.BEST_RATE} | {None}
    plain = [curve() for _ in others]
    assert statement.true_of(NO_FREQUENCY, curve(lower_at=shown), *plain)
    assert not statement.true_of(NO_FREQUENCY, curve(lower_at=range(10, 18)), *plain[:-1], curve(lower_at=shown))


# ---- shares of trainings


def test_trainings_are_drawn_one_per_curve_and_independently(records, scores):
    """Counted again in another way, for the crossing of Figure 9 and the general error."""
    directed, final = records["directed-training"], records["final-comparison"]

    def by_size(record, protocol="held_out"):
        return protocols.mse(record.groups, "size")[protocol].loc[SIZES]

    large = {
        "networks": directed[Arm("more than", thesis.LARGE)],
        "updates": directed[Arm("more than", thesis.LARGE, same_updates=True)],
    }
    for name, of_arm in large.items():
        pairs = list(product(of_arm, final[DEFAULT]))
        crossing = [crossings(by_size(one), by_size(other)) for one, other in pairs]
        expected = np.mean([len(at) == 1 and round(at[0]) == thesis.CROSSOVER for at in crossing])
        assert scores.loc[("fig9_crossing", name), "share"] == expected
        assert scores.loc[("fig9_crossing", name), "trainings"] == min(len(of_arm), len(final[DEFAULT]))
    whole = {arm: [protocols.mse(r.groups, "all")["held_out"].item() for r in final[arm]] for arm in (DEFAULT, CUSTOM)}
    expected = np.mean([custom > default for custom, default in product(whole[CUSTOM], whole[DEFAULT])])
    assert scores.loc[("last_table", "networks"), "share"] == expected


def test_every_statement_is_scored_by_every_explanation(scores):
    assert set(scores.index) == set(product(STATEMENTS, EXPLANATIONS))
    assert scores["share"].between(0, 1).all()
    expected = [surprise(row.share, row.trainings) for row in scores.itertuples()]
    np.testing.assert_allclose(scores["surprise"], expected)


def test_a_cap_in_the_databases_order_is_known_from_the_data_alone(scores, qm9_molecules):
    """No run drew its molecules so: the offset stands for the error, and only for the statements on caps."""
    of_caps = [key for key, statement in STATEMENTS.items() if any(arm.role == "cap" for _, arm in statement.cases)]
    assert of_caps == ["fig6_cap", "fig6_cap_change"]
    shares, trainings = (scores[column].xs("in_order", level="explanation") for column in ("share", "trainings"))
    assert (trainings[of_caps] == 1).all()
    others = [key for key in STATEMENTS if key not in of_caps]
    assert shares[others].equals(scores["share"].xs("means", level="explanation")[others])
    sets = sets_of(qm9_molecules, "size").loc[SIZES]
    first = qm9_molecules.select(np.concatenate([np.flatnonzero(qm9_molecules.n_atoms == n)[:2000] for n in range(30)]))
    capped = offset_of(sets, float(Offsets().left_per_atom(first).mean()))
    default = offset_of(sets, training_mean(qm9_molecules))
    at = list(thesis.BETTER["cap"])
    assert shares["fig6_cap"] == float((capped < default)[at].all())


def test_a_weight_of_the_loss_counts_where_the_loss_was_modified(scores):
    """The weights rise with the size, and so does a validation that has them: r = 10 can't be the best of all."""
    shares = {name: scores["share"].xs(name, level="explanation") for name in ("weighted", "networks")}
    same = [
        key for key in STATEMENTS if all(experiment != "loss-modification" for experiment, _ in STATEMENTS[key].cases)
    ]
    same = [key for key in same if not key.startswith("fig10")]
    assert shares["weighted"][same].equals(shares["networks"][same])
    assert (shares["weighted"][["fig7", "fig8"]] == 0).all()


def test_what_the_chapter_says_in_words_is_so(scores):
    """Page "The artefact": what speaks for the means, and what does not."""
    shares = scores["share"]
    for explanation in ("networks", "updates", "weighted"):
        assert shares["fig3_correlation", explanation] == shares["fig3_best", explanation] == 0
        assert scores["surprise"].xs(explanation, level="explanation").sum() > (
            scores["surprise"].xs("means", level="explanation").sum()
        )
    assert all(shares[f"fig{figure}_crossing", "means"] == 1 for figure in (9, 10))
    assert shares["fig8", "networks"] > shares["fig8", "means"]
    assert max(shares["fig7", "networks"], shares["fig7", "means"]) < 0.1
    assert 0 < shares["fig4_order", "means"] < 1
    for key, explanation in (("fig9_better", "networks"), ("fig9_better", "updates"), ("fig10_better", "updates")):
        assert 0 < shares[key, explanation] < 1


def test_a_missing_arm_is_named(records, qm9_molecules):
    without = records | {"default-to-custom": Arms("default-to-custom", {})}
    with pytest.raises(MissingArmError, match="default-to-custom"):
        explanations.scores(without, qm9_molecules)


def test_few_trainings_cannot_surprise_much():
    """−log₂ of (n p + ½) / (n + 1): at no time, a bit more than log₂ of 2 (n + 1)."""
    assert surprise(0, 3) == pytest.approx(3)
    assert surprise(1, 3) < surprise(0.5, 3) < surprise(0, 3) < surprise(0, 30)
    assert surprise(0.5, 8) == pytest.approx(1)


def test_the_new_trainings_are_asked_what_they_can_answer_at_both_ends(qm9_molecules):
    arms = study.recorded(study.ConfirmationParameters(), qm9_molecules).on(None)
    again = explanations.scores_again(arms, qm9_molecules)
    assert again.keys() == {"last", "settled"}
    for end, scores in again.items():
        asked = {name: set(scores.xs(name, level="explanation").index) for name in explanations.AGAIN}
        assert asked["networks"] == asked["means"] == set(STATEMENTS) - {"fig6_cap_change", "fig7", "fig8"}
        assert asked["networks"] - asked["updates"] == {"fig10_better", "fig10_crossing", "last_table"}
        longer = arms.at(end)[Arm("more than", thesis.LARGE, same_updates=True)]
        curves = [
            [protocols.mse(one.groups, "size")["held_out"][SIZES] for one in of]
            for of in (longer, arms.at(end)[DEFAULT])
        ]
        pairs = [list(map(round, crossings(*pair))) == [thesis.CROSSOVER] for pair in product(*curves)]
        assert 0 < np.mean(pairs) < 1
        assert scores.loc[("fig9_crossing", "updates"), "share"] == np.mean(pairs)
        assert scores.loc[("fig9_crossing", "updates"), "trainings"] == len(longer)
