"""Command line: ``python -m harness.benchmark run`` measures and records, ``… show`` prints a record's tables."""

from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from analysis.data.errors import UserError
from harness.benchmark import plan
from harness.benchmark import record as benchmark

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_Integers = Annotated[str | None, typer.Option(help="Numbers with commas between them.")]


@app.command()
def run(
    quick: Annotated[bool, typer.Option(help="A check of a few minutes; its numbers are no result.")] = False,
    out: Annotated[Path | None, typer.Option(help="The record; by default the book's, or the next in reruns/.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1)] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Length of a measurement.")] = None,
    molecules: Annotated[int | None, typer.Option(min=1000, help="Training molecules of a measurement.")] = None,
    widths: _Integers = None,
    batches: _Integers = None,
) -> None:
    """Measure, print and record. Started again after a kill, it goes on where it was."""
    asked = plan.settings(
        quick=quick,
        repeats=repeats,
        seconds=seconds,
        molecules=molecules,
        widths=_numbers(widths),
        batches=_numbers(batches),
    )
    out = out or _free_path(quick=quick)
    try:
        plan.measure(out, asked, say=typer.echo)
    except plan.BenchmarkFailedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    show(out)


@app.command()
def lightning(path: Annotated[Path | None, typer.Argument(help="A record; by default the book's.")] = None) -> None:
    """Measure what Lightning costs again, and put it into a record."""
    path = path or benchmark.default_path()
    try:
        plan.measure_lightning(path, say=typer.echo)
    except (benchmark.BenchmarkError, plan.BenchmarkFailedError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def tutorial(
    out: Annotated[Path, typer.Argument(help="The record; the book shows results/benchmark/tutorial-*.json.")],
    quick: Annotated[bool, typer.Option(help="A check of a few minutes; its numbers are no result.")] = False,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure SchNetPack's tutorial on QM9 and `spktrain`, as they are and accelerated.

    Started again after a kill, it goes on where it was.
    """
    try:
        plan.measure_programs(out, repeats=1 if quick else repeats, quick=quick, say=typer.echo)
    except plan.BenchmarkFailedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def ways(
    out: Annotated[Path, typer.Argument(help="The record; the book shows results/benchmark/ways-*.json.")],
    repeats: Annotated[int, typer.Option(min=1)] = 9,
    widths: _Integers = "38,64,128",
    batches: _Integers = "128,512",
) -> None:
    """Measure what the choice of vectors, tiles and products is worth on this machine."""
    from harness.benchmark import ways as trial

    if out.exists():
        typer.echo(f"error: {out} exists: name another file, or remove it to measure it again", err=True)
        raise typer.Exit(1)
    trial.measure(out, repeats=repeats, widths=_numbers(widths), batches=_numbers(batches), say=typer.echo)


@app.command()
def forces(
    out: Annotated[Path, typer.Argument(help="The record, such as results/benchmark/forces-NAME.json.")],
    repeats: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure what forces cost, to train on and to predict, as SchNetPack computes them and accelerated."""
    from harness.benchmark import forces as trial

    if out.exists():
        typer.echo(f"error: {out} exists: name another file, or remove it to measure it again", err=True)
        raise typer.Exit(1)
    trial.measure(out, repeats=repeats, say=typer.echo)


@app.command()
def gpu(
    out: Annotated[Path | None, typer.Argument(help="The record; the book shows results/benchmark/gpu-*.json.")] = None,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    widths: _Integers = "38,64,128",
    batches: _Integers = "128,512,2048",
) -> None:
    """Compare recorded runs with the same on a GPU, and measure how fast it trains; exit code 0 only if they agree."""
    from analysis.data import qm9
    from analysis.data.files import check_output
    from analysis.runs import devices, records
    from harness.benchmark import gpu as trial

    out = out or plan.ROOT / "reruns" / "gpu-check.json"
    if out.exists():
        typer.echo(f"error: {out} exists: name another file, or remove it to measure it again", err=True)
        raise typer.Exit(1)
    asked = plan.settings(repeats=repeats, widths=_numbers(widths), batches=_numbers(batches))
    try:
        with devices.using("cuda"):
            devices.accelerator()
        out.parent.mkdir(parents=True, exist_ok=True)
        check_output(out)
        recorded = trial.book_records(records.results_folder())
    except (UserError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    found = trial.check(out, recorded, qm9.load(), asked, say=typer.echo)
    typer.echo(f"recorded in {out}")
    if not found.agrees:
        typer.echo("error: this GPU does not give what the records say, within the tolerance", err=True)
        raise typer.Exit(1)


@app.command()
def workers(
    out: Annotated[Path, typer.Argument(help="The record, such as results/benchmark/workers-NAME.json.")],
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    profile: Annotated[str, typer.Option(help="Of the runs: smoke or quick.")] = "quick",
) -> None:
    """Measure how long some runs take with one worker and with two, each of one thread; nothing else may be running."""
    from harness.benchmark import workers as trial

    if out.exists():
        typer.echo(f"error: {out} exists: name another file, or remove it to measure it again", err=True)
        raise typer.Exit(1)
    try:
        trial.measure(out, repeats=repeats, profile=profile, say=typer.echo)
    except plan.BenchmarkFailedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def show(path: Annotated[Path | None, typer.Argument(help="A record; by default the book's.")] = None) -> None:
    """Print a record's tables."""
    from harness.benchmark import figures  # slow to import, and not needed to measure

    try:
        record = benchmark.load(path)
    except benchmark.BenchmarkError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for table in figures.TABLES:
        typer.echo(f"\n{table(record, lang='en').to_string()}")
    typer.echo(f"\nrecorded in {path or benchmark.default_path()}")


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no list of whole numbers such as 38,64") from error


def _free_path(*, quick: bool) -> Path:
    """The book's record if there is none yet (never a quick one), else the next name in `reruns/`."""
    if not quick and not benchmark.default_path().exists():
        return benchmark.default_path()
    reruns = plan.ROOT / "reruns"
    names = (f"benchmark{'-quick' if quick else ''}{'' if number == 1 else f'-{number}'}.json" for number in count(1))
    return next(reruns / name for name in names if not (reruns / name).exists())


if __name__ == "__main__":
    app()
