"""What the command `predict` does: molecules are read, predicted and written some at a time, and told of."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import batched

import typer
from tqdm import tqdm

from analysis.evaluation.prediction_intervals import KINDS, RELAXED, UNKNOWN, Intervals
from analysis.predict import outputs
from analysis.predict.answers import answered
from analysis.predict.ensemble import OUTSIDE, Ensemble, Prediction, default_records
from analysis.predict.geometries import Geometry
from analysis.runs.console import aligned, complain
from analysis.runs.records import Record

_MEV = 1000  # meV per eV
_CHUNK = 1000  # molecules that are predicted at a time
_LATE = 3.0  # s, after which predicting shows how far it is


def predict_all(
    given: Iterable[Geometry],
    found: Sequence[Record],
    out: Iterable[str | os.PathLike[str]],
    *,
    relax: bool,
    outside: bool,
    as_json: bool,
    results: str | os.PathLike[str] | None,
) -> None:
    """Say what an ensemble predicts of each molecule, and write it to `out`; ends the command if one is refused.

    Molecules unlike all that the models have seen are refused, but not with `outside`. With `relax`, each is relaxed
    first, on the models of `dynamics.default_records`.

    `found` are the models' records, none for the five of `default_records`. Molecules are taken up `_CHUNK` at a time;
    of more than that the table shows the first.
    """
    ensemble = Ensemble(found or default_records(results=results))
    calculator = None
    if relax:
        from analysis.predict import dynamics  # ASE's optimisers and dynamics take a while to import

        calculator = dynamics.ForceCalculator(dynamics.default_records(results))
    models = outputs.Models.of(ensemble, calculator.records if calculator else ())
    predicted, refused, count = [], [], 0
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(unit=" molecules", disable=None, delay=_LATE, leave=False))
        writers = [stack.enter_context(outputs.writing(path, models)) for path in out]
        for chunk in batched(given, _CHUNK):
            answers = answered(ensemble, chunk, relax=calculator, outside=outside)
            some = [answer for _, answer in answers if not isinstance(answer, str)]
            atoms = [one.atoms for one, answer in answers if not isinstance(answer, str)]
            others = [(one.name, answer) for one, answer in answers if isinstance(answer, str)]
            for write in writers:
                write(some, atoms, others)
            if as_json or count == 0:
                predicted += some
            refused += others
            count += len(some)
            bar.update(len(chunk))
    if as_json:
        typer.echo(outputs.json_of(predicted, refused, models))
    elif predicted:
        _tell(predicted, models, ensemble.intervals)
        if count > len(predicted):
            typer.echo(f"{count:,} molecules are predicted, {len(predicted):,} of them shown: --out writes all")
    for name, why in refused:
        complain(f"refused: {name}: {why}")
    if any(why.startswith(OUTSIDE) for _, why in refused):
        complain("--outside gives a number for what is outside, without an interval")
    if refused:
        raise typer.Exit(1)


def _tell(predicted: Sequence[Prediction], models: outputs.Models, intervals: Intervals | None) -> None:
    """How far these predictions may be off, a table of them, what the models are, and the warnings."""
    for line in _reliability(predicted, intervals):
        typer.echo(line)
    typer.echo(f"\n{_prediction_table(predicted)}")
    taught = f"; at other geometries than QM9's, {len(models.approximate)} that went on from them with such"
    typer.echo(
        f"\nU0 and energy of atomisation (positive: bound) at 0 K; {len(models.records)} models, {models.description}"
        f"{taught if models.approximate else ''}"
    )
    for one in predicted:
        for warning in one.warnings:
            typer.echo(f"warning: {one.name}: {warning}")


_GEOMETRIES = {
    "dft": "QM9's own geometries, B3LYP/6-31G(2df,p)",
    "xtb": "geometries by GFN2-xTB",
    "mmff": "conformers by ETKDG and MMFF94, from a SMILES alone",
    RELAXED: "geometries relaxed on models that have learnt forces",
}


def _reliability(predicted: Sequence[Prediction], intervals: Intervals | None) -> Iterator[str]:
    """What is known of the error of these molecules, kind of geometry by kind."""
    if intervals is None:
        yield "how far these models may be off is not recorded: there are no intervals"
        return
    given = {one.geometry for one in predicted if one.interval}
    for kind in (kind for kind in _GEOMETRIES if kind in given):
        yield (
            f"{_GEOMETRIES[kind]}: molecules like QM9's are missed by {_MEV * intervals.scales[kind].mae:.3g} meV on "
            f"average, and {intervals.level:.0%} of them lie in their interval"
        )
    if UNKNOWN in given:
        yield f"geometries of an unknown kind have the widest interval: --geometry says which of {', '.join(KINDS)}"
    if any(one.outside for one in predicted):
        yield "outside: no training molecule is like it, nobody knows how far it is missed, and it may be nonsense"


def _interval(one: Prediction) -> str:
    if one.interval is None:
        return "outside" if one.outside else "none"
    return " ".join(f"{end - one.energy:+.3f}" for end in one.interval)


def _prediction_table(predicted: Sequence[Prediction]) -> str:
    heads = ("molecule", "formula", "U0, eV", "interval, eV", "U0, Hartree", "atomisation, eV", "kcal/mol")
    rows = [(*heads, "spread, eV", "warnings")]
    rows += [
        (
            one.name,
            one.formula,
            f"{one.energy:.3f}",
            _interval(one),
            f"{one.energy_hartree:.5f}",
            f"{one.atomisation_energy:.3f}",
            f"{one.atomisation_energy_kcal:.1f}",
            f"{one.spread:.3f}",
            str(len(one.warnings)),
        )
        for one in predicted
    ]
    return aligned(rows, right=7)
