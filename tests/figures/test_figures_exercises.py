"""The exercises: a reader who reads the CSV under a figure, or reruns a notebook, comes to the solution's number."""

import csv
import io
import math
import re
import shlex
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import nbformat
import pytest
from bs4 import BeautifulSoup

from analysis import study
from analysis.evaluation import error_sources
from analysis.evaluation import prediction_intervals as intervals
from analysis.evaluation.verdicts import confirmation as judging
from analysis.figures import (
    artefact,
    balancing,
    baseline,
    beyond,
    beyond_learning_curve,
    beyond_recipe,
    confirmation,
    directed_training,
    error_drivers,
    exercises,
    final_comparison,
    forces,
    hyperparameters,
    large_molecules,
    loss_modification,
    model_card,
    predictions,
    preregistration,
    replication,
    state_of_the_art,
    structures,
)
from analysis.figures.words import LANGUAGES
from analysis.runs import records
from analysis.study import search, sweeps
from analysis.study.parameters import ParameterError
from tools import rerun

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
RERUNS = ("baseline", "final-comparison", "loss-modification")
"""The chapters with an exercise that a `make rerun` answers."""


def rows(figure) -> list[dict[str, str]]:
    """What a reader downloads, read without pandas."""
    return list(csv.DictReader(io.StringIO(figure.csv())))


def means(table: list[dict[str, str]], group: str, column: str) -> dict[float, float]:
    found = defaultdict(list)
    for row in table:
        found[float(row[group])].append(float(row[column]))
    return {key: fmean(values) for key, values in found.items()}


def of_series(table: list[dict[str, str]], place: int) -> list[dict[str, str]]:
    names = list(dict.fromkeys(row["series"] for row in table))
    return [row for row in table if row["series"] == names[place]]


def asked_of_make(lang: str, page: str) -> list[str]:
    """Notebook and options of the `make rerun` that a chapter's exercise asks for."""
    text = (BOOK / lang / f"{page}.md").read_text(encoding="utf-8")
    ((notebook, options),) = re.findall(r"^make rerun NOTEBOOK=(\w+) ARGS='(.*)'$", text, re.MULTILINE)
    return [notebook, *shlex.split(options)]


