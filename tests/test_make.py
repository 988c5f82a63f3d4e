"""The Makefile under any GNU Make: what failed is tried again, two at once take turns, a kill leaves no lock."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# GNU Make 3.81, which macOS has, does not know .SHELLFLAGS: its shells go on after a failure.
OLD_MAKE = ".SHELLFLAGS=-c"

# They stand in for an interpreter with pip, and for jupyter-book. Each says that it began, waits as long as there is a
# file `wait`, fails if there is a file `fail`, and is killed with its shell if there is a file `kill-me`.
PYTHON = """\
#!{shell}
set -eu
{run}
case "$*" in
  -c*) ;;
  --version) echo Python ;;
  tools/locked.py*) exec {python} "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  *--require-hashes*requirements.lock*) work ;;
  *) ;;
esac
"""
BUILDER = """\
#!{shell}
set -eu
{run}
mkdir -p book/_build/.jupyter_cache
echo "$*" > asked
echo entry >> book/_build/.jupyter_cache/global.db
work
"""
WORK = """\
work() {
  echo begun >> begun
  while [ -e wait ]; do sleep 0.01; done
  if [ -e kill-me ]; then kill -KILL $PPID $$; fi
  if [ -e fail ]; then exit 3; fi
}"""
WAITING = {"env": "Waiting for another `make env` in", "book": "Waiting for another `make book` or `make pdf` in"}
CUT_OFF = {"env": "The last installation was cut off", "book": "The last build was cut off"}


def outside_make() -> dict[str, str]:
    """The environment without what `make test` hands on: a make inside a make says so on its output."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        text.replace("{shell}", shutil.which("bash")).replace("{python}", sys.executable).replace("{run}", WORK)
    )
    path.chmod(0o755)


