"""The workflow for a code-hosting site does what a maintainer does by hand, with the same commands and versions."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / ".github" / "workflows" / "book.yml"
AUDIT = PATH.with_name("audit.yml")


@pytest.fixture(scope="module")
def workflow() -> dict:
    return yaml.safe_load(PATH.read_text(encoding="utf-8"))


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def commands(workflow: dict, job: str) -> list[str]:
    return [step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step]


def test_its_commands_are_the_makefiles_targets(workflow):
    targets = set(re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    said = [step["run"] for step in steps(workflow) if "run" in step and not step["run"].startswith("gh ")]
    asked = [re.fullmatch(r"(?:sudo )?make ([a-z-]+)", command)[1] for command in said]
    assert set(asked) <= targets


def test_it_does_all_that_the_ci_script_does_and_publishes_what_it_built(workflow):
    script = re.findall(r"^make (?:-j\d+ )?(.+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    done = commands(workflow, "test") + commands(workflow, "build")
    assert set(" ".join(script).split()) <= {command.split("make ")[1] for command in done}
    assert done.index("make pdf") < done.index("make book") < done.index("make check-book")
    paths = [step["with"]["path"] for step in workflow["jobs"]["build"]["steps"] if "upload" in step.get("uses", "")]
    assert paths == ["book/_build/pdf/*.pdf", "book/_build/html"]
    assert all(workflow["jobs"][job]["needs"] == ["test", "build"] for job in ("publish", "attach"))


def test_its_python_is_the_projects(workflow):
    versions = [step["with"] for step in steps(workflow) if step.get("uses", "").startswith("actions/setup-python@")]
    assert len(versions) == 2
    for asked in versions:
        assert asked["python-version-file"] == ".python-version"
        assert (ROOT / asked["cache-dependency-path"]).is_file()
    assert not re.search(r"python-version:", PATH.read_text(encoding="utf-8"))


def test_it_may_do_no_more_than_it_has_to(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more == {"publish": {"pages": "write", "id-token": "write"}, "attach": {"contents": "write"}}
    assert {"pull_request", "push", "release", "workflow_dispatch"} == set(workflow[True])  # YAML 1.1 reads `on` so
    assert "pull_request" not in workflow["jobs"]["publish"]["if"] + workflow["jobs"]["attach"]["if"]


def test_its_actions_are_pinned_to_a_major_version_and_each_job_ends(workflow):
    actions = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert actions
    assert not [action for action in actions if not re.fullmatch(r"actions/[a-z-]+@v\d+", action)]
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())
    assert workflow["concurrency"]["group"].startswith("book-")


def test_the_pins_are_audited_every_week_and_when_they_change():
    audit = yaml.safe_load(AUDIT.read_text(encoding="utf-8"))
    assert audit[True]["push"]["paths"] == ["constraints.txt"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", audit[True]["schedule"][0]["cron"])
    assert audit["permissions"] == {"contents": "read"}
    assert commands(audit, "audit") == ["make env", "make audit"]
    actions = [step["uses"] for step in steps(audit) if "uses" in step]
    assert {action.split("@")[0] for action in actions} == {"actions/checkout", "actions/setup-python"}
    assert set(actions) <= {step.get("uses") for step in steps(yaml.safe_load(PATH.read_text(encoding="utf-8")))}