@pytest.fixture
def table_of_rerun(monkeypatch, tmp_path) -> Callable[[str, str], list[list[str]]]:
    """Do what a chapter's exercise says, without any training; gives the table with a heading, as it is shown."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("IPYTHONDIR", str(ROOT / "tools" / "ipython"))  # as the Makefile does

    def run(page: str, heading: str) -> list[list[str]]:
        before = set(records.results_folder().glob("*/*/run.json"))
        notebook, *options = asked_of_make("en", page)
        assert rerun.main([notebook, *options], tmp_path) == 0
        assert set(records.results_folder().glob("*/*/run.json")) == before
        cells = nbformat.read(tmp_path / f"{notebook}.ipynb", as_version=4).cells
        pages = [output.data.get("text/html", "") for cell in cells for output in cell.get("outputs", ())]
        tables = [
            [list(row.stripped_strings) for row in BeautifulSoup(page, "html.parser").select("tr")] for page in pages
        ]
        return next(table for table in tables if table and heading in table[0])

    return run


@pytest.mark.parametrize("page", RERUNS)
def test_both_languages_ask_for_the_same_rerun(page):
    assert [*asked_of_make("ca", page), "-p", "lang", "en"] == asked_of_make("en", page)


def recorded(name: str, molecules):
    return study.recorded(study.EXPERIMENTS[name](), molecules)


def test_of_the_census(qm9_molecules):
    histogram = state_of_the_art.size_histogram(qm9_molecules, lang="en")
    heat_map = state_of_the_art.element_size_heatmap(qm9_molecules, lang="en")
    counts = {int(row["n_atoms"]): int(row["molecules"]) for row in rows(histogram)}
    found = exercises.state_of_the_art(histogram.data, heat_map.data, lang="en")
    assert found["middle"] == f"{100 * sum(counts[size] for size in (17, 18, 19)) / sum(counts.values()):.0f}%"
    fluorine = [row for row in rows(heat_map) if row["element"] == "F"]
    assert found["fluorine"] == max(fluorine, key=lambda row: float(row["share_of_row"] or 0))["n_atoms"]


def test_of_the_search(qm9_molecules):
    stages = [
        search.load_or_search(sweeps.load_sweep(n), search.SearchParameters(), qm9_molecules)
        for n in ("stage1", "stage2")
    ]
    first, second = (
        hyperparameters.pareto(stage, name, lang="en")
        for stage, name in zip(stages, ("batch_size", "data_cutoff"), strict=True)
    )
    found = exercises.hyperparameters(first.data, second.data, lang="en")
    of_batch = defaultdict(list)
    for row in rows(first):
        of_batch[int(float(row["batch_size"]))].append(float(row["validation_mse_eV2"]))
    assert found["batches"] == f"{median(of_batch[1024]) / median(of_batch[64]):.1f}"
    best = min(rows(second), key=lambda row: float(row["validation_mse_eV2"]))
    assert found["features"] == f"{float(best['n_atom_basis']):.0f}"


def test_of_the_baseline(qm9_molecules, table_of_rerun):
    of_default = recorded("baseline", qm9_molecules)["default"]
    curves = baseline.learning_curves(of_default, lang="en")
    worst = structures.worst(of_default, qm9_molecules, lang="en", size=18)
    found = exercises.baseline(curves.data, worst, lang="en")
    losses = means(rows(curves), "epoch", "validation_loss_eV2")
    assert found["epoch"] == str(int(min(epoch for epoch, loss in losses.items() if loss <= 0.0643)))
    heading, first, *others = table_of_rerun("baseline", "QM9 index")
    assert [found["index"], found["formula"]] == first[:2]
    errors = [float(row[heading.index("Mean absolute error (meV)")].replace(",", "")) for row in (first, *others)]
    assert len(errors) > 1
    assert errors[0] == max(errors)


def test_of_balancing(qm9_molecules):
    records = recorded("balancing", qm9_molecules)
    sizes, spread = balancing.capped_sizes(records, lang="en"), balancing.unevenness(records, lang="en")
    found = exercises.balancing(sizes.data, spread.data, lang="en")
    of_18 = {row["series"]: int(row["training_molecules"]) for row in rows(sizes) if row["n_atoms"] == "18"}
    assert found["left"] == f"{100 * of_18['at most 2,000 per size'] / of_18['the whole training part']:.0f}%"
    ours, drawn = (
        [float(row["spread_held_out"]) for row in rows(spread) if row["series"] == name]
        for name in ("at most 2,000 per size", "random, as many as with 2,000")
    )
    assert found["even"] == str(sum(value < min(drawn) for value in ours))


def test_of_the_loss(qm9_molecules):
    weights = loss_modification.weight_curves(recorded("loss-modification", qm9_molecules), lang="en")
    found = exercises.loss_modification(weights.data, lang="en")
    strongest = [row for row in rows(weights) if float(row["rate"]) == 10]
    by_size = {row["n_atoms"]: float(row["weight"]) for row in strongest if row["weighting"] == "size"}
    assert found["times"] == f"{by_size['23'] / by_size['13']:,.0f}"
    without_floor = {"weightings": ["size-frequency"], "rates": [10], "alphas": [], "floor": None, "profile": "smoke"}
    asked = [study.LossModificationParameters(**without_floor, smallest=int(found["from"]) - less) for less in (0, 1)]
    assert len(asked[0].configs(qm9_molecules)) == 6  # two losses, three seeds
    with pytest.raises(ParameterError, match=f"at s = {asked[1].smallest} atoms"):
        asked[1].configs(qm9_molecules)


def test_the_rerun_without_a_floor_is_refused(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("IPYTHONDIR", str(ROOT / "tools" / "ipython"))
    monkeypatch.setenv("COMPENDIUM_RESULTS", str(tmp_path / "results"))
    assert rerun.main(asked_of_make("en", "loss-modification"), tmp_path) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("ParameterError: ")
    assert re.search(r"at s = 1[34] atoms and rate r = 10", last)


def test_of_directed_training(qm9_molecules):
    figure = directed_training.error_by_size(recorded("directed-training", qm9_molecules), lang="en")
    found = exercises.directed_training(figure.data, lang="en")
    whole, longer = (
        [row for row in rows(figure) if row["series"] == name]
        for name in ("the whole training part", "more than 17 atoms, same updates")
    )
    at_10 = [means(table, "n_atoms", "mse_held_out_eV2")[10] for table in (longer, whole)]
    assert found["times"] == f"{at_10[0] / at_10[1]:.0f}"
    at_20 = [{r["seed"]: float(r["mse_held_out_eV2"]) for r in t if r["n_atoms"] == "20"} for t in (longer, whole)]
    assert found["seeds"] == str(sum(value < at_20[1][seed] for seed, value in at_20[0].items()))
    assert found["of"] == str(len(at_20[0]))


def test_of_the_final_comparison(qm9_molecules, table_of_rerun):
    steps = final_comparison.steps(recorded("default-to-custom", qm9_molecules), lang="en")
    found = exercises.final_comparison(steps.data, lang="en")
    heading, default, custom = table_of_rerun("final-comparison", "MSE, the whole 20% (eV²)")
    column = heading.index("MSE, the whole 20% (eV²)")
    assert float(found["single"]) == pytest.approx(float(custom[column]) / float(default[column]), abs=0.06)
    of_both = [{row["seed"]: float(row["mse_eV2"]) for row in of_series(rows(steps), place)} for place in (5, 0)]
    others = [f"{of_both[0][seed] / of_both[1][seed]:.1f}" for seed in ("1", "2")]
    assert found["others"] == " and ".join(others)
    errors = [fmean(float(row["mse_eV2"]) for row in of_series(rows(steps), place)) for place in range(6)]
    assert found["factor"] == f"{max(after / before for before, after in pairwise(errors)):.1f}"


def test_of_the_artefact(qm9_molecules):
    terms = artefact.terms_by_size(recorded("final-comparison", qm9_molecules), lang="en")
    found = exercises.artefact(terms.data, lang="en")
    default, custom = ([row for row in rows(terms) if row["series"] == name] for name in ("Default", "Custom"))
    errors = means(custom, "n_atoms", "as_reported_eV2")
    best = min(errors, key=errors.get)
    assert found == {
        "best": f"{best:.0f}",
        "shift": f"{abs(1e3 * means(default, 'n_atoms', 'shift_eV_per_atom')[best]):.0f}",
    }


def test_of_the_preregistration(qm9_molecules):
    names = ("final-comparison", "directed-training", "balancing", "beyond")
    arms = preregistration.drifting(*(recorded(name, qm9_molecules) for name in names), lang="en")
    figure = preregistration.drift_by_arm(arms, lang="en")
    found = exercises.preregistration(figure.data, lang="en")
    for key, decimals in (("default", 0), ("beyond", 1)):
        values = [float(row["per_atom_meV"]) for row in rows(figure) if row["arm"] == key.capitalize()]
        assert found[key] == f"{18 * (max(values) - min(values)):,.{decimals}f}"


def test_of_the_second_judgement(qm9_molecules):
    arms = recorded("confirmation", qm9_molecules).on(None)
    claims = ("h4_same_updates", "general_mse", "custom_by_size")
    figure = confirmation.forest(judging.judged(arms, qm9_molecules, claims), lang="en")
    width = {(row["claim"], row["end"]): float(row["high"]) / float(row["low"]) - 1 for row in rows(figure)}
    times = {claim: width[claim, "last"] / width[claim, "settled"] for claim in claims}
    assert exercises.confirmation(figure.data, lang="en") == {
        "narrower": f"{times['h4_same_updates']:.1f}",
        "claims": str(sum(value > 1 for value in times.values())),
        "of": str(len(claims)),
    }


def test_of_beyond(qm9_molecules):
    budget = beyond.budget(recorded("beyond", qm9_molecules), lang="en")
    curve = beyond_learning_curve.curve(
        study.recorded(study.LearningCurveParameters(seeds=[0, 1]), qm9_molecules), lang="en"
    )
    found = exercises.beyond(budget.data, curve.data, lang="en")
    ours = [row for row in rows(budget) if row["run"]]
    accurate = 1000 * 0.0433641  # 1 kcal/mol in meV
    assert found["minutes"] == f"{min(float(r['minutes']) for r in ours if float(r['mae_meV']) < accurate):.1f}"
    errors = means([row for row in rows(curve) if row["run"]], "molecules", "mae_meV")
    few, many = sorted(errors)[-2:]
    power = math.log(errors[many] / errors[few]) / math.log(many / few)
    assert found["power"] == f"{power:.2f}".replace("-", "−")


def test_of_what_drives_the_error():
    figure = error_drivers.errors_by_size(error_sources.load("default"), lang="en")
    found = exercises.error_drivers(figure.data, lang="en")
    roots = [{**row, "rmse": str(float(row["mse_eV2"]) ** 0.5)} for row in rows(figure)]
    for name, column in (("root", "rmse"), ("median", "median_error_eV")):
        of_sizes = means(roots, "n_atoms", column)
        assert found[name] == f"{of_sizes[10] / of_sizes[25]:.1f}"


def test_of_large_molecules(qm9_molecules):
    figure = large_molecules.trade_off(recorded("large-molecules", qm9_molecules), lang="en")
    found = exercises.large_molecules(figure.data, lang="en")
    names = list(dict.fromkeys(row["series"] for row in rows(figure)))
    sides = ("mse_up_to_17_atoms_eV2", "mse_above_17_atoms_eV2")
    tables = [of_series(rows(figure), place) for place in range(len(names))]
    errors = [[fmean(float(row[side]) for row in table) for side in sides] for table in tables]
    assert found["both"] == str(sum(a < errors[0][0] and b < errors[0][1] for a, b in errors))
    directed = errors[names.index("only those of more than 17 atoms")]
    assert found["cost"] == f"{directed[0] / errors[0][0]:.1f}"


def test_of_the_way_to_beyond(qm9_molecules):
    steps = study.recorded(study.RecipeParameters(seeds=[0]), qm9_molecules)
    figure = beyond_recipe.waterfall(steps, lang="en")
    found = exercises.beyond_recipe(figure.data, lang="en")
    first, last = rows(figure)[0], rows(figure)[7]  # seven changes above the line, a run each
    assert found["error"] == f"{float(first['validation_mae_meV']) / float(last['validation_mae_meV']):.0f}"
    assert found["time"] == f"{float(last['minutes']) / float(first['minutes']):.1f}"


def test_of_what_the_means_explain(qm9_molecules):
    names = (*replication.EXPERIMENTS, "default-to-custom")
    figure = predictions.predicted_curves(
        {name: recorded(name, qm9_molecules) for name in names}, qm9_molecules, lang="en"
    )
    found = exercises.predictions(figure.data, lang="en")
    of_sizes = [row for row in rows(figure) if row["series"] == rows(figure)[0]["series"] and row["n_atoms"]]
    errors, alone = (means(of_sizes, "n_atoms", name) for name in ("mse_as_reported_eV2", "predicted_eV2"))
    assert found["close"] == str(sum(0.9 < errors[size] / alone[size] < 1.1 for size in errors))
    assert found["sizes"] == str(len(errors))
    fluorine = [row for row in rows(figure) if row["element"] == "F"]
    error = fmean(float(row["mse_as_reported_eV2"]) for row in fluorine)
    assert found["fluorine"] == f"{100 * float(fluorine[0]['predicted_eV2']) / error:.0f}%"


def test_of_the_model_card(qm9_molecules):
    figure = model_card.errors_and_intervals(
        intervals.load_errors(qm9_molecules), intervals.Intervals.load(), lang="en"
    )
    found = exercises.model_card(figure.data, lang="en")
    widths, inside = defaultdict(list), []
    for row in rows(figure):
        widths[row["geometry"]].append(float(row["half_interval_meV"]))
        if row["geometry"] == "mmff":
            inside.append(float(row["off_the_middle_meV"]) <= widths["mmff"][-1])
    assert found["holds"] == f"{100 * fmean(inside):.1f}%"
    assert found["wider"] == f"{median(widths['mmff']) / median(widths['dft']):.0f}"


def test_of_forces(qm9_molecules):
    arms = study.recorded(study.ForcesParameters(), qm9_molecules)
    sizes, elements = (rows(draw(arms, lang="en")) for draw in (forces.by_size, forces.by_element))
    found = exercises.forces(forces.by_size(arms, lang="en").data, forces.by_element(arms, lang="en").data, lang="en")
    painn = [row for row in sizes if row["arm"] == "painn" and int(row["held_out_molecules"]) >= 10]
    errors = means(painn, "n_atoms", "mae_meV_per_A")
    worst = max(errors, key=errors.get)
    assert found["worst_size"] == f"{worst:.0f}"
    assert found["times_size"] == f"{errors[worst] / min(errors.values()):.1f}"
    errors = means([row for row in elements if row["arm"] == "painn"], "atomic_number", "mae_meV_per_A")
    worst = max(errors, key=errors.get)
    assert found["worst_element"] == {1: "H", 6: "C", 7: "N", 8: "O", 9: "F"}[worst]
    assert found["times_element"] == f"{errors[worst] / min(errors.values()):.1f}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_answer_is_shown_in_its_chapter(lang):
    """Two exercises a chapter, each with a folded solution that shows an answer."""
    pages = [path for path in sorted((BOOK / lang).glob("*.md")) if "exercises." in path.read_text(encoding="utf-8")]
    assert {path.stem.replace("-", "_") for path in pages} == {
        name
        for name, value in vars(exercises).items()
        if getattr(value, "__module__", "") == exercises.__name__ and name[0] != "_"
    }
    for path in pages:
        text = path.read_text(encoding="utf-8")
        solutions = re.findall(r":::\{admonition\} .*?\n:class: dropdown\n(.*?)\n:::", text, re.DOTALL)
        assert len(solutions) == 2, path.name
        assert all(f"{{glue:text}}`{lang}-exercise_" in solution for solution in solutions), path.name
