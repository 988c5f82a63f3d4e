"""Every notebook: thin, in step with its text twin, and rerun by papermill with other parameters."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import jupytext
import moving_records
import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient
from papermill import execute_notebook, inspect_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError, strip_color

from analysis.figures.words import catalan
from analysis.runs import measured
from analysis.runs.records import load

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> Path:
    return request.param


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def parameter_names(path: Path) -> list[str]:
    (source,) = [cell.source for cell in cells(path, "code") if "parameters" in cell.metadata.get("tags", [])]
    body, lines = ast.parse(source).body, source.splitlines()
    assert all(isinstance(statement, ast.AnnAssign) for statement in body), "each parameter has its type"
    assert all("  # " in lines[statement.end_lineno - 1] for statement in body), "each parameter says what it is"
    return [statement.target.id for statement in body]


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_dataset",
        "02_hyperparameter_search",
        "03_baseline",
        "04_balancing",
        "05_loss_modification",
        "06_directed_training",
        "07_final_comparison",
        "08_beyond",
        "09_recipe",
        "10_learning_curve",
        "11_beyond_remedies",
        "12_forces",
        "13_dynamics",
        "14_geometries",
    ]


def test_a_notebook_sets_parameters_calls_and_shows(notebook):
    assert parameter_names(notebook)
    forbidden = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda)
    for cell in cells(notebook, "code"):
        found = [type(node).__name__ for node in ast.walk(ast.parse(cell.source)) if isinstance(node, forbidden)]
        assert not found, f"{found} belong in analysis/"


def test_a_notebook_is_committed_in_catalan_and_the_book_finds_where_to_ask_for_english(notebook):
    """`tools/execute_pages.py` changes this line."""
    assert [cell.source.count('lang: str = "ca"  # ') for cell in cells(notebook, "code")].count(1) == 1


def test_a_notebook_is_committed_with_the_outputs_of_one_run_in_order(notebook):
    code = cells(notebook, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type in ("error", "stream")]
    assert [output for output in outputs if "image/png" in output.get("data", {})]


def test_a_figure_says_what_it_shows_in_words(notebook):
    known = catalan().values()
    for cell in cells(notebook, "code"):
        for output in cell.outputs:
            for kind in {"image/png", "image/svg+xml"} & set(output.get("data", {})):
                assert output.metadata[kind]["alt"] in known


def test_a_notebook_and_its_text_twin_are_in_step(notebook):
    twin = jupytext.read(FOLDER / "text" / f"{notebook.stem}.md")
    ours = nbformat.read(notebook, as_version=4)
    assert [(cell.cell_type, cell.source) for cell in twin.cells] == [
        (cell.cell_type, cell.source) for cell in ours.cells
    ]
    tags = [[cell.metadata.get("tags", []) for cell in each.cells] for each in (twin, ours)]
    assert tags[0] == tags[1]
    assert not {path.stem for path in (FOLDER / "text").glob("*.md")} - {path.stem for path in NOTEBOOKS}


class Kernel:
    """One Jupyter kernel for all notebooks of this file, emptied before each: torch is imported once."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(FOLDER))
        self._client = self.manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=600)

    def empty(self, results: Path) -> None:
        code = f"get_ipython().reset()\n__import__('os').environ['COMPENDIUM_RESULTS'] = {str(results)!r}"
        assert self._client.execute(code, reply=True, timeout=600)["content"]["status"] == "ok"

    def run(self, client: NotebookClient) -> nbformat.NotebookNode:
        try:
            return client.execute()
        finally:
            client.kc.stop_channels()

    def close(self) -> None:
        self._client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    started = Kernel()

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **_):
            started.run(PapermillNotebookClient(nb_man, km=started.manager, kernel_name=kernel_name))

    papermill_engines.register("shared", Engine)
    yield started
    started.close()


def papermill(kernel: Kernel, name: str, out: Path, parameters: dict[str, object], results: Path) -> None:
    kernel.empty(results)
    execute_notebook(FOLDER / f"{name}.ipynb", out, parameters, "shared", progress_bar=False, cwd=FOLDER)


def test_papermill_knows_a_notebooks_parameters(notebook):
    assert list(inspect_notebook(str(notebook))) == parameter_names(notebook)


