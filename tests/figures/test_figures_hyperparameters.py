from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import study
from analysis.data import thesis
from analysis.evaluation import verdicts
from analysis.figures import hyperparameters, style
from analysis.figures.words import LANGUAGES, say
from analysis.runs.config import adjust
from analysis.runs.records import Record
from analysis.study import search, sweeps, trials
from analysis.training import loop

EACH_LANGUAGE = pytest.mark.parametrize("lang", LANGUAGES)
NAMES = ["batch_size", "learning_rate"]


@pytest.fixture(scope="module")
def recorded() -> list[Record]:
    """Six real trials of the first stage; their numbers are made up below."""
    return trials.recorded(sweeps.load_sweep("stage1"))[:6]


@pytest.fixture
def made(recorded) -> Callable[..., Record]:
    def make(number: int, batch: int, rate: float, mse: float, seconds: float, *, seed: int = 0) -> Record:
        """A record whose loss falls evenly from ten times the last, but for one epoch at half of it."""
        record = recorded[number]
        config = adjust(record.config, training={"batch_size": batch, "learning_rate": rate})
        losses = np.linspace(10 * mse, mse, len(record.history))
        losses[-3] = mse / 2
        return replace(
            record,
            folder=record.folder.parent / f"{number}-{seed}",
            config=config.model_copy(update={"seed": seed}),
            history=record.history.assign(validation_loss=losses),
            about=record.about | {"seconds": {"data": 5.0, "training": seconds - 10, "validation": 10.0}},
        )

    return make


@pytest.fixture
def stage(made) -> trials.Stage:
    """Six trials: two dominated, one pruned, one run asked for twice; the report's and our choice in three seeds."""
    records = {
        "a": made(0, 64, 1e-3, 0.020, 300.0),
        "b": made(1, 512, 1e-3, 0.030, 100.0),
        "c": made(2, 512, 1e-2, 0.050, 120.0),
        "d": made(3, 1024, 1e-4, 0.200, 60.0),
    }
    frame = trials.trials_of([*records.values(), records["a"], records["b"]])
    frame.loc[5, ["state", "run", "validation_mse", "seconds"]] = ["pruned", "", np.nan, np.nan]
    return trials.Stage(
        trials=frame,
        records={record.id: record for record in records.values()},
        report=[records["b"], made(1, 512, 1e-3, 0.040, 90.0, seed=1), made(1, 512, 1e-3, 0.050, 110.0, seed=2)],
        chosen=[records["a"], made(0, 64, 1e-3, 0.024, 310.0, seed=1), made(0, 64, 1e-3, 0.026, 290.0, seed=2)],
    )


def test_a_stage_has_each_record_once(stage):
    assert sorted(record.id for record in stage.runs) == ["0-0", "0-1", "0-2", "1-0", "1-1", "1-2", "2-0", "3-0"]


@EACH_LANGUAGE
def test_the_pareto_plot_has_every_complete_trial_once_and_both_points(stage, lang):
    figure = hyperparameters.pareto(stage, "batch_size", lang=lang)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    points = [line for name, line in lines.items() if name.startswith(say("Batch size", lang))]
    assert sorted(len(line.get_xdata()) for line in points) == [1, 1, 2]
    front = lines[say("Pareto front", lang)]
    assert front.get_xdata().tolist() == pytest.approx([1, 100 / 60, 5])
    assert front.get_ydata().tolist() == pytest.approx([0.2, 0.03, 0.02])
    for name, place in (("the rule’s choice", (5, 0.02)), ("the thesis’s values", (10 / 6, 0.03))):
        (mark,) = lines[say(name, lang)].get_xydata().tolist()
        assert mark == pytest.approx(place)
    data = figure.data.set_index("run")
    assert data["validation_mse_eV2"].to_dict() == pytest.approx({"0-0": 0.02, "1-0": 0.03, "2-0": 0.05, "3-0": 0.2})
    assert sorted(data.index[data["on_front"]]) == ["0-0", "1-0", "3-0"]


@pytest.mark.parametrize("draw", ["pareto", "effects", "curves"])
def test_without_the_reports_point_there_is_no_mark_for_it(stage, draw):
    def names(shown: trials.Stage) -> list[str]:
        given = [] if draw == "curves" else ["batch_size"] if draw == "pareto" else [NAMES]
        figure = getattr(hyperparameters, draw)(shown, *given, lang="en")
        return [line.get_label() for line in figure.axes[0].get_lines()]

    assert say("the thesis’s values", "en") in names(stage)
    assert say("the thesis’s values", "en") not in names(replace(stage, report=[]))
    same = names(replace(stage, chosen=stage.report))
    assert say("the thesis’s values", "en") in same
    assert say("the rule’s choice", "en") not in same


