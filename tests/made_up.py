"""Records made up for the arms of an experiment."""

from collections.abc import Callable

from analysis.data.molecules import Molecules
from analysis.runs.arms import Arm, Arms
from analysis.runs.config import RunConfig
from analysis.runs.records import Record
from analysis.study.base import ExperimentParameters


def arms_of(
    parameters: ExperimentParameters, molecules: Molecules, record: Callable[[Arm, RunConfig], Record]
) -> Arms[Record]:
    """The experiment's arms, with a record made up for each run."""
    by_arm = parameters.by_arm(molecules)
    return Arms(parameters.experiment, {arm: [record(arm, one) for one in of] for arm, of in by_arm.items()})


def each(records: Arms[Record], change: Callable[[Record], Record]) -> Arms[Record]:
    """The same arms with every record changed."""
    return Arms(records.experiment, {arm: list(map(change, of)) for arm, of in records.items()})


def only(records: Arms[Record], wanted: Callable[[Arm], bool], seeds: int | None = None) -> Arms[Record]:
    """Some of the arms, with their first seeds."""
    return Arms(records.experiment, {arm: of[:seeds] for arm, of in records.items() if wanted(arm)})
