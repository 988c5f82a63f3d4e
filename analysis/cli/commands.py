"""The study from the command line: what is recorded, train what is missing or once more, show a record, predict."""

import difflib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer

from analysis import study
from analysis.data import qm9
from analysis.data.files import check_output
from analysis.data.molecules import Molecules
from analysis.evaluation import error_sources, verdicts
from analysis.evaluation.prediction_intervals import KINDS, UNKNOWN
from analysis.evaluation.verdicts import confirmation
from analysis.predict import geometries, outputs
from analysis.runs import checkout, devices, protocols, records
from analysis.runs.config import RunConfig
from analysis.runs.console import OneLineErrors, aligned, clock, complain
from analysis.study.parameters import parsed

if TYPE_CHECKING:
    from analysis.study.sweeps import Sweep

app = typer.Typer(
    cls=OneLineErrors,
    add_completion=False,
    no_args_is_help=True,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_NAMED = 10  # as many records are named for a prefix that fits several

_Experiment = Annotated[str, typer.Argument(help=f"{', '.join(study.EXPERIMENTS)}, or all.")]
_Profile = Annotated[str, typer.Option(help="smoke, quick or full.")]
_Seeds = Annotated[str | None, typer.Option(help="Numbers with commas between them; by default each experiment's own.")]
_Results = Annotated[
    Path | None,
    typer.Option(
        help="Where records lie; by default what the variable COMPENDIUM_RESULTS names, the checkout's results/, or "
        "results/ in the working folder.",
    ),
]
_Device = Annotated[str, typer.Option(help="Where runs are trained: auto (a GPU if there is one), cpu or cuda.")]
_RunId = Annotated[str, typer.Argument(help="A run's id, or its beginning; experiment/id if several have it.")]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"{checkout.PROJECT} {checkout.version()}")
        raise typer.Exit


@app.callback()
def _every_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


@app.command("list")
def list_runs(
    experiment: _Experiment = "all",
    profile: _Profile = "full",
    seeds: _Seeds = None,
    results: _Results = None,
    check: Annotated[bool, typer.Option("--check", help="Read all files of each record and check them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON and nothing else.")] = False,
) -> None:
    """List every run of the study, or of one experiment, and records that are none of these."""
    from analysis.study import sweeps  # Optuna takes a quarter of a second to import

    results = results or records.results_folder()
    molecules = qm9.load()
    configs = study.plan(molecules, experiment, profile=profile, seeds=_numbers(seeds))
    data = molecules.fingerprint()
    found = [study.status(config, data, results, whole=check) for config in configs]
    if as_json:
        typer.echo(json.dumps(_as_data(found, molecules), indent=1))
        return
    searches, others = [], []
    if experiment == "all":
        searches = [_over(sweeps.load_sweep(name), results) for name in sweeps.shipped()]
        ours = {one.folder for one in found}
        ours |= {results / sweep.experiment / run for sweep, over, _ in searches for run in over["run"]}
        ours |= {record.folder for _, _, repeats in searches for point in repeats for record in point}
        others = study.other_records(ours, results, whole=check)
    if not records.recorded_folders(results):
        complain(_no_records(results))
    typer.echo(_table(found, profile))
    states = [one.state for one in found]
    known = ("recorded", "under way", "cut off", "missing", "damaged")
    damaged = [one for one in found + others if one.state == "damaged"]
    typer.echo(f"\n{len(found)} runs: " + ", ".join(f"{states.count(state)} {state}" for state in known))
    if "cut off" in states:
        typer.echo("`python -m analysis run` continues what was cut off after its last finished epoch")
    for sweep, over, repeats in searches:
        ended = {"recorded": "complete", "diverged": "failed", "stopped": "pruned"}
        counted = ", ".join(f"{(over['state'] == state).sum()} {word}" for word, state in ended.items())
        seeds = f"; {sum(map(len, repeats))} records of points in several seeds" if repeats else ""
        said = f"{len(over)} trials are over, {sweep.run_cap} were asked for: {counted}{seeds}"
        typer.echo(f"{sweep.experiment}: {said}")
    if others:
        typer.echo(f"\n{len(others)} other records, of none of these experiments or with other parameters:\n")
        typer.echo(_table(others, profile))
    for one in damaged:
        complain(f"damaged: {one.problem}")
    if damaged:
        raise typer.Exit(1)


