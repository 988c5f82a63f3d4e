# ruff: noqa: E402
"""The preregistration: what it says is what the code does, and the new runs are judged at both ends."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the harness is no part of the installed package

from analysis import study
from analysis.cli.commands import app
from analysis.evaluation import verdicts
from analysis.evaluation.verdicts import claims, confirmation, table
from analysis.runs import records
from analysis.runs.arms import DEFAULT, Arm, Arms
from analysis.runs.config import adjust
from analysis.runs.records import Record
from harness import preregistration

PLAN = confirmation.load_plan()


class Watched(Arms[Record]):
    """Arms that remember which of them were looked up."""

    def __init__(self, arms: Arms[Record]) -> None:
        super().__init__(arms.experiment, dict(arms))
        self.seen: set[str] = set()

    def __getitem__(self, arm: str) -> list[Record]:
        self.seen.add(arm)
        return super().__getitem__(arm)


@pytest.fixture(scope="module")
def arms(qm9_molecules) -> Arms[Record]:
    """The records of the first experiments under the names of the new one's arms."""
    rates = study.ConfirmationParameters().by_arm(qm9_molecules)
    seen = preregistration.seen(qm9_molecules)
    return Arms(seen.experiment, {arm: of for arm, of in seen.items() if arm in rates})


def two_ended(record: Record) -> Record:
    """The record as if its training had a second end, with errors of 0.9 times the last's."""
    groups = record.groups
    sums = {"settled_e": 0.9 * groups["sum_e"], "settled_ee": 0.81 * groups["sum_ee"]}
    return replace(
        record,
        config=adjust(record.config, training={"settled": 0.1}),
        errors=record.errors.assign(settled=0.9 * record.errors["error"]),
        groups=groups.assign(**sums, settled_en=0.9 * groups["sum_en"]),
    )


def made_up(claim: str, protocol: str, said: str) -> verdicts.Verdict:
    return verdicts.Verdict(
        claim, protocol, said, 1.0, (0.9, 1.1), "ratio", 1.0, "below", 0.01, 8, 10, "", p_in_table=1.0
    )


def test_the_plan_says_what_the_code_does():
    asked = study.ConfirmationParameters()
    for name in ("seeds", "splits", "split_seeds"):
        assert list(getattr(PLAN, name)) == getattr(asked, name), name
    assert (PLAN.experiment, PLAN.settled) == (asked.experiment, asked.settled)
    assert PLAN.thresholds == preregistration.thresholds()
    assert PLAN.claims.keys() == confirmation.CLAIMED.keys()
    assert PLAN.failures.keys() <= PLAN.claims.keys()
    for name, planned in PLAN.claims.items():
        assert planned.rule == verdicts.rule_of(preregistration.rule_function(name)), name
        assert planned.protocols == confirmation.CLAIMED[name].protocols, name


@pytest.mark.parametrize("name", confirmation.CLAIMED)
def test_a_claim_looks_up_the_arms_that_the_plan_names(name, arms, qm9_molecules):
    watched = Watched(arms)
    claim = confirmation.CLAIMED[name]
    evidence = verdicts.Evidence(dict.fromkeys(claim.experiments, watched), qm9_molecules)
    claim.test(evidence, claim.protocols[-1])  # with own means nothing is resampled
    planned = PLAN.claims[name]
    assert watched.seen == set(planned.arms)
    of_experiment = study.ConfirmationParameters().by_arm(qm9_molecules)
    for arm in planned.arms:
        assert set(planned.seeds) <= {config.seed for config in of_experiment[arm]}


def test_the_plans_power_follows_from_the_records(arms, qm9_molecules):
    planned = {one.end: one for one in PLAN.claims["general_mse"].power}
    frequency = arms[DEFAULT][0].groups.query("kind == 'size'").groupby("group")["molecules"].sum().rename(index=int)
    (compared,) = (one for one in preregistration.comparisons(frequency, qm9_molecules) if one.claim == "general_mse")
    for again in preregistration.powers(compared, arms):
        assert again.deviation == pytest.approx(planned[again.end].deviation, abs=2e-4)
        for seeds, both in again.chances.items():
            assert both == pytest.approx(planned[again.end].chances[seeds], abs=5e-3)


@pytest.mark.parametrize(("effect", "deviation", "seeds"), [(0.1, 0.2, 8), (-0.1, 0.1, 4), (0.0, 0.1, 12)])
def test_chances_are_those_of_simulated_seeds(effect, deviation, seeds):
    """Of 20,000 studies with normal seeds, how many have an interval wholly on either side of the threshold."""
    rng = np.random.default_rng(0)
    found = {"confirmed": 0, "rejected": 0}
    draws = rng.normal(effect, deviation, (20_000, seeds))
    half = preregistration.stats.t.ppf(0.975, seeds - 1) * draws.std(axis=1, ddof=1) / np.sqrt(seeds)
    found = [np.mean(draws.mean(axis=1) + half < 0), np.mean(draws.mean(axis=1) - half > 0)]
    assert preregistration.chances(effect, 0.0, "below", deviation, 0.0, seeds) == pytest.approx(found, abs=0.015)