@EACH_LANGUAGE
def test_a_plot_per_hyperparameter(stage, lang):
    figure = hyperparameters.effects(stage, NAMES, lang=lang)
    assert [axes.get_xlabel() for axes in figure.axes] == [say(name, lang) for name in ("Batch size", "Learning rate")]
    narrow = hyperparameters.effects(stage, ["data_cutoff", "training_cutoff", "n_atom_basis"], lang=lang)
    assert max(len(line) for axes in narrow.axes for line in axes.get_xlabel().split("\n")) <= 20
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log"]
    every, chosen, report = figure.axes[0].get_lines()
    assert len(every.get_xdata()) == 4
    assert (list(chosen.get_xdata()), list(report.get_xdata())) == ([64] * 3, [512] * 3)
    assert chosen.get_ydata() == pytest.approx([0.02, 0.024, 0.026])
    assert isinstance(figure, style.BookFigure)
    assert figure.data.columns.tolist() == ["run", *NAMES, "validation_mse_eV2", "series"]
    assert figure.data["series"].value_counts().to_dict() == {
        say(name, lang): count for name, count in (("a trial", 4), ("the rule’s choice", 3), ("the thesis’s values", 3))
    }


@EACH_LANGUAGE
def test_the_curves_are_those_of_the_front_and_of_both_points(stage, lang):
    (axes,) = hyperparameters.curves(stage, lang=lang).axes
    lines = axes.get_lines()
    drawn = sorted(tuple(line.get_ydata()) for line in lines if len(line.get_xdata()) == 30)
    front = [stage.records[run] for run in trials.pareto_front(stage.trials)["run"]]
    wanted = [*front, *stage.report, *stage.chosen]
    assert drawn == sorted(tuple(record.history["validation_loss"]) for record in wanted)
    (line,) = [line for line in lines if line.get_label() == say("the thesis’s epochs", lang)]
    assert line.get_xdata() == [thesis.STAGE1_EPOCHS] * 2
    assert axes.get_yscale() == "log"


def test_a_trial_far_above_the_others_is_named_at_the_edge(stage):
    far = stage.trials["run"] == "2-0"
    collapsed = replace(
        stage, trials=stage.trials.assign(validation_mse=stage.trials["validation_mse"].where(~far, 9.876))
    )
    for figure in (
        hyperparameters.pareto(collapsed, "batch_size", lang="ca"),
        hyperparameters.effects(collapsed, ["learning_rate"], lang="ca"),
    ):
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.texts] == ["9,9"]
        assert axes.get_ylim()[1] < 1
        assert axes.get_xlim()[0] < axes.texts[0].xy[0] < axes.get_xlim()[1]
    assert not hyperparameters.effects(stage, ["learning_rate"], lang="ca").axes[0].texts


def cut(record: Record, epochs: int) -> Record:
    return replace(record, history=record.history.iloc[:epochs])


def test_runs_as_long_as_the_reports_have_no_line_and_no_column_for_its_epochs(stage):
    cutting = {"report": [cut(r, 22) for r in stage.report], "chosen": [cut(r, 22) for r in stage.chosen]}
    short = replace(stage, **cutting)
    names = [line.get_label() for line in hyperparameters.curves(short, lang="en").axes[0].get_lines()]
    assert say("the thesis’s epochs", "en") not in names
    assert "Validation MSE, epoch 22 (eV²)" in hyperparameters.seeds_table(stage, NAMES, lang="en").columns
    assert "Validation MSE, epoch 22 (eV²)" not in hyperparameters.seeds_table(short, NAMES, lang="en").columns


def test_the_table_of_the_front(stage):
    table = hyperparameters.front_table(stage.trials, NAMES, lang="en")
    assert table.index.tolist() == ["3-0", "1-0", "0-0"]
    assert table["Batch size"].tolist() == ["1,024", "512", "64"]
    assert table["Learning rate"].tolist() == ["0.0001", "0.0010", "0.0010"]
    assert table["Validation MSE (eV²)"].tolist() == ["0.2000", "0.0300", "0.0200"]


def test_a_rate_is_shown_with_three_digits_and_a_batch_in_full(made):
    frame = trials.trials_of([made(0, 1024, 0.00241333483, 0.02, 100.0)])
    table = hyperparameters.front_table(frame, NAMES, lang="ca")
    assert table.iloc[0, :2].tolist() == ["1.024", "0,00241"]


def test_the_table_of_values_counts_trials_once(stage):
    table = hyperparameters.value_table(stage.trials, "batch_size", lang="en")
    assert table.index.tolist() == ["64", "512", "1,024"]
    assert table["Trials"].tolist() == ["1", "2", "1"]
    assert table.loc["512"].tolist()[1:] == ["1.8", "0.0400", "0.0300"]


