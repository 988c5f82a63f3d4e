from dataclasses import replace

import numpy as np
import pytest
from test_figures import assert_readable

from analysis import study
from analysis.config import RunConfig, adjust
from analysis.figures import labels, recipe
from analysis.records import Record

EACH_LANGUAGE = pytest.mark.parametrize("lang", labels.LANGUAGES)


def scaled(record: Record, config: RunConfig, factor: float) -> Record:
    """The record as if its run had been another one, with errors so many times as large."""
    errors = record.errors.assign(error=(record.errors["error"] * factor).astype(np.float32))
    return replace(record, config=config, errors=errors)


@pytest.fixture(scope="module")
def whole(qm9_molecules) -> dict[int, Record]:
    """The records of Default by seed."""
    return {r.config.seed: r for r in study.recorded(study.BaselineParameters(seeds=[0, 1]), qm9_molecules)}


@pytest.fixture(scope="module")
def steps(whole, qm9_molecules) -> list[Record]:
    """The recipe, as if each change had taken away a fifth of the error."""
    configs = study.RecipeParameters(seeds=[0, 1]).configs(qm9_molecules)
    per_seed = len(configs) // 2
    return [scaled(whole[c.seed], c, 0.8 ** (k % per_seed)) for k, c in enumerate(configs)]


@EACH_LANGUAGE
def test_every_change_of_the_recipe_has_its_bar(steps, lang):
    found = recipe.by_change(steps, lang=lang)
    assert list(found) == ["default", *study.RECIPE, *study.VARIATIONS]
    assert all([record.config.seed for record in group.records] == [0, 1] for group in found.values())
    assert len({group.name for group in found.values()}) == len(found)
    figure = recipe.waterfall(steps, lang=lang)
    assert_readable(figure)
    rows = figure.data[figure.data["seed"] == 0]["validation_mae_meV"].to_numpy()
    np.testing.assert_allclose(rows[1:] / rows[:-1], 0.8, rtol=1e-5)


@EACH_LANGUAGE
def test_the_facts_of_the_recipe(steps, lang):
    found = recipe.facts(steps, lang=lang)
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


def test_a_run_of_a_profile_is_found_too(steps, qm9_molecules):
    """Profiles have epochs and a learning rate of their own; whoever asks for batches of one size loses that step."""
    for asked in ({"profile": "quick"}, {"profile": "smoke", "learning_rate": 0.01}):
        configs = study.RecipeParameters(seeds=[0], **asked).configs(qm9_molecules)
        found = recipe.by_change([replace(steps[0], config=config) for config in configs], lang="en")
        assert list(found) == ["default", *study.RECIPE, *study.VARIATIONS]
        assert all(len(group.records) == 1 for group in found.values())
    configs = study.RecipeParameters(seeds=[0], batch_size=50).configs(qm9_molecules)
    found = recipe.by_change([replace(steps[0], config=config) for config in configs], lang="en")
    assert list(found) == [key for key in ("default", *study.RECIPE, *study.VARIATIONS) if key != "batch"]


def test_a_run_of_another_recipe_is_refused(steps):
    other = replace(steps[2], config=adjust(steps[2].config, training={"warm_up": 0.3}))
    with pytest.raises(ValueError, match="is no step of the recipe"):
        recipe.by_change([other], lang="en")


@EACH_LANGUAGE
def test_the_table_has_what_is_left_of_the_error(steps, lang):
    table = recipe.summary(steps, lang=lang)
    assert len(table) == 1 + len(study.RECIPE) + len(study.VARIATIONS)
    left = [cell[:2] for cell in table.iloc[:, 1]]
    assert left[: 1 + len(study.RECIPE)] == ["", *["80"] * len(study.RECIPE)]
    assert left[1 + len(study.RECIPE) :][:2] == ["80", "64"]
    of_default = [1000 * float(steps[0].errors["error"][~steps[0].errors["test"]].astype(float).abs().mean())]
    assert float(table.iloc[0, 0].partition(" ± ")[0].replace(",", ".")) == pytest.approx(of_default[0], rel=0.2)
