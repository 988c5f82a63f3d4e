"""What the command `predict` says of the molecules that it is given, at their own geometries or relaxed first."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.evaluation.prediction_intervals import RELAXED
from analysis.predict.applicability import refusal
from analysis.predict.ensemble import Ensemble, Prediction, outside_of
from analysis.predict.geometries import Geometry

if TYPE_CHECKING:  # ASE's optimisers and dynamics take a while to import
    from analysis.predict.dynamics import ForceCalculator, Relaxed


def answered(
    ensemble: Ensemble, given: Iterable[Geometry], *, relax: "ForceCalculator | None" = None, outside: bool = False
) -> list[tuple[Geometry, Prediction | str]]:
    """Each molecule at the geometry that is predicted, and its prediction or, in a line, why it is refused.

    With `relax`, geometries are relaxed on these models first (see `relaxed`). Whatever is not as the calibration's
    geometries of its kind were, such as a conformer that MMFF94 does not know, is outside (see `Ensemble.answers`).
    """
    found = list(given) if relax is None else relaxed(given, relax, outside=outside)
    read = [one for one in found if not one.trouble]
    names, kinds = [one.name for one in read], [one.kind for one in read]
    answers = iter(ensemble.answers([one.atoms for one in read], names, kinds, outside=outside))
    said: list[tuple[Geometry, Prediction | str]] = []
    for one in found:
        answer = one.trouble or next(answers)
        if one.notes and not isinstance(answer, str):
            warnings = tuple(dict.fromkeys((*one.notes, *answer.warnings)))
            answer = replace(answer, warnings=warnings, interval=None, outside=True)
            answer = answer if outside else outside_of(warnings)
        said.append((one, answer))
    return said


def relaxed(given: Iterable[Geometry], calculator: "ForceCalculator", *, outside: bool = False) -> list[Geometry]:
    """The same molecules at the minima of models with forces that their geometries lead to, found in one batch.

    `trouble` says why there is no minimum: the molecule can't be predicted at all; it is unlike all that these models
    have learnt from, which with `outside` is one of its `notes`; a bond breaks or forms; or it doesn't come to rest.

    Raises what `ForceCalculator.unlike` raises.
    """
    from analysis.predict.dynamics import relax_all

    found = []
    for one in given:
        trouble = one.trouble or refusal(one.atoms)
        unlike = () if trouble else calculator.unlike(one.atoms)
        if unlike and not outside:
            trouble = outside_of(unlike)
        found.append(replace(one, kind=RELAXED, notes=unlike, trouble=trouble))
    minima = iter(relax_all([one.atoms for one in found if not one.trouble], calculator))
    return [one if one.trouble else _at_rest(one, next(minima)) for one in found]


def _at_rest(one: Geometry, minimum: "Relaxed | str") -> Geometry:
    if isinstance(minimum, str):
        return replace(one, trouble=minimum)
    if not minimum.converged:
        return replace(one, trouble=f"it is not at rest after {minimum.steps} steps")
    return replace(one, atoms=minimum.atoms.copy())  # without its calculator