def test_both_ends_are_judged(arms, qm9_molecules, monkeypatch):
    few = ("general_mse", "means_alone", "stability")
    monkeypatch.setattr(confirmation, "CLAIMED", {name: confirmation.CLAIMED[name] for name in few})
    both = Arms(arms.experiment, {arm: list(map(two_ended, of)) for arm, of in arms.items()})
    found = confirmation.judged(both, qm9_molecules)
    settled = [("general_mse", "held_out"), ("general_mse", "as_reported"), ("means_alone", "independent")]
    assert {end: [(v.claim, v.protocol) for v in of_end] for end, of_end in found.items()} == {
        "last": [*settled, ("stability", "independent")],
        "settled": settled,
    }
    alone = verdicts.all_claims(verdicts.Evidence({"final-comparison": arms}, qm9_molecules))
    of_last = next(v for v in alone if (v.claim, v.protocol) == ("general_mse", "held_out"))
    for end in found:
        held_out = next(v for v in found[end] if v.protocol == "held_out")
        assert held_out.effect == pytest.approx(of_last.effect)  # both models' errors shrink alike
    level = both[DEFAULT][0]
    assert (level.at("settled").errors["error"] ** 2).mean() == pytest.approx(
        0.81 * (level.errors["error"] ** 2).mean(), rel=1e-5
    )


def test_further_splits_judge_the_claims_whose_arms_they_have(arms, qm9_molecules, monkeypatch):
    few = ("h1", "threshold_2000")
    monkeypatch.setattr(confirmation, "CLAIMED", {name: confirmation.CLAIMED[name] for name in few})
    both = list(map(two_ended, arms[DEFAULT]))
    trained = Arms(arms.experiment, {DEFAULT.on(split): both for split in PLAN.splits})
    found = confirmation.judged_on_splits(PLAN, trained, qm9_molecules)
    assert list(found) == list(PLAN.splits)
    for of_split in found.values():
        assert [verdict.claim for verdict in of_split["settled"]] == ["h1", "h1"]


def test_our_explanation_fails_as_it_was_written_down():
    found = {
        "last": [made_up("h1", "as_reported", "confirmed"), made_up("means_alone", "independent", "confirmed")],
        "settled": [made_up("h1", "held_out", "confirmed"), made_up("means_alone", "independent", "rejected")],
    }
    came = confirmation.failed(PLAN, found)
    assert came.keys() == PLAN.failures.keys()
    assert {name: ends for name, ends in came.items() if ends} == {"h1": ("settled",), "means_alone": ("settled",)}
    assert not any(confirmation.failed(PLAN, {"last": found["last"]}).values())


def test_a_planned_chance_is_that_of_the_least_favourable_comparison():
    def power(part, confirmed, rejected):
        return confirmation.Power(
            part=part, end="last", effect=0, threshold=0, side="below", deviation=1, molecules=0,
            chances={"8": (confirmed, rejected)},
        )  # fmt: skip

    planned = PLAN.claims["h1"]
    for powers, chance in (
        ((power("a", 0.9, 0.0), power("b", 0.6, 0.1)), 0.6),
        ((power("a", 0.9, 0.0), power("b", 0.1, 0.8)), 0.8),
        ((), None),
    ):
        assert confirmation.planned_chance(planned.model_copy(update={"power": powers}), "last") == chance


def test_the_command_tells_verdicts_chances_splits_and_failures(monkeypatch):
    plan = PLAN.model_copy(update={"failures": {"h1": "confirmed by a valley", "general_mse": "confirmed too"}})
    found = {"last": [made_up("h1", "held_out", "rejected")], "settled": [made_up("h1", "held_out", "confirmed")]}
    monkeypatch.setattr(confirmation, "load_plan", lambda: plan)
    monkeypatch.setattr(confirmation, "judged", lambda *_: found)
    monkeypatch.setattr(confirmation, "judged_on_splits", lambda *_: dict.fromkeys(PLAN.splits, found))
    monkeypatch.setattr(study, "recorded", lambda *_, **__: Arms("made up", {}))
    lines = CliRunner().invoke(app, ["verdicts", "--again"], catch_exceptions=False).stdout.splitlines()
    chance = confirmation.planned_chance(PLAN.claims["h1"], "settled")
    assert any(re.match(rf"h1 +settled +held_out +confirmed\* .* {chance:.0%}$", line) for line in lines)
    assert [line for line in lines if line.startswith("split ")] == [f"split {split}" for split in PLAN.splits]
    assert "h1: confirmed by a valley: settled" in lines
    assert "general_mse: confirmed too: no" in lines