def test_the_table_of_seeds_has_means_and_deviations(stage):
    table = hyperparameters.seeds_table(stage, NAMES, lang="en")
    assert table.index.tolist() == ["the thesis’s values", "the rule’s choice"]
    losses = np.array([0.03, 0.04, 0.05])
    assert table["Validation MSE (eV²)"].iloc[0] == f"{losses.mean():.4f} ± {losses.std(ddof=1):.4f}"
    assert table["Seeds"].tolist() == ["3", "3"]
    after = np.linspace(10, 1, 30)[21] * losses
    assert table["Validation MSE, epoch 22 (eV²)"].iloc[0] == f"{after.mean():.4f} ± {after.std(ddof=1):.4f}"


def test_the_facts_of_a_stage(stage):
    ca, en = (hyperparameters.facts(stage, lang=lang) for lang in LANGUAGES)
    assert ca.keys() == en.keys()
    assert (en["trials"], en["front"], en["seeds"], en["epochs"]) == ("4", "3", "3", "30")
    assert (en["best"], en["worst"], en["worst_batch_size"]) == ("0.0200", "0.20", "1,024")
    assert (en["quickest"], en["slowest"], en["same_work"]) == ("1.0", "5.0", "1.2")
    assert (en["chosen_first"], en["chosen_others"]) == ("0.0200", "0.0250 ± 0.0014")
    assert (en["report"], en["times"]) == ("0.0400 ± 0.0100", "1.6")
    assert (en["report_range"], en["chosen_range"]) == ("1.7", "1.3")
    assert (en["over_lowest"], en["lowest_at"]) == ("2.00", "28")
    assert en["jump"] == style.number(2 * np.linspace(10, 1, 30)[-5], "en", 1)
    low, high = np.quantile(np.log([0.02, 0.03, 0.05, 0.2]), [0.1, 0.9])
    assert en["spread"] == en["spread_smooth"] == f"{np.exp(high - low):.1f}"
    assert (en["correlation_batch_size"], en["correlation_learning_rate"]) == ("0.95", "−0.32")
    assert "correlation_n_rbf" not in en
    assert (en["of_batch"], en["better_of_batch"]) == ("1", "none has")
    assert (en["report_batch_minutes"], en["chosen_batch_minutes"]) == ("1.8", "5.0")
    assert "report" not in hyperparameters.facts(replace(stage, report=[]), lang="en")


@pytest.fixture
def verdict() -> verdicts.Verdict:
    rng = np.random.default_rng(0)
    basis = rng.integers(20, 65, 30)
    cutoffs = {"data_cutoff": rng.choice([3.0, 4.0, 5.0], 30), "training_cutoff": rng.choice([4.0, 5.0], 30)}
    losses = np.exp(-basis / 20 + 0.02 * rng.standard_normal(30))
    frame = pd.DataFrame({"n_atom_basis": basis, "validation_mse": losses} | cutoffs)
    return verdicts.stage2(frame.assign(state="complete", run=[str(n) for n in range(30)]), 0.02)


def test_the_table_of_hyperparameters_says_what_the_loss_goes_with(verdict):
    table = hyperparameters.parameters_table(verdict, lang="en")
    assert table.index.tolist() == ["Data cutoff (Å)", "Training cutoff (Å)", "Features"]
    assert table["Goes with it"].tolist() == ["not seen", "not seen", "yes"]
    assert float(table["Spearman with MSE"].iloc[2].replace("−", "-")) < -0.9
    assert [float(p) for p in table["p by permutation"]] == pytest.approx(
        [part.p_rejected for part in verdict.parts if part.family == "parameters"], abs=5e-5
    )


def test_the_facts_of_the_verdict(verdict):
    found = hyperparameters.verdict_facts(verdict, lang="en")
    assert found["verdict"] == "rejected"
    assert found["ratio"] == f"{verdict.effect:.2f}"
    assert (found["low"], found["high"]) == tuple(f"{end:.2f}" for end in verdict.interval)
    assert (found["by_seeds"], found["limit"]) == (f"{verdict.threshold / 1.1:.2f}", f"{verdict.threshold:.2f}")