@app.command()
def run(
    experiment: _Experiment = "all",
    profile: _Profile = "full",
    seeds: _Seeds = None,
    only: Annotated[
        list[str] | None, typer.Option("--run", help="Of these runs only the one with this id; once for each.")
    ] = None,
    logger: Annotated[str, typer.Option(help="csv, tensorboard, wandb (offline) or none.")] = "csv",
    device: _Device = "auto",
    results: _Results = None,
) -> None:
    """Train and record what is missing, seed by seed; started again after a kill or Ctrl-C, it continues.

    Started several times, on one machine or on several that share the results, the processes share the runs.
    """
    from analysis.cli import runner  # torch takes seconds to import

    results = results or records.results_folder()
    log = runner.logger_named(logger)
    if checkout.folder() is None:
        complain(f"records go to {results}")
    molecules = qm9.load()
    configs = study.seed_by_seed(study.plan(molecules, experiment, profile=profile, seeds=_numbers(seeds)))
    if only:
        by_id = {config.run_id(molecules.fingerprint()): config for config in configs}
        if unknown := [one for one in only if one not in by_id]:
            raise study.StudyError(f"no run of these has the id {unknown[0]}: `python -m analysis list` says which do")
        configs = [by_id[one] for one in only]
    with devices.using(device):
        runner.run(configs, molecules, results, profile=profile, logger=log)


@app.command()
def verify(
    run_id: _RunId,
    results: _Results = None,
    threads: Annotated[int | None, typer.Option(min=1, help="By default as many as the record's.")] = None,
    device: _Device = "auto",
    out: Annotated[Path | None, typer.Option(help="Keep what was found in this file too, as JSON.")] = None,
) -> None:
    """Train a recorded run again, in a temporary folder, and compare; the record is not touched."""
    from analysis.cli import runner  # torch takes seconds to import

    recorded = records.load(_find(run_id, results or records.results_folder()))
    with devices.using(device):
        runner.verify(recorded, _name(recorded), threads=threads, out=out)


@app.command()
def show(run_id: _RunId, results: _Results = None) -> None:
    """Show a record: configuration, data, times, versions, machine, losses, and errors under both protocols."""
    record = records.load(_find(run_id, results or records.results_folder()))
    about = record.about
    typer.echo(f"run {_name(record)}\n{record.folder}")
    special, usual = _settings(record.config)
    _section("settings that differ from the default", special or {"": "none"})
    _section("settings at the default", usual)
    _section("molecules", about["molecules"] | {"fingerprint": about["molecules_fingerprint"]})
    prepared = about.get("preparation_seconds")
    before = {} if prepared is None else {"preparation, in no phase": prepared}
    _section("wall time", {phase: clock(seconds) for phase, seconds in (before | about["seconds"]).items()})
    _section("versions", about["versions"])
    git = about.get("git") or {}
    code = {"code": git.get("commit", "outside a git checkout") + ("" if git.get("clean", True) else ", changed")}
    _section("machine", about["machine"] | code)
    last = record.history.iloc[-1].drop("epoch")
    _section(
        f"after {len(record.history)} epochs, eV²",
        {name.replace("_", " "): f"{value:.5g}" for name, value in last.items()},
    )
    for kind, title in (("all", "mean squared error, eV²"), ("size", "mean squared error by number of atoms, eV²")):
        typer.echo(f"\n{title}")
        typer.echo(_mse(record, kind))


