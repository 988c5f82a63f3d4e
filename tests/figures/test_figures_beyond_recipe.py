from dataclasses import replace

import numpy as np
import pytest
from made_up import arms_of
from test_figures_state_of_the_art import assert_readable

from analysis import study
from analysis.figures import beyond_recipe
from analysis.figures.words import LANGUAGES
from analysis.runs.arms import Arm, Arms
from analysis.runs.config import RunConfig
from analysis.runs.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)


def scaled(record: Record, config: RunConfig, factor: float) -> Record:
    """The record as if its run had been another one, with errors so many times as large."""
    errors = record.errors.assign(error=(record.errors["error"] * factor).astype(np.float32))
    return replace(record, config=config, errors=errors)


ARMS = [*(f"step {name}" for name in study.RECIPE), *(f"variation {name}" for name in study.VARIATIONS)]


@pytest.fixture(scope="module")
def steps(qm9_molecules) -> Arms[Record]:
    """The recipe, as if each change had taken away a fifth of the error."""
    whole = study.recorded(study.BaselineParameters(seeds=[0, 1]), qm9_molecules)["default"]

    def record(arm: Arm, config: RunConfig) -> Record:
        return scaled(whole[config.seed], config, 0.8 ** ["default", *ARMS].index(arm))

    return arms_of(study.RecipeParameters(seeds=[0, 1]), qm9_molecules, record)


@EACH_LANGUAGE
def test_every_change_of_the_recipe_has_its_bar(steps, lang):
    found = beyond_recipe.by_change(steps, lang=lang)
    assert list(found) == ["default", *ARMS]
    assert all([record.config.seed for record in group.records] == [0, 1] for group in found.values())
    assert len({group.name for group in found.values()}) == len(found)
    figure = beyond_recipe.waterfall(steps, lang=lang)
    assert_readable(figure)
    rows = figure.data[figure.data["seed"] == 0]["validation_mae_meV"].to_numpy()
    np.testing.assert_allclose(rows[1:] / rows[:-1], 0.8, rtol=1e-5)


@EACH_LANGUAGE
def test_the_facts_of_the_recipe(steps, lang):
    found = beyond_recipe.facts(steps, lang=lang)
    changes = {"default", *study.RECIPE, *study.VARIATIONS}
    assert found.keys() == {
        "recipe_seeds",
        "recipe_epochs",
        *(f"recipe_{key}" for key in changes),
        *(f"recipe_share_{key}" for key in changes - {"default"}),
    }
    assert {found[f"recipe_share_{key}"][:2] for key in study.RECIPE} == {"80"}
    # The second variation is compared with the last step too, not with the first one.
    assert found["recipe_share_squared"][:2] == "64"
    assert found["recipe_seeds"] == "2"


@pytest.mark.parametrize(
    "asked", [{"profile": "quick"}, {"profile": "smoke", "learning_rate": 0.01}, {"batch_size": 50}]
)
def test_whatever_is_asked_for_every_change_is_there(steps, qm9_molecules, asked):
    """Even one that is none, as that of the batches if all have one size."""
    whole = steps["default"][0]
    parameters = study.RecipeParameters(seeds=[0], **asked)
    found = beyond_recipe.by_change(
        arms_of(parameters, qm9_molecules, lambda _, config: replace(whole, config=config)), lang="en"
    )
    assert list(found) == ["default", *ARMS]


@EACH_LANGUAGE
def test_the_table_has_what_is_left_of_the_error(steps, lang):
    table = beyond_recipe.summary(steps, lang=lang)
    assert len(table) == 1 + len(study.RECIPE) + len(study.VARIATIONS)
    left = [cell[:2] for cell in table.iloc[:, 1]]
    assert left[: 1 + len(study.RECIPE)] == ["", *["80"] * len(study.RECIPE)]
    assert left[1 + len(study.RECIPE) :][:2] == ["80", "64"]
    of_default = [
        1000
        * float(steps["default"][0].errors["error"][~steps["default"][0].errors["test"]].astype(float).abs().mean())
    ]
    assert float(table.iloc[0, 0].partition(" ± ")[0].replace(",", ".")) == pytest.approx(of_default[0], rel=0.2)