@pytest.fixture
def fresh_folder(tmp_path: Path) -> Path:
    """What a clone has of the Makefile's own."""
    for name in ("Makefile", "constraints.txt", "requirements.lock", "pyproject.toml", ".python-version"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tools").mkdir()
    for path in ROOT.glob("tools/*.sh"):
        shutil.copy(path, tmp_path / "tools")
    shutil.copy(ROOT / "tools" / "locked.py", tmp_path / "tools")
    return tmp_path


@pytest.fixture
def start(fresh_folder: Path) -> Callable[[str], subprocess.Popen[str]]:
    """`make env`, or `make book` with an environment that is there; both with stand-ins for what takes long."""
    write(fresh_folder / "python", PYTHON)
    for folder in ("analysis", "fused", "harness", "results"):
        (fresh_folder / folder).mkdir()
        (fresh_folder / folder / "source").touch()

    def begin(target: str, *words: str) -> subprocess.Popen[str]:
        if target == "book":
            write(fresh_folder / ".venv" / "bin" / "python", PYTHON)
            write(fresh_folder / ".venv" / "bin" / "jupyter-book", BUILDER)
            words = (*words, "--assume-old", "env")
        return subprocess.Popen(
            ["make", *words, target, f"PYTHON={fresh_folder / 'python'}"],
            cwd=fresh_folder,
            env=outside_make(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return begin


def outcome(started: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = started.communicate()
    return started.returncode, said


def until(there: Path, started: subprocess.Popen[str]) -> None:
    while not there.exists():
        assert started.poll() is None, outcome(started)
        time.sleep(0.01)


def test_make_alone_lists_every_target():
    listed = subprocess.run(["make"], cwd=ROOT, env=outside_make(), capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.findall(r"^make (\S+) +\S", listed, re.MULTILINE) == targets
    assert {"book", "test", "env", "lint", "clean"} <= set(targets)


def test_nothing_in_the_makefile_is_younger_than_macos_make():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert not re.search(
        r"^\.(SHELLFLAGS|ONESHELL)|^undefine|^private|^define .*=|!=|::=|\$\(file ", text, re.MULTILINE
    )
    recipes = re.findall(r"^\t.*(?:\\\n.*)*", text, re.MULTILINE)
    assert len(recipes) > 20
    # after a `;` a shell goes on, whatever failed before it
    assert not [recipe for recipe in recipes if ";" in recipe and not recipe.startswith("\t@awk")]
    for script in ROOT.glob("tools/*.sh"):
        assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8"), script


def test_the_first_html_takes_what_was_read_for_paper_if_that_was_well_and_nothing_has_changed(fresh_folder, start):
    start("book").communicate()
    shutil.rmtree(fresh_folder / "book")
    for name in ("_config.yml", "_toc.yml", "notebooks/one.ipynb", "book/ca/page.md"):
        write(fresh_folder / name, "")
    words = ["bash", "tools/build_book.sh", ".venv/bin"]

    def build(what: str) -> str:
        subprocess.run([*words, what], cwd=fresh_folder, capture_output=True, check=False)
        return (fresh_folder / "asked").read_text()

    (fresh_folder / "fail").touch()
    build("pdf")
    (fresh_folder / "fail").unlink()
    assert " --all " in build("html")  # its complaints would be lost
    build("pdf")
    assert " --all " not in build("html")
    assert " --all " in build("html")
    build("pdf")
    later = time.time() + 60
    os.utime(fresh_folder / "book" / "ca" / "page.md", (later, later))
    assert " --all " in build("html")
    os.utime(fresh_folder / "book" / "ca" / "page.md")
    build("pdf")
    (fresh_folder / "book" / "_build" / "html").mkdir()
    assert " --all " in build("html")  # pages that stay as they are would not link to the new paper


def test_no_fitting_python_is_one_line_that_says_what_to_do(fresh_folder):
    tools = fresh_folder / "bin"
    tools.mkdir()
    for name in ("bash", "cat", "cksum", "sed", "cmp"):
        (tools / name).symlink_to(shutil.which(name))
    make = shutil.which("make")
    run = subprocess.run(
        [make, "env"], cwd=fresh_folder, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    said = [line for line in run.stderr.splitlines() if "make" not in line.split(":")[0]]
    assert len(said) == 1
    assert said[0].startswith("No Python 3.12 or newer found: install one")
    assert not (fresh_folder / ".venv").exists()


def test_nothing_is_installed_twice(fresh_folder, start):
    assert outcome(start("env"))[0] == 0
    (fresh_folder / "python").unlink()
    assert outcome(start("env")) == (0, "")


@pytest.mark.parametrize("make", [(), (OLD_MAKE,)], ids=["make", "make-3.81"])
@pytest.mark.parametrize("target", ["env", "book"])
def test_what_failed_is_tried_again(target, make, fresh_folder, start):
    (fresh_folder / "fail").touch()
    assert outcome(start(target, *make))[0] != 0
    assert not (fresh_folder / ".venv" / ".pins").exists()
    (fresh_folder / "fail").unlink()
    code, said = outcome(start(target, *make))
    assert code == 0, said
    assert (fresh_folder / "begun").read_text().split() == ["begun"] * 2


def test_a_build_that_failed_keeps_the_executed_pages_and_one_that_was_killed_does_not(fresh_folder, start):
    cache = fresh_folder / "book" / "_build" / ".jupyter_cache" / "global.db"
    (fresh_folder / "fail").touch()
    assert outcome(start("book"))[0] != 0
    (fresh_folder / "fail").unlink()
    assert CUT_OFF["book"] not in outcome(start("book"))[1]
    assert cache.read_text().split() == ["entry"] * 2
    (fresh_folder / "kill-me").touch()
    assert outcome(start("book"))[0] != 0
    (fresh_folder / "kill-me").unlink()
    code, said = outcome(start("book"))
    assert code == 0, said
    assert CUT_OFF["book"] in said
    assert cache.read_text().split() == ["entry"]
    assert CUT_OFF["book"] not in outcome(start("book"))[1]
    assert cache.read_text().split() == ["entry"] * 2
    (fresh_folder / "results" / "new").touch()
    assert outcome(start("book"))[0] == 0
    assert cache.read_text().split() == ["entry"]
    write(fresh_folder / "fused" / "__pycache__" / "loop.nbi", "compiled by a page")
    assert outcome(start("book"))[0] == 0
    assert cache.read_text().split() == ["entry"] * 2


@pytest.mark.parametrize("target", ["env", "book"])
def test_two_at_once_take_turns(target, fresh_folder, start):
    (fresh_folder / "wait").touch()
    first = start(target)
    until(fresh_folder / "begun", first)
    second = start(target)
    said = second.stdout.readline()
    assert said.startswith(WAITING[target])
    (fresh_folder / "wait").unlink()
    (code, first_said), (second_code, second_said) = outcome(first), outcome(second)
    assert (code, second_code) == (0, 0), first_said + second_said
    assert CUT_OFF[target] not in first_said + second_said
    # the second found the environment made, and the cache of pages full
    assert (fresh_folder / "begun").read_text().split() == ["begun"] * {"env": 1, "book": 2}[target]
    if target == "book":
        assert (fresh_folder / "book" / "_build" / ".jupyter_cache" / "global.db").read_text().split() == ["entry"] * 2


@pytest.mark.parametrize("target", ["env", "book"])
def test_one_that_was_killed_leaves_no_lock(target, fresh_folder, start):
    (fresh_folder / "wait").touch()
    killed = start(target)
    until(fresh_folder / "begun", killed)
    os.killpg(killed.pid, signal.SIGKILL)
    outcome(killed)
    (fresh_folder / "wait").unlink()
    code, said = outcome(start(target))
    assert code == 0, said
    assert "Waiting" not in said
    assert CUT_OFF[target] in said


PIP = """\
#!{shell}
# Its pip is the real one, which finds what is in `wheels` and installs into `site`.
set -eu
case "$*" in
  -c*) ;;
  tools/locked.py*) exec {python} "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  *requirements.lock*) exec {python} "$@" --no-index --find-links wheels --target site ;;
  *--constraint*) echo "$*" > asked ;;
  *) ;;
esac
"""


def wheel(folder: Path, content: str) -> str:
    """Make a package of one module, and give its hash."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    about = {"METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n", "RECORD": ""}
    about["WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", content)
        for name, text in about.items():
            archive.writestr(f"tiny-1.0.dist-info/{name}", text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_altered_wheel_is_not_installed(fresh_folder, start):
    write(fresh_folder / "python", PIP)
    whole = wheel(fresh_folder / "wheels", "right = True")
    (fresh_folder / "requirements.lock").write_text(f"tiny==1.0 --hash=sha256:{whole}\n")
    code, said = outcome(start("env"))
    assert code == 0, said
    assert (fresh_folder / "site" / "tiny.py").read_text() == "right = True"
    shutil.rmtree(fresh_folder / "site")
    shutil.rmtree(fresh_folder / ".venv")
    assert wheel(fresh_folder / "wheels", "right = False") != whole
    code, said = outcome(start("env"))
    assert code != 0
    assert "DO NOT MATCH THE HASHES" in said
    assert not (fresh_folder / "site").exists()
    assert not (fresh_folder / ".venv" / ".pins").exists()
    code, said = outcome(start("env", "HASHES=no"))  # whose versions are then all that is compared
    assert code == 0, said
    assert (fresh_folder / "asked").read_text().endswith("--constraint constraints.txt --editable .[dev]\n")


APT = """\
#!{shell}
# Stands in for apt-get: another one holds the lock of the lists the first time.
echo "$*" >> asked
if [ "$1" = update ] && [ ! -e held ]; then
  touch held
  echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)" >&2
  exit 100
fi
if [ "$1" = update ] && [ -e fail ]; then echo "E: no network" >&2; exit 100; fi
"""


def test_another_apt_get_is_waited_for(fresh_folder):
    tools = fresh_folder / "bin"
    write(tools / "apt-get", APT)
    write(tools / "id", "#!{shell}\necho 0\n")
    write(tools / "sleep", "#!{shell}\n")
    for name in ("bash", "touch"):
        (tools / name).symlink_to(shutil.which(name))

    def system() -> subprocess.CompletedProcess[str]:
        words = [shutil.which("make"), OLD_MAKE, "system"]
        return subprocess.run(
            words, cwd=fresh_folder, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
        )

    done = system()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Waiting for another apt-get to end\n"
    asked = (fresh_folder / "asked").read_text().splitlines()
    assert [words.split()[0] for words in asked] == ["update", "update", "install"]
    assert "DPkg::Lock::Timeout=-1 hunspell" in asked[-1]
    (fresh_folder / "fail").touch()
    failed = system()
    assert failed.returncode != 0
    assert failed.stderr.startswith("E: no network\n")
    assert (fresh_folder / "asked").read_text().splitlines()[-1].startswith("update")