def test_an_unknown_parameter_is_refused_before_anything_runs(kernel, notebook, tmp_path):
    out = tmp_path / "out.ipynb"
    with pytest.raises(PapermillExecutionError) as error:
        papermill(kernel, notebook.stem, out, {"sedes": [1]}, tmp_path / "results")
    (line,) = map(strip_color, error.value.traceback)
    assert line.startswith("ParameterError: unknown parameter 'sedes'; this notebook takes lang")
    assert not [cell for cell in cells(out, "code") if any("image/png" in o.get("data", {}) for o in cell.outputs)]
    assert not (tmp_path / "results").exists()


RECORDS = {
    "03_baseline": {"baseline": 2},
    "04_balancing": {"baseline": 2, "balancing": 8},
    "05_loss_modification": {"loss-modification": 8},
    "06_directed_training": {"baseline": 2, "directed-training": 4},
    "07_final_comparison": {"baseline": 2, "final-comparison": 2},
    "08_beyond": {"baseline": 2, "beyond": 2, "final-comparison": 2},
    "09_recipe": {"baseline": 2, "sensitivity": 2, "recipe": 12},
    "10_learning_curve": {"learning-curve": 4, "beyond": 2},
    "11_beyond_remedies": {"beyond": 2, "beyond-remedies": 8},
    "12_forces": {"forces": 4},
    "13_dynamics": {"forces": 2},
    "14_geometries": {"beyond": 2, "geometries": 2},
}
"""How many runs of which experiments a notebook means with two seeds."""
SEARCH = "02_hyperparameter_search"
SMOKE = {"profile": "smoke", "seeds": [3, 5], "epochs": 1, "batch_size": 50, "lang": "en"}
OWN_PARAMETERS = {
    "04_balancing": {"caps": [10, 20]},
    "05_loss_modification": {"rates": [2.5, 12], "weightings": ["size"], "alphas": [1.5]},
    "09_recipe": {"variations": ["cutoff"]},
    "10_learning_curve": {"molecules": [100, 150]},
    "11_beyond_remedies": {"caps": [10]},
    "12_forces": {"others": ["energies alone"]},
    "13_dynamics": {"molecule": "CCO", "ps": 0.02},
}
"""What else a notebook is asked for here: values that the study never had."""
DYNAMICS = ("frequencies", "survival", "control", "torsion", "speed")
"""The parts of `harness.dynamics`."""


def test_every_notebook_that_trains_is_rerun_below():
    trains = [path.stem for path in NOTEBOOKS if ".load_or_" in path.read_text(encoding="utf-8")]
    assert trains == sorted([*RECORDS, SEARCH])


def test_a_notebook_reruns_in_kernels_of_its_own(tmp_path):
    """As a reader does it: papermill trains and records; nbval runs the result again, which now loads."""
    out, results = tmp_path / "out.ipynb", tmp_path / "results"
    environment = os.environ | {"COMPENDIUM_RESULTS": str(results)}
    given = [word for name, value in SMOKE.items() for word in ("-p", name, str(value))]
    command = [sys.executable, "-m", "papermill", FOLDER / "03_baseline.ipynb", out, *given, "--cwd", FOLDER]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert len(list(results.glob("baseline/[!.]*/run.json"))) == 2
    without_progress(out)
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", out]
    again = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout


@pytest.mark.parametrize("name", RECORDS)
def test_a_notebook_reruns_with_changed_parameters_and_the_same_outputs(kernel, name, tmp_path):
    """papermill trains and records, beside what is measured; run again, the notebook loads, and says the same.

    And once more with what it left behind, as a reader does who changes something and asks JupyterLab to run all.
    """
    out = tmp_path / "out.ipynb"
    results = tmp_path / "results"
    measured_records(results)
    papermill(kernel, name, out, SMOKE | OWN_PARAMETERS.get(name, {}), results)
    recorded = [load(folder) for experiment in RECORDS[name] for folder in (results / experiment).iterdir()]
    assert Counter(record.config.experiment for record in recorded) == RECORDS[name]
    assert {record.config.seed for record in recorded} == {3, 5}
    assert {len(record.history) for record in recorded if record.config.fine_tuning is None} == {1}
    nothing_changes(kernel, out, results)


