import numpy as np
import pytest

from analysis import study
from analysis.data import thesis
from analysis.evaluation import decomposition
from analysis.figures import explorer, final_comparison
from analysis.figures.words import LANGUAGES
from analysis.runs import protocols
from analysis.runs.records import Record

SIZES = list(thesis.COMMON_SIZES)


@pytest.fixture(scope="module")
def models(qm9_molecules) -> dict[str, list[Record]]:
    return final_comparison.by_model(study.recorded(study.FinalComparisonParameters(), qm9_molecules))


def test_the_ends_of_the_slider_are_the_two_means(models):
    for records in models.values():
        for record in records:
            sums = record.groups[record.groups["kind"] == "size"]
            whole = sums.groupby(sums["group"].astype(int))[["molecules", "sum_ee"]].sum()
            start, end = (decomposition.with_mean_at(record.groups, "size", share) for share in (0, 1))
            np.testing.assert_allclose(start, whole["sum_ee"] / whole["molecules"], rtol=1e-9)
            np.testing.assert_allclose(end, protocols.mse(record.groups, "size")["as_reported"], rtol=1e-12)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_figure_shows_each_position_of_each_model(models, lang):
    figure = explorer.sliding_mean(models, lang=lang)
    for axes, name in zip(figure.axes, final_comparison.MODELS, strict=True):
        assert len(axes.lines) == len(explorer.SHARES)
        for share, line in zip(explorer.SHARES, axes.lines, strict=True):
            each = [decomposition.with_mean_at(record.groups, "size", share).loc[SIZES] for record in models[name]]
            np.testing.assert_allclose(line.get_ydata(), np.mean(each, axis=0), rtol=1e-5)
    assert set(figure.data["run"]) == {record.id for records in models.values() for record in records}


def test_the_scripts_terms_add_up_to_the_curves(models, qm9_molecules):
    data = explorer.slider(models, qm9_molecules)
    for name, terms in data["models"].items():
        for k, record in enumerate(models[name]):
            network, cross, offset = (np.array(terms[term][k]) for term in ("network", "cross", "offset"))
            expected = decomposition.with_mean_at(record.groups, "size", 0.3).loc[SIZES]
            np.testing.assert_allclose(network + 0.3 * cross + 0.09 * offset, expected, rtol=1e-4)


def test_models_tested_on_different_molecules_are_refused(models, qm9_molecules):
    fewer = [type(record)(**{**vars(record), "errors": record.errors[:-2]}) for record in models["custom"]]
    with pytest.raises(ValueError, match="default, custom were not tested on the same molecules"):
        explorer.explorer({**models, "custom": fewer}, qm9_molecules)
