from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import arms_of, only
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.evaluation import accuracy
from analysis.figures import beyond_learning_curve
from analysis.figures.words import LANGUAGES
from analysis.runs.arms import Arm, Arms
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


def scaled(record: Record, config: RunConfig, factor: float) -> Record:
    """The record as if its run had been another one, with errors so many times as large."""
    errors = record.errors.assign(error=(record.errors["error"] * factor).astype(np.float32))
    return replace(record, config=config, errors=errors)


@pytest.fixture(scope="module")
def curve(qm9_molecules) -> Arms[Record]:
    """The learning curve, as if the error fell with the power −0.4 of the number of training molecules."""
    whole = study.recorded(study.BaselineParameters(seeds=[0, 1]), qm9_molecules)["default"]

    def record(arm: Arm, config: RunConfig) -> Record:
        found = scaled(whole[config.seed], config, 8 / arm.value**0.4)
        counts = found.about["molecules"] | {"train": arm.value}
        return replace(found, about=found.about | {"molecules": counts})

    return arms_of(study.LearningCurveParameters(seeds=[0, 1]), qm9_molecules, record)


@EACH_LANGUAGE
def test_the_learning_curve_has_a_point_per_run(curve, lang):
    figure = beyond_learning_curve.curve(curve, lang=lang)
    assert_readable(figure)
    ours = figure.data[figure.data["series"] == "Beyond"]
    assert {"SchNet (2017)", "HIP-NN (2018)"} < set(figure.data["series"])
    means = ours.groupby("molecules")["mae_meV"].mean()
    assert isinstance(means, pd.Series)
    assert means.index.tolist() == [1000, 2000, 5000, 10_000, 20_000, 50_000, 104_664]
    assert (means.diff().dropna() < 0).all()


@EACH_LANGUAGE
def test_the_facts_of_the_learning_curve(curve, lang):
    found = {key: said.replace(",", ".") for key, said in beyond_learning_curve.facts(curve, lang=lang).items()}
    assert found["curve_seeds"] == "2"
    assert found["curve_power"] == "−0.40"
    assert found["curve_doubled"][:2] == "24"  # 1 − 2^−0.4
    assert found["curve_mae_whole"] == found["curve_mae_104664"]
    mae = 1000 * np.mean([accuracy.scores(record).mae for record in curve["molecules 10000"]])
    assert float(found["curve_mae_10000"]) == pytest.approx(mae, abs=0.5)
    numbers = {record.about["molecules"]["train"]: accuracy.scores(record).mae for record in curve.runs}
    assert found["curve_accurate"].replace(".", "") == str(min(n for n, mae in numbers.items() if mae < 0.0434))
    alone = beyond_learning_curve.facts(only(curve, lambda arm: arm == "molecules 1000", seeds=1), lang=lang)
    assert alone["curve_power"] == alone["curve_doubled"] == alone["curve_accurate"] == "–"


@EACH_LANGUAGE
def test_the_table_has_the_scores_of_each_number(curve, lang):
    table = beyond_learning_curve.summary(curve, lang=lang)
    assert [name.replace(".", "").replace(",", "") for name in table.index] == [
        "1000",
        "2000",
        "5000",
        "10000",
        "20000",
        "50000",
        "104664",
    ]
    of_few = curve["molecules 1000"]
    assert table.iloc[0, 0] == str(of_few[0].config.training.epochs)
    rmse = 1000 * np.mean([accuracy.scores(record).rmse for record in of_few])
    assert float(table.iloc[0, 2].partition(" ± ")[0].replace(",", ".")) == pytest.approx(rmse, abs=0.06)