@app.command()
def export(
    run_id: _RunId,
    folder: Annotated[Path, typer.Argument(help="A new folder, for a script, the molecules and their split.")],
    results: _Results = None,
) -> None:
    """Write what SchNetPack's own command line, spktrain, needs to train a recorded run's configuration."""
    found = records.outline(_find(run_id, results or records.results_folder()))
    from analysis.training import spktrain  # torch takes seconds to import

    script = spktrain.export(found.config, qm9.load(), folder)
    typer.echo(f"`sh {script}` trains it, `python -m analysis record {folder}` then makes a record of it")


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="What `export` wrote, after its script has trained.")],
    results: _Results = None,
) -> None:
    """Make a record of what spktrain has trained, evaluated as every run is."""
    from analysis.training import spktrain  # torch takes seconds to import

    made = spktrain.record(folder, qm9.load(), results=results)
    typer.echo(f"{_name(made)}\n{made.folder}")


@app.command("verdicts")
def judge(
    again: Annotated[bool, typer.Option("--again", help="By the preregistered runs, at both ends.")] = False,
    results: _Results = None,
) -> None:
    """Judge every claim of the report by the records: verdict, effect, interval, under both protocols."""
    from analysis.study import sweeps, trials  # Optuna takes a quarter of a second to import

    molecules = qm9.load()
    if again:
        _judge_again(molecules, results)
        return
    stage2 = sweeps.load_sweep("stage2")
    over = trials.known(stage2, results=results)
    evidence = verdicts.Evidence(
        {
            name: study.recorded(parameters(), molecules, results=results)
            for name, parameters in study.EXPERIMENTS.items()
            if any(name in claim.experiments for claim in verdicts.CLAIMS.values())
        },
        molecules,
        over if len(over) >= stage2.run_cap else None,
        trials.repeated(stage2, results=results),
    )
    found = verdicts.all_claims(evidence)
    rows = [("claim", "section", "the report", "protocol", "verdict", "effect", "95 % interval", "seeds")]
    for verdict in found:
        claim = verdicts.CLAIMS[verdict.claim]
        rows.append((verdict.claim, claim.section, claim.said, *_verdict_cells(verdict)))
    typer.echo(aligned(rows))
    if any(verdict.verdict != verdict.verdict_in_table for verdict in found):
        typer.echo("* does not stand after Holm's correction over the whole table")
    if evidence.trials is None or not evidence.repeats:
        typer.echo(
            "stage2 is not judged: its search is not over (python -m analysis.study.search run stage2), or none of "
            "its points is recorded in several seeds (the notebook 02_hyperparameter_search runs them)"
        )
    for name, rule in {verdict.claim: verdict.rule for verdict in found}.items():
        typer.echo(f"\n{name}: {rule}")


@app.command("error-sources")
def find_error_sources(
    model: Annotated[str, typer.Argument(help=f"{', '.join(error_sources.MODELS)}, or all.")] = "all",
    results: _Results = None,
) -> None:
    """Compute what drives the error of a model from its recorded runs, and record it in results/drivers (minutes)."""
    # The import of scikit-learn, which no other command needs, takes a second.
    from analysis.evaluation.error_sources import compute

    if model not in (*error_sources.MODELS, "all"):
        raise study.StudyError(f"there is no model {model!r}: choose one of {', '.join(error_sources.MODELS)}, or all")
    molecules = qm9.load()
    models = study.recorded(study.FinalComparisonParameters(), molecules, results=results)
    recorded = (results or records.results_folder()) / "drivers"
    recorded.mkdir(parents=True, exist_ok=True)
    check_output(recorded / "about.json")
    for name in error_sources.MODELS if model == "all" else (model,):
        found = compute.analyse(
            name, models[name], molecules, progress=lambda what, name=name: typer.echo(f"{name}: {what}", err=True)
        )
        folder = recorded / name
        error_sources.save(found, folder)
        shares = ", ".join(f"{part} {row.value:.0%}" for part, row in found.parts.iterrows())
        typer.echo(f"{folder}: squared error: {shares}; weak group: {found.about['weak_group'] or 'none'}")