def test_no_difference_is_a_finding_only_within_the_margin():
    def verdict(*intervals):
        parts = tuple(
            verdicts.Part(f"part {n}", 1.0, interval, 1 / 1.1, "below", "ratio", 1.0, 1.0)
            for n, interval in enumerate(intervals)
        )
        return verdicts.Verdict(
            "h4", "held_out", "undecided", 1.0, (0.9, 1.1), "ratio", 1 / 1.1, "below", 1.0, 3, 10, "", parts=parts
        )

    assert verdict((0.95, 1.05), (0.92, 1.0)).no_difference
    assert not verdict((0.95, 1.05), (0.9, 1.0)).no_difference
    assert not verdict((0.95, 1.11)).no_difference
    assert not verdict().no_difference


def test_directed_training_can_cross(arms):
    """Either side is judged as a whole: errors that fall through those of the whole part confirm it."""
    longer = Arm("more than", 17, same_updates=True)

    def tilted(record: Record) -> Record:
        errors = record.errors
        factor = np.where(errors["n_atoms"] > 19, 0.8, 1.5)
        return replace(record, errors=errors.assign(error=factor * errors["error"]))

    crossing = Arms("made up", {DEFAULT: arms[DEFAULT], longer: list(map(tilted, arms[DEFAULT]))})
    found = claims.directed_crossing(crossing, "held_out", resamples=100)
    assert found.verdict == "confirmed"
    assert {part.name for part in found.parts if part.family == "claim"} == {"sizes_above", "sizes_below"}
    even = Arms("made up", {DEFAULT: arms[DEFAULT], longer: arms[DEFAULT]})
    assert claims.directed_crossing(even, "held_out", resamples=100).verdict == "rejected"


def test_sizes_at_which_two_arms_surely_differ(arms):
    def tilted(record: Record) -> Record:
        n_atoms = record.errors["n_atoms"]
        factor = np.select([n_atoms > 19, n_atoms < 18], [0.8, 1.2], 1.0)
        return replace(record, errors=record.errors.assign(error=factor * record.errors["error"]))

    made = Arms("made up", {DEFAULT: arms[DEFAULT], Arm("tilted"): list(map(tilted, arms[DEFAULT]))})
    found = confirmation.sizes_apart(made, "tilted", DEFAULT, range(15, 23), end="last", resamples=100)
    assert found == ([20, 21, 22], [15, 16, 17])


def test_the_means_alone_order_the_curve_or_do_not(arms):
    assert claims.means_alone(arms).verdict == "confirmed"
    flat = replace(arms[DEFAULT][0], groups=arms[DEFAULT][0].groups.assign(shift=0.0))
    seeds = [replace(flat, config=flat.config.model_copy(update={"seed": n})) for n in range(3)]
    other = Arms("made up", {DEFAULT: seeds})
    with np.errstate(invalid="ignore", divide="ignore"):
        assert claims.means_alone(other).verdict != "confirmed"


def test_the_table_of_the_report_has_none_of_ours():
    assert not table.CLAIMS.keys() & table.OURS.keys()


def test_the_plan_is_older_than_every_run_that_it_judges():
    """Every record names its commit: the plan stood in it, as it stands now.

    Of some, that commit was lost before it was published; they are younger by the commit that brought them here.
    """

    def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)

    folders = records.recorded_folders(records.results_folder())
    runs = [records.outline(folder) for folder in folders if folder.parent.name == PLAN.experiment]
    path = confirmation.plan_path().relative_to(ROOT).as_posix()
    brought = git(
        "log",
        "--no-renames",
        "--diff-filter=A",
        "--format=commit %H",
        "--name-only",
        "--",
        f"results/{PLAN.experiment}",
    )
    added = {}
    for line in brought.stdout.decode().split("\n"):
        if line.startswith("commit "):
            by = line.removeprefix("commit ")
        elif line:
            added[Path(line).parent.name] = by  # the first commit with it comes last
    named = {run.id: run.about["git"]["commit"] for run in runs}
    there = {commit for commit in set(named.values()) if git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0}
    of_runs = {commit if commit in there else added[run] for run, commit in named.items()}
    assert sum(commit in there for commit in named.values()) > len(runs) / 3
    for commit in {confirmation.REGISTERED, *of_runs}:
        shown = git("show", f"{commit}:{path}")
        assert shown.stdout == confirmation.plan_path().read_bytes(), f"commit {commit} has another plan, or none"
        assert git("merge-base", "--is-ancestor", confirmation.REGISTERED, commit).returncode == 0, commit
    assert all(run.about["git"]["clean"] for run in runs)
    asked = {seed for claim in PLAN.claims.values() for seed in claim.seeds}
    assert {run.config.seed for run in runs} <= asked


def test_a_missing_plan_is_said_in_one_line(tmp_path):
    with pytest.raises(confirmation.PlanError, match=r"plan\.json is missing"):
        confirmation.load_plan(tmp_path / "plan.json")
