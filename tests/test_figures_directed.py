import numpy as np
import pytest

from analysis import errors, runs, study
from analysis.figures import directed, groups, labels

EACH_LANGUAGE = pytest.mark.parametrize("lang", labels.LANGUAGES)


@pytest.fixture(scope="module")
def records(qm9_molecules) -> list[runs.Record]:
    """What the book shows; a test that had to train them would be wrong."""
    data, folder = qm9_molecules.fingerprint(), runs.results_folder()
    configs = study.DirectedTrainingParameters().configs(qm9_molecules)
    return [runs.load(folder / config.experiment / config.run_id(data), expected=config) for config in configs]


def test_the_training_sets_and_their_seeds(records):
    whole, large, control = directed.by_training_set(records, lang="en")
    assert [[record.config.seed for record in group.records] for group in (whole, large, control)] == [[0, 1, 2]] * 3
    assert large.name == "only those of more than 17 atoms"
    assert groups.training_molecules(large.records) == groups.training_molecules(control.records)
    assert groups.training_molecules(whole.records) > 1.5 * groups.training_molecules(large.records)


def test_what_is_missing_is_said(records):
    whole = [record for record in records if record.config.experiment == "baseline"]
    with pytest.raises(ValueError, match="no record of a directed training"):
        directed.by_training_set(whole, lang="en")
    with pytest.raises(ValueError, match="no record of 'the whole training part'"):
        directed.by_training_set([record for record in records if record not in whole], lang="en")
    without_control = [record for record in records if not record.config.data.selection.random_control]
    assert len(directed.by_training_set(without_control, lang="en")) == 2


def test_errors_on_either_side_are_those_of_the_molecules_themselves(records):
    table = directed.summary(records, lang="en")
    for group in directed.by_training_set(records, lang="en"):
        below, above = [], []
        for record in group.records:
            atoms = record.errors["n_atoms"].to_numpy()
            squared = record.errors["error"].to_numpy(float) ** 2
            below.append(squared[atoms <= 17].mean())
            above.append(squared[atoms > 17].mean())
        row = table.loc[group.name]
        for column, values in (("MSE, up to 17 atoms (eV²)", below), ("MSE, more than 17 atoms (eV²)", above)):
            assert row[column] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def test_what_the_page_says_holds_in_the_records(records):
    """The prose around the numbers: the ratio to the whole part is far from 1, that to the control is not."""
    _, large, control = directed.by_training_set(records, lang="en")
    facts = directed.facts(records, lang="en")
    assert float(facts["ratio_whole"]) > 1.2
    sizes = range(18, 30)
    values = [groups.of_sizes(group.records, sizes) for group in (large, control)]
    assert abs(np.mean(values[0]) - np.mean(values[1])) < max(np.std(each, ddof=1) for each in values)
    assert float(facts["below_large"].split()[0]) > 1.5 * float(facts["below_control"].split()[0])
    assert facts["better_whole_held_out"] == "none"
    assert facts["better_whole_as_reported"] == "20–25"


def test_the_facts_are_the_same_in_both_languages(records):
    ca, en = (directed.facts(records, lang=lang) for lang in labels.LANGUAGES)
    assert ca.keys() == en.keys()
    assert ca["above_large"] == en["above_large"].replace(".", ",")


@EACH_LANGUAGE
def test_the_figure_has_both_protocols_and_every_training_set(records, lang):
    figure = directed.error_by_size(records, lang=lang)
    upper, lower = figure.axes
    assert [axes.get_title() for axes in (upper, lower)] == [labels.label(p, lang) for p in ("held_out", "as_reported")]
    shown = directed.by_training_set(records, lang=lang)
    for axes, protocol in ((upper, "held_out"), (lower, "as_reported")):
        for line, group in zip(axes.get_lines(), shown, strict=True):
            assert line.get_label() == group.name
            means = np.mean([errors.mse(r.groups, "size").loc[10:25, protocol] for r in group.records], axis=0)
            np.testing.assert_allclose(line.get_ydata(), means)
    assert figure.alt == labels.alt("directed_training", lang)