# ---- what the pages say, held to the records -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(qm9_molecules) -> dict[str, trials.Stage]:
    """What the book shows; a test that had to train it would be wrong."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "train", lambda *_, **__: pytest.fail("it is not recorded in full"))
        return {
            name: search.load_or_search(sweeps.load_sweep(name), search.SearchParameters(), qm9_molecules)
            for name in thesis.STAGES
        }


def losses(records: Iterable[Record]) -> list[float]:
    return [record.history["validation_loss"].iloc[-1] for record in records]


@pytest.mark.parametrize("name", thesis.STAGES)
def test_both_points_are_recorded_in_three_seeds(shown, name):
    stage = shown[name]
    for records in (stage.report, stage.chosen):
        assert [record.config.seed for record in records] == [0, 1, 2]
    values = sweeps.parameters_of(stage.report[0].config)
    assert {key: values[key] for key in thesis.STAGES[name]} == thesis.STAGES[name]
    assert stage.chosen[0].id == trials.choose(stage.trials)["run"]
    assert len(stage.trials) >= sweeps.load_sweep(name).run_cap


def test_what_the_page_says_of_the_first_stage_holds_in_the_records(shown, qm9_molecules):
    stage = shown["stage1"]
    complete = stage.trials
    front = trials.pareto_front(complete)
    assert front["batch_size"].is_monotonic_decreasing
    assert front["run"].iloc[-1] == stage.chosen[0].id
    assert stage.report[0].id not in set(front["run"])
    facts = hyperparameters.facts(stage, lang="en")
    assert float(facts["correlation_batch_size"]) > 0.6
    assert abs(float(facts["correlation_learning_rate"])) < 0.3
    assert facts["better_of_batch"] == "one has"
    assert int(facts["lowest_at"]) > thesis.STAGE1_EPOCHS
    lowest = [record.history["validation_loss"].argmin() + 1 for record in stage.records.values()]
    assert np.mean(np.array(lowest) > 24) > 0.9  # "nearly all were still learning"
    assert all(r.history["validation_loss"].iloc[21] > r.history["validation_loss"].iloc[-1] for r in stage.report)
    assert float(facts["jump"]) > 1 + 3 * trials.TOLERANCE
    assert float(facts["times"]) > 1.2
    jumped = max(stage.chosen, key=lambda record: losses([record]))
    assert losses([jumped])[0] > min(losses(stage.report))
    assert jumped.history["validation_loss"].iloc[-2] < 0.5 * losses([jumped])[0]
    assert stage.chosen[0].config.training.batch_size < stage.report[0].config.training.batch_size

    worst = complete.loc[complete["validation_mse"].idxmax()]
    assert worst["learning_rate"] == complete["learning_rate"].max()
    history = stage.records[worst["run"]].history["validation_loss"]
    assert history.min() < 0.05  # it was learning
    assert (history.tail(10) > 9).all()
    target = qm9_molecules.energy - stage.records[worst["run"]].offsets().of(qm9_molecules)
    assert worst["validation_mse"] == pytest.approx(np.mean(target**2), rel=0.1)


def test_what_the_page_says_of_the_second_stage_holds_in_the_records(shown):
    stage = shown["stage2"]
    assert stage.trials["validation_mse"].min() > 2 * shown["stage1"].trials["validation_mse"].min()
    front = trials.pareto_front(stage.trials)
    assert front["n_atom_basis"].corr(pd.Series(range(len(front)), index=front.index), method="spearman") > 0.8
    report, chosen = (sweeps.parameters_of(records[0].config) for records in (stage.report, stage.chosen))
    assert {name for name in report if report[name] != chosen[name]} == {"n_atom_basis"}
    assert chosen["n_atom_basis"] == sweeps.load_sweep("stage2").space["n_atom_basis"].high
    assert max(losses(stage.chosen)) < min(losses(stage.report))
    facts = {name: hyperparameters.facts(each, lang="en") for name, each in shown.items()}
    assert float(facts["stage2"]["spread_smooth"]) < 0.8 * float(facts["stage2"]["spread"])
    assert float(facts["stage2"]["spread_smooth"]) < float(facts["stage1"]["spread_smooth"]) / 2
    for of_stage in facts.values():
        assert float(of_stage["report_range"]) > 1 + 2 * trials.TOLERANCE


def test_the_second_stage_is_undecided_whichever_seeds_are_taken(shown, qm9_molecules):
    stage = shown["stage2"]
    own = [stage.report, stage.chosen]
    repeated = trials.repeated(sweeps.load_sweep("stage2"))
    assert {record.id for of in repeated for record in of} == {record.id for of in own for record in of}
    for points in (own, study.recorded(study.FinalComparisonParameters(), qm9_molecules).values()):
        found = verdicts.stage2(stage.trials, verdicts.seed_deviation(points))
        assert found.verdict == "undecided"
        parts = {part.name: part for part in found.parts if part.family == "parameters"}
        assert {part.verdict for part in parts.values()} == {"undecided"}
        assert min(parts.values(), key=lambda part: part.p_rejected).name == "n_atom_basis"
