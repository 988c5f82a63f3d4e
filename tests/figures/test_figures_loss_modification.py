from dataclasses import replace

import numpy as np
import pytest
from made_up import arms_of, only

from analysis import study
from analysis.figures import groups, loss_modification
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols, selection
from analysis.runs.arms import Arm, Arms, MissingArmError
from analysis.runs.config import Loss, RunConfig, adjust
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
FACTORS = {"size 2": 0.9, "size 10": 0.5, "inverse-frequency 1": 2.0}


@pytest.fixture(scope="module")
def whole(qm9_molecules) -> list[Record]:
    return study.recorded(study.BaselineParameters(), qm9_molecules)["default"]


@pytest.fixture(scope="module")
def records(whole, qm9_molecules) -> Arms[Record]:
    """The baseline's, as if weighted losses had multiplied every squared error above 17 atoms by FACTORS."""

    def record(arm: Arm, config: RunConfig) -> Record:
        groups = whole[config.seed].groups.copy()
        large = (groups["kind"] == "size") & (groups["group"].astype(str).isin(map(str, range(18, 30))))
        groups.loc[large, "sum_ee"] *= FACTORS.get(arm, 1.0)
        return replace(whole[config.seed], config=config, groups=groups)

    asked = study.LossModificationParameters(weightings=["size"], rates=[2.0, 10.0], alphas=[1.0])
    return arms_of(asked, qm9_molecules, record)


def test_the_runs_of_a_function_by_rate_begin_with_the_unmodified(records):
    rates = loss_modification.by_rate(records, "size", lang="en")
    assert list(rates) == [0, 2, 10]
    assert [group.name for group in rates.values()] == ["unweighted", "2", "10"]
    assert all(len(group.records) == 3 for group in rates.values())
    assert len({group.colour for group in rates.values()}) == 3


def test_what_is_missing_is_reported(records):
    with pytest.raises(MissingArmError, match="no record of the arm 'size-frequency', only of unweighted; size 2"):
        loss_modification.by_rate(records, "size-frequency", lang="en")
    with pytest.raises(MissingArmError, match="no record of the arm 'unweighted'"):
        loss_modification.by_rate(only(records, lambda arm: arm != "unweighted"), "size", lang="en")


def test_the_table_has_a_row_per_function_and_rate(records, whole):
    table = loss_modification.summary(records, lang="en")
    assert list(table.index) == ["unweighted", "size", "size", "inverse frequency"]
    assert table[say("r\N{NO-BREAK SPACE}or\N{NO-BREAK SPACE}α", "en")].tolist() == ["–", "2", "10", "1"]
    above = []
    for record in whole[: len(records["unweighted"])]:
        sizes = record.errors["n_atoms"].to_numpy()
        above.append(np.mean(record.errors["error"].to_numpy(float)[(sizes > 17) & (sizes <= 23)] ** 2))
    values = [float(text.split()[0]) for text in table["MSE, more than 17 atoms (eV²)"]]
    np.testing.assert_allclose(values, np.mean(above) * np.array([1, 0.9, 0.5, 2]), atol=1e-4)
    assert table["MSE, up to 17 atoms (eV²)"].nunique() == 1


