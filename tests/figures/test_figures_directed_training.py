import numpy as np
import pytest
from made_up import only

from analysis import study
from analysis.figures import directed_training, groups
from analysis.figures.words import LANGUAGES, say
from analysis.runs import protocols
from analysis.runs.arms import Arms, MissingArmError
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


@pytest.fixture(scope="module")
def records(qm9_molecules) -> Arms[Record]:
    """What the book shows; a test that had to train them would be wrong."""
    return study.recorded(study.DirectedTrainingParameters(), qm9_molecules)


def shown(records: Arms[Record], lang: str = "en") -> dict[str, groups.Group]:
    (kinds,) = directed_training.by_training_set(records, lang=lang).values()
    return {"whole": groups.of_baseline(records, lang=lang)} | kinds


def updates(group: groups.Group) -> int:
    return int(group.records[0].steps["step"].iloc[-1])


def test_the_training_sets_and_their_seeds(records):
    found = shown(records)
    assert list(found) == ["whole", "chosen", "random", "chosen_longer", "random_longer"]
    assert all([record.config.seed for record in group.records] == [0, 1, 2] for group in found.values())
    assert found["chosen"].name == "more than 17 atoms"
    assert len({groups.training_molecules(found[kind].records) for kind in list(found)[1:]}) == 1
    assert groups.training_molecules(found["whole"].records) > 1.5 * groups.training_molecules(found["chosen"].records)
    for kind in ("chosen_longer", "random_longer"):
        assert updates(found[kind]) == pytest.approx(updates(found["whole"]), rel=0.01)


def test_what_is_missing_is_reported(records):
    with pytest.raises(MissingArmError, match="no record of the arm 'more than', only of default"):
        directed_training.by_training_set(only(records, lambda arm: arm == "default"), lang="en")
    with pytest.raises(MissingArmError, match="no record of the arm 'default'"):
        directed_training.summary(only(records, lambda arm: arm != "default"), lang="en")
    without_controls = only(records, lambda arm: not (arm.random or arm.same_updates))
    assert list(directed_training.by_training_set(without_controls, lang="en")[18]) == ["chosen"]
    with pytest.raises(MissingArmError, match="no record of the arm 'more than 17, random control', only of"):
        directed_training.facts(without_controls, lang="en")
    with pytest.raises(MissingArmError, match="no record of the arm 'more than 17', only of"):
        directed_training.by_training_set(only(records, lambda arm: arm.random), lang="en")


def test_errors_on_either_side_are_those_of_the_molecules_themselves(records):
    table = directed_training.summary(records, lang="en")
    assert table["Epochs"].tolist() == ["30", "30", "30", "52", "52"]
    for group in shown(records).values():
        below, above = [], []
        for record in group.records:
            atoms = record.errors["n_atoms"].to_numpy()
            squared = record.errors["error"].to_numpy(float) ** 2
            below.append(squared[atoms <= 17].mean())
            above.append(squared[atoms > 17].mean())
        row = table.loc[group.name]
        for column, values in (("MSE, up to 17 atoms (eV²)", below), ("MSE, more than 17 atoms (eV²)", above)):
            assert row[column] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def mean(group: groups.Group, sizes: range) -> float:
    return float(np.mean(groups.of_sizes(group.records, sizes)))


def test_what_the_page_says_of_epochs_and_updates_holds_in_the_records(records):
    """With the same epochs fewer molecules are worse, whichever; with the same updates they are as good as all."""
    found, large = shown(records), range(18, 30)
    whole, chosen, drawn, chosen_longer, drawn_longer = (mean(group, large) for group in found.values())
    assert chosen > 1.3 * whole
    assert chosen == pytest.approx(drawn, rel=0.05)
    assert chosen_longer == pytest.approx(whole, rel=0.1)
    assert drawn_longer == pytest.approx(whole, rel=0.1)
    facts = directed_training.facts(records, lang="en")
    assert facts["ratio_chosen_whole"] == f"{chosen / whole:.2f}"
    assert facts["ratio_chosen_longer_whole"] == f"{chosen_longer / whole:.2f}"


def test_what_the_page_says_of_directing_holds_in_the_records(records):
    """With the same updates a small gain above 19 atoms, a small loss at 18 and 19, a large one below."""
    found = shown(records)
    for name in ("whole", "random_longer"):
        far, near, below = (
            mean(found["chosen_longer"], sizes) / mean(found[name], sizes)
            for sizes in (range(20, 30), range(18, 20), range(1, 18))
        )
        assert 0.7 < far < 1 < near < 1.3
        assert below > 1.5
    facts = directed_training.facts(records, lang="en")
    assert facts["better_chosen_whole_held_out"] == "is better at no size"
    assert facts["better_chosen_whole_as_reported"] == "is better at sizes 20–25"


def test_the_facts_are_the_same_in_both_languages(records):
    ca, en = (directed_training.facts(records, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert ca["above_chosen"] == en["above_chosen"].replace(".", ",")


@EACH_LANGUAGE
def test_the_figure_has_both_protocols_and_every_training_set(records, lang):
    figure = directed_training.error_by_size(records, lang=lang)
    upper, lower = figure.axes
    assert [axes.get_title() for axes in (upper, lower)] == [
        say(title, lang)
        for title in ("held-out molecules, the training set’s mean", "the whole set, with its own mean")
    ]
    assert len(upper.get_lines()) == 5
    for axes, protocol in ((upper, "held_out"), (lower, "as_reported")):
        for line, group in zip(axes.get_lines(), shown(records, lang).values(), strict=True):
            assert line.get_label() == group.name
            means = np.mean([protocols.mse(r.groups, "size").loc[10:25, protocol] for r in group.records], axis=0)
            np.testing.assert_allclose(line.get_ydata(), means)
    assert figure.data["series"].drop_duplicates().tolist() == [group.name for group in shown(records, lang).values()]
