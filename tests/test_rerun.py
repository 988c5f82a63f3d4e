"""`make rerun`: which notebook is meant, what is seen while it runs, and how it ends."""

import io
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the tools are no part of the installed package

from tools import rerun  # noqa: E402

SMOKE = ["-p", "profile", "smoke", "-p", "epochs", "1", "-p", "lang", "en"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COMPENDIUM_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("IPYTHONDIR", str(ROOT / "tools" / "ipython"))  # as the Makefile does


# ---- which notebook --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        "3",
        "03",
        "03_baseline",
        "03-Baseline",
        "3_baseline",
        "3_b",
        "baseline",
        "base",
        "03_baseline.ipynb",
        "notebooks/03_baseline.ipynb",
        "./notebooks/03_baseline",
        str(ROOT / "notebooks" / "03_baseline.ipynb"),
    ],
)
def test_what_is_unambiguous_is_the_notebook(wanted):
    assert rerun.notebook_named(wanted) == Path("notebooks/03_baseline.ipynb")


@pytest.mark.parametrize(
    ("wanted", "stem"),
    [("1", "01_dataset"), ("11", "11_beyond_remedies"), ("beyond", "08_beyond"), ("010", "10_learning_curve")],
)
def test_what_fits_exactly_comes_before_beginnings(wanted, stem):
    assert rerun.notebook_named(wanted).stem == stem


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("99", "'99' is no notebook: give one of 01_dataset, 02_"),
        ("", "which one?: give one of 01_dataset, 02_"),
        ("b", "'b' is more than one notebook: give one of 03_baseline, 04_balancing, 08_beyond, 11_beyond_remedies"),
        ("elsewhere/03_baseline.ipynb", "'elsewhere/03_baseline.ipynb' is no notebook: give one of"),
        ("../03_baseline", "is no notebook"),
        ("*", "is no notebook"),
        ("³", "is no notebook"),
    ],
)
def test_an_unknown_notebook_is_answered_in_a_line_with_the_list_of_notebooks(wanted, said, capsys, tmp_path):
    assert rerun.main([wanted], tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: NOTEBOOK: ")
    assert said in line
    assert list(tmp_path.iterdir()) == []


# ---- what is seen ----------------------------------------------------------------------------------------------------


def screen(text: str) -> list[str]:
    """The lines of a terminal to which this was written."""
    return [re.split(r"\r\x1b\[K", line)[-1] for line in text.split("\n")]


def test_a_terminal_shows_bars_and_progress_in_its_last_line_and_the_rest_above():
    out = Terminal()
    shown = rerun.Shown(out, 9)
    shown.begin_cell()
    shown.say("a warning\n\rruns:   0%|  | 0/2")
    shown.progress("first", "epoch 1/2: 3 s to go")
    assert screen(out.getvalue()) == ["a warning", "cell 1 of 9 · runs:   0%  0/2 · epoch 1/2: 3 s to go"]
    shown.progress("first", "epoch 2/2")
    shown.say("\rruns:  50%|█ | 1/2")
    shown.progress("second", "epoch 1/2")
    assert screen(out.getvalue())[1:] == ["epoch 2/2", "cell 1 of 9 · runs:  50%  1/2 · epoch 1/2"]
    shown.say("\rruns: 100%|██| 2/2\n\x1b[A")
    shown.begin_cell()
    assert screen(out.getvalue())[2:] == ["runs: 100%|██| 2/2", "epoch 1/2", "cell 2 of 9"]
    shown.close()
    assert screen(out.getvalue())[4:] == [""]


def test_a_line_is_never_longer_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    shown = rerun.Shown(out, 9)
    shown.progress("first", "x" * 100)
    assert max(map(len, screen(out.getvalue()))) < 40


def test_a_log_file_gets_lines_and_no_carriage_returns(monkeypatch):
    out = io.StringIO()
    shown = rerun.Shown(out, 9)
    shown.begin_cell()
    shown.say("\rruns:   0%|  | 0/1")
    shown.progress("first", "epoch 1/3")
    monkeypatch.setattr(rerun, "_LINE_SECONDS", 0.0)
    shown.progress("first", "epoch 2/3")
    monkeypatch.setattr(rerun, "_LINE_SECONDS", 1e9)
    shown.progress("first", "epoch 3/3")
    shown.say("\rruns: 100%|██| 1/1\n")
    shown.close()
    assert out.getvalue() == "epoch 2/3\nruns: 100%|██| 1/1\nepoch 3/3\n"


def test_a_training_is_seen_while_the_notebook_runs(tmp_path, capfd):
    assert rerun.main(["3", *SMOKE, "-p", "seeds", "[3, 5]"], tmp_path) == 0
    said = capfd.readouterr().err.splitlines()
    assert sum(line.startswith("epoch 1/1: ") for line in said) == 2
    assert any(re.match(r"runs: 100%.* 2/2 ", line) for line in said)
    assert said[-1] == f"Rerun: {tmp_path / '03_baseline.ipynb'}"
    assert len(list((tmp_path / "results" / "baseline").iterdir())) == 2
    assert nbformat.read(tmp_path / "03_baseline.ipynb", as_version=4).metadata.papermill.parameters.seeds == "[3, 5]"


# ---- how it ends -----------------------------------------------------------------------------------------------------


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-p", "rates", "2"], "rates = 2: Input should be a valid list"),
        (["-f", "FILE"], "learning_rate = '1e-3': Input should be a valid number"),
    ],
)
def test_a_refused_parameter_is_one_line(options, said, tmp_path, capfd):
    file = written(tmp_path / "asked.yaml", "learning_rate: 1e-3\n")
    assert rerun.main(["5", *(str(file) if word == "FILE" else word for word in options)], tmp_path) == 1
    *kernels, line = capfd.readouterr().err.splitlines()  # a kernel may have words of its own to say when it starts
    assert line.startswith(f"ParameterError: {said}")
    assert not any("Traceback" in other or "Error" in other for other in kernels)
    assert "; write " in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-y", "a:1"], "error: -y a:1: no parameter with a value; write -p epochs 3, or -y 'epochs: 3' with a space"),
        (["-y", "epochs=3"], "error: -y epochs=3: no parameter with a value; write -p epochs 3"),
        (["-y", "[1, 2]"], "error: -y [1, 2]: no parameter with a value; write "),
        (["-y", "a: 1\nb"], "error: -y a: 1 b: could not find expected ':'; write "),
        (["-y", "epochs: ["], "error: -y epochs: [: expected the node content, but found '<stream end>'; write "),
        (["-b", "YToxCg=="], "error: -b YToxCg==: no parameter with a value; write "),
        (["-p", "1", "2"], "error: -p 1 2: no parameter is called '1'; write "),
        (["-f", "nowhere.yaml"], "error: -f nowhere.yaml: nowhere.yaml: there is no such file"),
    ],
)
def test_parameters_that_cannot_be_read_are_one_line(options, said, tmp_path, capfd):
    assert rerun.main(["5", *options], tmp_path) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(said)


def test_an_option_that_papermill_does_not_have_is_said_by_it(tmp_path, capfd):
    assert rerun.main(["5", "--epochs", "3"], tmp_path) == 2
    assert "No such option" in capfd.readouterr().err


def test_runs_that_diverge_are_a_line_each_and_no_traceback(tmp_path, capfd):
    wild = ["-p", "learning_rate", "1e20", "-p", "seeds", "[0, 1, 2]"]
    assert rerun.main(["3", *SMOKE, *wild], tmp_path) == 1
    said = capfd.readouterr().err.splitlines()
    first = said.index("TrainingDivergedError: 3 of 3 runs diverged, the others are recorded:")
    assert [re.search(r"seed \d", line)[0] for line in said[first + 1 :]] == ["seed 0", "seed 1", "seed 2"]
    assert "Traceback" not in "\n".join(said)
    assert max(map(len, said)) < 250


def test_another_error_shows_where_it_came_from(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("COMPENDIUM_RESULTS", os.devnull)
    assert rerun.main(["3", *SMOKE], tmp_path) == 1
    said = capfd.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1] == f"{tmp_path / '03_baseline.ipynb'} shows what came before"
    assert "papermill" not in said.replace(str(tmp_path), "")