def test_the_facts_name_the_best_rate_of_each_function(records):
    ca, en = (loss_modification.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (en["best_size"], en["best_inverse_frequency"]) == ("10", "0")
    assert en["mse_inverse_frequency"] == en["mse_plain"]
    assert en["highest_size"] == "10"
    assert (en["helped_size"], en["helped_inverse_frequency"]) == ("falls at sizes 18–23", "falls at no size")
    assert "best_size_frequency" not in en


@EACH_LANGUAGE
def test_the_weight_curves_are_the_formulas_where_they_are_defined(records, lang):
    plain = records["unweighted"][0]
    weighted = replace(plain, config=adjust(plain.config, loss=Loss(weighting="size-frequency", rate=10.0)))
    every = Arms("loss-modification", records | {Arm("size-frequency", 10.0): [weighted]})
    figure = loss_modification.weight_curves(every, lang=lang)
    size, size_frequency, inverse = figure.axes
    curves = [axes.get_lines() for axes in (size, size_frequency, inverse)]
    assert [len(lines) for lines in curves] == [4, 3, 2]  # the floor guards the first two
    rate_10 = dict(zip(*curves[0][2].get_data(), strict=True))
    assert rate_10[20] == pytest.approx((20 - 7) ** 10 / 10**11 + 1)
    printed = dict(zip(*curves[1][1].get_data(), strict=True))
    assert np.isnan([printed[s] for s in (10, 13)]).all()
    assert printed[14] < 0 < printed[15]
    assert printed[25] == pytest.approx(np.log(25**10 / 10**11 - 10 / 4.5))
    for lines in curves[:2]:
        assert set(lines[-1].get_ydata()) == {1.0}
        assert lines[-1].get_label() == say("floor of the weight", lang)
    sizes, weights = curves[2][1].get_data()
    molecules = plain.groups.query("kind == 'size' and part == 'train'").set_index("group")["molecules"]
    shares = [molecules[str(s)] * v for s, v in zip(sizes, weights, strict=True) if molecules[str(s)]]
    np.testing.assert_allclose(shares, shares[0])  # with α = 1 every size has the same share of the loss


def test_the_best_rates_are_those_of_all_seeds_and_of_each(records):
    assert loss_modification.best_rates(records, "size", "held_out") == [10, 10, 10, 10]
    assert loss_modification.best_rates(records, "inverse-frequency", "held_out") == [0, 0, 0, 0]
    reported = loss_modification.best_rates(records, "size", "as_reported")
    large = range(18, 24)
    for seed, rate in enumerate(reported[1:]):
        logs = {
            record.config.loss.rate: np.log10(protocols.mse(record.groups, "size").loc[large, "as_reported"]).mean()
            for record in (records[name][seed] for name in ("unweighted", "size 2", "size 10"))
        }
        assert rate == min(logs, key=logs.get)


@EACH_LANGUAGE
def test_the_figure_has_a_row_per_function_and_a_column_per_protocol(records, lang):
    figure = loss_modification.error_by_size(records, lang=lang)
    assert len(figure.axes) == 4
    for axes, protocol in zip(figure.axes[:2], ("held_out", "as_reported"), strict=True):
        line = axes.get_lines()[2]
        of_rate = loss_modification.by_rate(records, "size", lang=lang)[10].records
        means = np.mean([protocols.mse(r.groups, "size").loc[13:23, protocol] for r in of_rate], axis=0)
        np.testing.assert_allclose(line.get_ydata(), means)
        assert line.get_label() == "10"
    data = figure.data.groupby(["weighting", "rate", "n_atoms"])["mse_as_reported_eV2"].mean()
    np.testing.assert_allclose(figure.axes[1].get_lines()[2].get_ydata(), data["size", 10])
    assert len(figure.data) == len(records.runs) * len(range(13, 24))


# ---- the recorded runs


@pytest.fixture(scope="module")
def recorded(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.LossModificationParameters(), qm9_molecules)


def above(records: Arms[Record], weighting: str, rate: float) -> float:
    group = loss_modification.by_rate(records, weighting, lang="en")[rate]
    return float(np.mean(groups.of_sizes(group.records, range(18, 24))))


def test_what_the_page_says_of_large_molecules_holds_in_the_records(recorded):
    """No weight lowers their error as a whole by more than next to nothing; the largest rates raise it or leave it."""
    plain = above(recorded, "size", 0.0)
    for weighting in loss_modification.WEIGHTINGS:
        rates = loss_modification.by_rate(recorded, weighting, lang="en")
        assert min(above(recorded, weighting, rate) for rate in rates) > 0.98 * plain
    assert above(recorded, "size", 10.0) > 1.2 * plain
    assert above(recorded, "inverse-frequency", 1.0) > 1.2 * plain
    assert above(recorded, "size-frequency", 10.0) == pytest.approx(plain, rel=0.02)
    by_seed = groups.of_sizes(recorded["unweighted"], range(18, 24))
    assert np.std(by_seed, ddof=1) > 0.05 * plain
    for weighting in ("size", "size-frequency"):
        rates = loss_modification.best_rates(recorded, weighting, "as_reported")
        assert len(set(rates[1:])) > 1, "they change from seed to seed"


def test_what_the_page_says_of_sizes_that_gain_holds_in_the_records(recorded):
    """With the largest rate the sizes that gain are exactly those of the largest weights, and they are few."""
    facts = loss_modification.facts(recorded, lang="en")
    sizes = np.arange(13, 24)
    for weighting in loss_modification.WEIGHTINGS:
        rates = loss_modification.by_rate(recorded, weighting, lang="en")
        gain = groups.lower_at(rates[max(rates)], rates[0.0], "held_out", sizes.tolist())
        record = rates[max(rates)].records[0]
        counted = record.groups[(record.groups["kind"] == "size") & (record.groups["part"] == "train")]
        weights = selection.loss_weights(
            record.config.loss, np.repeat(counted["group"].astype(int), counted["molecules"]).to_numpy()
        )
        of_size = dict(zip(np.repeat(counted["group"].astype(int), counted["molecules"]), weights, strict=True))
        assert 0 < len(gain) <= 4
        assert set(gain) == set(sorted(sizes, key=lambda size: -of_size[size])[: len(gain)])
        key = weighting.replace("-", "_")
        assert facts[f"effective_{key}"] == f"{100 * weights.sum() ** 2 / (weights @ weights) / len(weights):.0f}%"


def test_small_rates_of_the_second_formula_are_the_unweighted_loss_to_the_bit(recorded):
    rates = loss_modification.by_rate(recorded, "size-frequency", lang="en")
    for rate in (2.0, 4.0):
        for one, plain in zip(rates[rate].records, rates[0.0].records, strict=True):
            np.testing.assert_array_equal(one.errors["error"], plain.errors["error"])


def test_with_own_means_the_curves_lie_on_top_of_one_another(recorded):
    for weighting in loss_modification.WEIGHTINGS:
        rates = loss_modification.by_rate(recorded, weighting, lang="en")
        curves = [
            np.log10(
                np.mean([protocols.mse(r.groups, "size").loc[13:23, "as_reported"] for r in group.records], axis=0)
            )
            for group in rates.values()
        ]
        between = np.ptp(curves, axis=0)
        assert np.ptp(curves[0]) > 10 * between.max()