@app.command()
def predict(
    files: Annotated[list[Path] | None, typer.Argument(help=f"{', '.join(geometries.FORMATS)}; - reads stdin.")] = None,
    smiles: Annotated[list[str] | None, typer.Option(help="SMILES or InChI; its geometry is then not DFT's.")] = None,
    run_id: Annotated[
        list[str] | None, typer.Option("--run", help="A recorded model in place of Beyond's five; one per seed.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Of files whose name does not say it, and of stdin.")] = "",
    column: Annotated[str, typer.Option(help="Of CSV files: the one with the SMILES.")] = "smiles",
    geometry: Annotated[
        str, typer.Option(help=f"Of what kind the geometries in files are: {', '.join(KINDS)}, or {UNKNOWN}.")
    ] = UNKNOWN,
    relax: Annotated[
        bool, typer.Option("--relax", help="Relax each molecule first, on models that have learnt forces.")
    ] = False,
    out: Annotated[list[Path] | None, typer.Option(help=f"Write to this file too: {outputs.ENDINGS}.")] = None,
    outside: Annotated[
        bool, typer.Option("--outside", help="Predict molecules that the models know none like, too; no interval.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    results: _Results = None,
) -> None:
    """Predict U0 and the energy of atomisation of molecules, with an interval; refuse where none would hold.

    Exit codes: 0, every molecule is predicted; 1, some are refused, or something else is wrong; 2, wrong usage.
    """
    for path in out or ():
        outputs.check(path)
    if not (files or smiles):
        raise study.StudyError("there is nothing to predict: name a file, or give a --smiles")
    if geometry not in (*KINDS, UNKNOWN):
        raise study.StudyError(f"there is no kind of geometry {geometry!r}: {', '.join(KINDS)} or {UNKNOWN}")
    found = [records.load(_find(wanted, results or records.results_folder())) for wanted in run_id or ()]
    from analysis.cli import predicting  # numba, which the networks need, takes a third of a second to import

    of_files = (
        replace(one, kind=geometry) if one.kind == UNKNOWN else one
        for path in files or ()
        for one in geometries.read_file(path, form=form, column=column)
    )
    given = chain(of_files, geometries.all_from_smiles(smiles or ()))
    predicting.predict_all(given, found, out or (), relax=relax, outside=outside, as_json=as_json, results=results)


@app.command()
def md(
    file: Annotated[Path | None, typer.Argument(help=f"One molecule: {', '.join(geometries.FORMATS)}.")] = None,
    smiles: Annotated[str | None, typer.Option(help="SMILES or InChI, in place of a file.")] = None,
    run_id: Annotated[
        list[str] | None, typer.Option("--run", help="A model that was trained on forces; one per seed.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Of a file whose name does not say it, and of stdin.")] = "",
    ps: Annotated[float, typer.Option(help="How long, ps.")] = 10.0,
    temperature: Annotated[float, typer.Option(help="For which velocities are drawn, K.")] = 300.0,
    timestep: Annotated[float, typer.Option(help="Of the integration, fs.")] = 0.5,
    langevin: Annotated[bool, typer.Option("--langevin/--nve", help="A thermostat, or constant energy.")] = False,
    friction: Annotated[float, typer.Option(help="Of the thermostat, 1/ps.")] = 2.0,
    relax: Annotated[bool, typer.Option("--relax", help="Begin at the geometry at rest.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the velocities and the thermostat.")] = 0,
    every: Annotated[int, typer.Option(help="One frame is kept in so many steps.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Write the frames to this file: .extxyz or .xyz.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw energy and temperature into this file: .png.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    results: _Results = None,
) -> None:
    """Simulate a molecule by models that have learnt forces, and say whether the simulation can be believed.

    Exit codes: 0, it ran to its end; 1, it was stopped or refused, or something else is wrong; 2, wrong usage.
    """
    if (file is None) == (smiles is None):
        raise study.StudyError("md takes one molecule: name a file, or give a --smiles")
    from analysis.cli import dynamics  # numba, which the networks need, takes a third of a second to import

    dynamics.check_outputs(out, plot)
    given = geometries.all_from_smiles([smiles]) if file is None else geometries.read_file(file, form=form)
    molecule = dynamics.only(given)
    models = [records.load(_find(wanted, results or records.results_folder())) for wanted in run_id or ()]
    settings = dynamics.Settings(
        ps=ps,
        timestep=timestep,
        temperature=temperature,
        thermostat="langevin" if langevin else None,
        friction=friction,
        seed=seed,
        every=every,
    )
    dynamics.run(molecule, models, settings, at_rest=relax, out=out, plot=plot, as_json=as_json, results=results)


def _judge_again(molecules: Molecules, results: Path | None) -> None:
    """The preregistered claims at both ends, on the usual split and on the others; and what would count against us."""
    plan = confirmation.load_plan()
    recorded = study.recorded(study.ConfirmationParameters(), molecules, results=results)
    found = confirmation.judged(recorded.on(None), molecules)
    headings = ("claim", "end", "protocol", "verdict", "effect", "95 % interval", "seeds", "no difference")
    typer.echo(aligned([(*headings, "planned chance"), *_judged_rows(found, plan)]))
    for split, of_split in confirmation.judged_on_splits(plan, recorded, molecules).items():
        typer.echo(f"\nsplit {split}")
        typer.echo(aligned([headings, *_judged_rows(of_split)]))
    typer.echo("\nbeside a verdict, *: it does not stand after Holm's correction over the claims at this end")
    typer.echo("planned chance: of a decision over held-out molecules, if the effects are those of the first records")
    typer.echo("\nagainst our own explanation")
    for name, ends in confirmation.failed(plan, found).items():
        typer.echo(f"{name}: {plan.failures[name]}: {' and '.join(ends) or 'no'}")


def _judged_rows(found: Mapping[str, Sequence[verdicts.Verdict]], plan: confirmation.Plan | None = None) -> list[tuple]:
    """A row per end and verdict; with the plan, each with the chance of a decision that it foresaw."""
    rows = []
    for end, of_end in found.items():
        for verdict in of_end:
            row = (verdict.claim, end, *_verdict_cells(verdict), "within a tenth" if verdict.no_difference else "")
            chance = plan and confirmation.planned_chance(plan.claims[verdict.claim], end)
            held_out = verdict.protocol == verdicts.PROTOCOLS[0]
            rows.append(row if plan is None else (*row, f"{chance:.0%}" if chance is not None and held_out else ""))
    return rows


def _verdict_cells(verdict: verdicts.Verdict) -> tuple[str, ...]:
    star, (low, high) = "" if verdict.verdict == verdict.verdict_in_table else "*", verdict.interval
    numbers = (f"{verdict.effect:.3g}", f"{low:.3g} to {high:.3g}", str(verdict.n_seeds))
    return (verdict.protocol, verdict.verdict + star, *numbers)


def _numbers(text: str | None) -> list | None:
    """Seeds with commas, in brackets or not; whether they can be is for `study.plan` to check."""
    if text is None:
        return None
    found = parsed(text)
    return list(found) if isinstance(found, list | tuple) else [found]


def _find(wanted: str, results: Path) -> Path:
    """The folder of the one record whose id begins so; `experiment/id` names it among several."""
    folders = {f"{folder.parent.name}/{folder.name}": folder for folder in records.recorded_folders(results)}
    if not folders:
        raise study.StudyError(_no_records(results))
    fitting = [name for name in folders if (name if "/" in wanted else folders[name].name).startswith(wanted)]
    if len(fitting) > 1:
        more = f" and {len(fitting) - _NAMED} more" if len(fitting) > _NAMED else ""
        raise study.StudyError(f"{wanted!r} fits several records: {', '.join(fitting[:_NAMED])}{more}")
    if not fitting:
        ids = sorted({folder.name for folder in folders.values()})
        nearest = difflib.get_close_matches(wanted.rpartition("/")[2], ids, n=3, cutoff=0.0)
        raise study.StudyError(f"no record {wanted!r} in {results}; the nearest ids are {', '.join(nearest)}")
    return folders[fitting[0]]


def _no_records(results: Path) -> str:
    return (
        f"there are no records in {results}: --results, or {records.RESULTS_VARIABLE}, names the folder that holds them"
    )


def _name(record: records.Record) -> str:
    return f"{record.id} ({record.folder.parent.name}, seed {record.config.seed}: {study.describe(record.config)})"


def _as_data(found: Sequence[study.Status], molecules: Molecules) -> list[dict[str, object]]:
    """What other programs are told of each run; "expected_seconds" is the whole run's, None where nothing is known."""
    expected = study.expected_seconds(found, molecules)
    return [
        {
            "id": one.folder.name,
            "experiment": one.folder.parent.name,
            "seed": one.config.seed,
            "start": one.config.start,
            "state": one.state,
            "epochs": one.config.epochs,
            "epochs_done": one.epochs,
            "seconds": None if one.outline is None else one.outline.seconds,
            "expected_seconds": seconds,
            "problem": one.problem,
        }
        for one, seconds in zip(found, expected, strict=True)
    ]


def _table(found: Sequence[study.Status], profile: str) -> str:
    head = ("run", "experiment", "seed", "state", "validation, eV²", "time", "what is special")
    return aligned([head, *(_row(one, profile) for one in found)])


def _over(sweep: "Sweep", results: Path) -> tuple["Sweep", pd.DataFrame, list[list[records.Record]]]:
    """A search, its trials that are over, and its points in several seeds: none if a damaged record is among them."""
    from analysis.study import trials

    try:
        return sweep, trials.known(sweep, results=results), trials.repeated(sweep, results=results)
    except records.RecordError:
        return sweep, trials.trials_of([]), []


def _row(one: study.Status, profile: str) -> tuple[str, ...]:
    state, loss, seconds = str(one.state), "", ""
    if one.outline is not None:
        value = one.outline.validation_loss
        loss = "?" if value is None else f"{value:.4g}"
        seconds = clock(one.outline.seconds)
    elif one.epochs is not None:
        state = f"{state}, {one.epochs} of {one.config.epochs} epochs done"
    seed, what = ("?", "?") if one.config is None else (str(one.config.seed), study.describe(one.config, profile))
    return one.folder.name, one.folder.parent.name, seed, state, loss, seconds, what


def _settings(config: RunConfig) -> tuple[dict[str, object], dict[str, object]]:
    """Settings that differ from the default, and those that don't, by their full name."""
    default, given = (
        pd.json_normalize(one.model_dump()).to_dict("records")[0]
        for one in (RunConfig(experiment=config.experiment), config)
    )
    usual = {name: value for name, value in given.items() if name in default and value == default[name]}
    del usual["experiment"]
    return {name: value for name, value in given.items() if name not in usual}, usual


def _section(title: str, content: dict[str, object]) -> None:
    typer.echo(f"\n{title}\n" + textwrap.indent(aligned([(name, str(value)) for name, value in content.items()]), "  "))


def _mse(record: records.Record, kind: str) -> str:
    table = protocols.mse(record.groups, kind).rename_axis(None)
    table.columns = ["molecules held out", "held out", "as reported"]
    with pd.option_context("display.max_rows", None):
        return table.to_string(float_format=lambda value: f"{value:.4g}", na_rep="-")
