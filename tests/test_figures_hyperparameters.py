import numpy as np
import pandas as pd
import pytest

from analysis.figures import hyperparameters, labels, style

EACH_LANGUAGE = pytest.mark.parametrize("lang", labels.LANGUAGES)
STAGE = hyperparameters.REPORT["stage1"]


@pytest.fixture
def trials() -> pd.DataFrame:
    """Six trials: two dominated, one pruned, one run twice, one the report's."""
    rows = [
        ("a", "complete", 64, 1e-3, 0.020, 300.0),
        ("b", "complete", 512, 1e-3, 0.030, 100.0),
        ("c", "complete", 512, 1e-2, 0.050, 120.0),
        ("d", "complete", 1024, 1e-4, 0.200, 60.0),
        ("a", "complete", 64, 1e-3, 0.020, 300.0),
        ("", "pruned", 128, 1e-3, np.nan, np.nan),
    ]
    frame = pd.DataFrame(rows, columns=["run", "state", "batch_size", "learning_rate", "validation_mse", "seconds"])
    return frame.assign(number=range(len(rows)), epochs=30, done=30, said="")


@EACH_LANGUAGE
def test_the_pareto_plot_has_every_complete_trial_once_and_both_choices(trials, lang):
    figure = hyperparameters.pareto(trials, STAGE, lang=lang)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    points = [line for name, line in lines.items() if name.startswith(labels.label("batch_size", lang))]
    assert sorted(len(line.get_xdata()) for line in points) == [1, 1, 2]
    front = lines[labels.label("front", lang)]
    assert front.get_xdata().tolist() == pytest.approx([1, 100 / 60, 5])
    assert front.get_ydata().tolist() == [0.2, 0.03, 0.02]
    assert lines[labels.label("our_choice", lang)].get_ydata().tolist() == [0.02]
    assert lines[labels.label("report_choice", lang)].get_ydata().tolist() == [0.03]
    assert figure.alt == labels.alt("pareto", lang)


def test_without_the_reports_trial_there_is_no_mark_for_it(trials):
    others = trials[trials["run"] != "b"]
    figure = hyperparameters.pareto(others, STAGE, lang="en")
    assert labels.label("report_choice", "en") not in [line.get_label() for line in figure.axes[0].get_lines()]
    assert hyperparameters.of_report(trials, STAGE)["run"].tolist() == ["b"]


@EACH_LANGUAGE
def test_a_plot_per_hyperparameter(trials, lang):
    figure = hyperparameters.effects(trials, list(STAGE), lang=lang)
    assert [axes.get_xlabel() for axes in figure.axes] == [labels.label(name, lang) for name in STAGE]
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log"]
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == 4
    assert isinstance(figure, style.BookFigure)


def test_the_table_of_the_front(trials):
    table = hyperparameters.front_table(trials, list(STAGE), lang="en")
    assert table.index.tolist() == ["d", "b", "a"]
    assert table["Batch size"].tolist() == ["1,024", "512", "64"]
    assert table["Learning rate"].tolist() == ["0.0001", "0.001", "0.001"]
    assert table["Validation MSE (eV²)"].tolist() == ["0.2000", "0.0300", "0.0200"]
