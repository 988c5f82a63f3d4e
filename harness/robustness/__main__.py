"""``python -m harness.robustness run`` kills, injects faults, fuzzes and records; ``… show`` prints a record."""

from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from analysis.data.files import check_output, whole_file
from analysis.runs import measured
from harness.kept import ForeignError
from harness.robustness import kills, load, plan, warned
from harness.robustness import record as robustness
from harness.robustness.processes import ROOT

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command()
def run(
    quick: Annotated[bool, typer.Option(help="A check of some minutes; no result.")] = False,
    out: Annotated[Path | None, typer.Option(help="The record; by default the book's, or the next in reruns/.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the moments of the kills, and of the mutations.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="No further job is started after that.")] = 120.0,
) -> None:
    """Kill, inject faults, fuzz, and record the outcome. Started again after a kill, it goes on where it was."""
    try:
        done = plan.carry_out(out or _free_path(quick=quick), quick=quick, seed=seed, minutes=minutes, say=typer.echo)
    except (plan.RobustnessFailedError, ForeignError, kills.UndisturbedError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if done is None:
        return
    if troubles := robustness.troubles(done):
        typer.echo("\n".join(f"failed: {trouble}" for trouble in troubles), err=True)
        raise typer.Exit(1)
    typer.echo(f"{done.kills} kills: nothing half-written was read, nothing recorded was lost, all numbers are equal")


@app.command("warnings")
def warnings_of_predictions(
    out: Annotated[Path | None, typer.Option(help="The record; by default the book's.")] = None,
    some: Annotated[int, typer.Option(min=1, help="Test molecules to make wrong geometries from.")] = 1000,
) -> None:
    """Count the good and the wrong geometries that a prediction warns about, and record it (minutes)."""
    out = out or robustness.warnings_path()
    check_output(out)
    found = warned.measure(some)
    with whole_file(out) as temporary:
        found.to_csv(temporary, index=False, lineterminator="\n")
    typer.echo(found.to_string(index=False))


@app.command()
def memory(
    quick: Annotated[bool, typer.Option(help="A check of a minute; no result.")] = False,
    out: Annotated[Path | None, typer.Option(help="The record; by default the book's, or reruns/memory.json.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training.")] = 1,
) -> None:
    """Train each configuration of the study on all of QM9 and record the memory it took (half an hour)."""
    out = out or (
        ROOT / "reruns" / "memory.json" if quick or robustness.memory_path().exists() else robustness.memory_path()
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    check_output(out)
    try:
        found = load.memory_of_study(epochs, few=2 if quick else None)
    except load.StudyMemoryError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    measured.write(out, found)
    typer.echo(f"{found.runs} trainings in {found.memory / 1e9:.2f} GB of memory: {out}")


@app.command()
def page(
    quick: Annotated[bool, typer.Option(help="A check of a minute; no result.")] = False,
    out: Annotated[Path | None, typer.Option(help="The record; by default the book's, or reruns/page.json.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the changes.")] = 0,
) -> None:
    """Give the book's page that predicts odd input, and take its times, slowed down too (minutes; needs Chromium)."""
    from harness.robustness import page as trial  # it needs a browser

    out = out or (ROOT / "reruns" / "page.json" if quick or robustness.page_path().exists() else robustness.page_path())
    out.parent.mkdir(parents=True, exist_ok=True)
    check_output(out)
    found, troubles = trial.measure(quick=quick, seed=seed)
    measured.write(out, found)
    typer.echo(f"recorded in {out}")
    if troubles:
        typer.echo("\n".join(f"failed: {trouble}" for trouble in troubles), err=True)
        raise typer.Exit(1)


@app.command()
def show(path: Annotated[Path | None, typer.Argument(help="A record; by default the book's.")] = None) -> None:
    """Print a record's tables."""
    from harness.robustness import figures  # slow to import, and not needed for killing

    try:
        record = robustness.load(path)
    except robustness.RobustnessError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for table in figures.TABLES:
        typer.echo(f"\n{table(record, lang='en').to_string()}")


def _free_path(*, quick: bool) -> Path:
    """The book's record if there is none yet (never a quick one), else the next name in `reruns/`."""
    if not quick and not robustness.default_path().exists():
        return robustness.default_path()
    names = (f"robustness{'-quick' if quick else ''}{'' if n == 1 else f'-{n}'}.json" for n in count(1))
    return next(ROOT / "reruns" / name for name in names if not (ROOT / "reruns" / name).exists())


if __name__ == "__main__":
    app()