def test_the_search_reruns_with_few_trials_and_the_same_outputs(kernel, tmp_path):
    """As above. What the search finds depends on wall times: those of the records, which the second run loads."""
    out = tmp_path / "out.ipynb"
    results = tmp_path / "results"
    parameters = {"profile": "smoke", "trials": 2, "seed": 3, "more_seeds": [5], "lang": "en"}
    papermill(kernel, SEARCH, out, parameters, results)
    # In the first stage the report's batch is too large; in the second its point is one more trial, perhaps the chosen.
    for name, of_trials, of_points in (("stage1", 2, {1}), ("stage2", 3, {1, 2})):
        folders = [path.parent for path in (results / f"search-{name}").glob("[!.]*/run.json")]
        seeds = Counter(load(folder).config.seed for folder in folders)
        assert seeds.keys() == {3, 5}
        assert seeds[3] == of_trials
        assert seeds[5] in of_points
    nothing_changes(kernel, out, results)


def measured_records(results: Path) -> None:
    """Write what notebooks read and don't make: labelled frames, errors, what a label costs, and dynamics, made up."""
    made = {"cost": moving_records.costs(), **{part: getattr(moving_records, part)() for part in DYNAMICS}}
    for folder, names in (("reference", ["cost"]), ("dynamics", DYNAMICS)):
        (results / folder).mkdir(parents=True)
        for name in names:
            measured.write(results / folder / f"{name}.json", made[name])
    for name in ("frames", "prediction"):
        (results / name).symlink_to(FOLDER.parent / "results" / name)


def nothing_changes(kernel: Kernel, out: Path, results: Path) -> None:
    """Run what papermill left twice over, every cell and then every cell again; each output is the first run's."""
    recorded = {path: path.stat().st_mtime_ns for path in results.glob("*/[!.]*/run.json")}
    without_progress(out)
    before = nbformat.read(out, as_version=4)
    twice = deepcopy(before)
    twice.cells += deepcopy(before.cells)
    kernel.empty(results)
    kernel.run(NotebookClient(twice, km=kernel.manager, timeout=None))
    said = [said_by(cell) for cell in before.cells if cell.cell_type == "code"]
    assert any(said)
    assert [said_by(cell) for cell in twice.cells if cell.cell_type == "code"] == said * 2
    assert {path: path.stat().st_mtime_ns for path in results.glob("*/[!.]*/run.json")} == recorded


def said_by(cell: nbformat.NotebookNode) -> list[dict]:
    """What a cell showed, but for its pictures."""
    outputs = [output for output in cell.outputs if output.output_type != "execute_result"]
    shown = [output.data for output in cell.outputs if output.output_type == "execute_result"]
    return outputs + [{kind: value for kind, value in data.items() if kind != "image/png"} for data in shown]


def without_progress(path: Path) -> None:
    """Take out progress bars, which a run that loads does not show."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.output_type == "execute_result"]
    nbformat.write(notebook, path)


@pytest.mark.parametrize(
    ("notebook", "name", "value", "said"),
    [
        ("03_baseline", "seeds", [], "seeds"),
        ("03_baseline", "profile", "huge", "'smoke', 'quick' or 'full'"),
        ("03_baseline", "epochs", "many", "epochs = 'many'"),
        (SEARCH, "trials", 0, "trials = 0"),
        (SEARCH, "more_seeds", [-1], "more_seeds.0 = -1"),
        (SEARCH, "seed", "one", "seed = 'one'"),
    ],
)
def test_wrong_values_are_one_readable_line(kernel, tmp_path, notebook, name, value, said):
    with pytest.raises(PapermillExecutionError) as error:
        papermill(kernel, notebook, tmp_path / "out.ipynb", {name: value}, tmp_path / "results")
    (line,) = map(strip_color, error.value.traceback)
    assert line.startswith("ParameterError: ")
    assert said in line
    assert not (tmp_path / "results").exists()


def test_a_notebook_and_its_chapter_link_to_each_other_in_both_languages(notebook):
    first = cells(notebook, "markdown")[0].source
    linked = re.findall(r"\]\(\.\./book/(ca|en)/([\w-]+)\.md\)", first)
    assert [lang for lang, _ in linked] == ["ca", "en"]
    assert len({page for _, page in linked}) == 1
    for lang, page in linked:
        text = (FOLDER.parent / "book" / lang / f"{page}.md").read_text(encoding="utf-8")
        assert f"<../notebooks/{notebook.stem}>`" in text
