"""The arms of an experiment: what is compared with what, by name."""

from typing import TYPE_CHECKING, Any

from analysis.data.errors import UserError


class Arm(str):
    """The name of an arm, as "cap 2000, random control", that knows its parts; equal to its text.

    `role` is what is done ("cap") and `value` with which number, or to what (2000; None where there is but one);
    `random` marks the control of equal size, as many molecules drawn at random, and `same_updates` an arm trained for
    as many updates as the one that it is compared with. `split` is the seed of the split where there are several.
    """

    __slots__ = ("random", "role", "same_updates", "split", "value")
    role: str
    value: float | str | None
    random: bool
    same_updates: bool
    split: int | None  # type: ignore[assignment] # no arm's name is split as a text is

    def __new__(  # noqa: D102 - the class says it
        cls,
        role: str,
        value: float | str | None = None,
        *,
        random: bool = False,
        same_updates: bool = False,
        split: int | None = None,
    ) -> "Arm":
        words = role if value is None else f"{role} {value if isinstance(value, int | str) else format(value, 'g')}"
        words += f"{', random control' * random}{', same updates' * same_updates}"
        arm = super().__new__(cls, words if split is None else f"{words}, split {split}")
        arm.role, arm.value, arm.random, arm.same_updates, arm.split = role, value, random, same_updates, split
        return arm

    def on(self, split: int | None) -> "Arm":
        """The same arm on another split; None for the experiment's usual one."""
        return Arm(self.role, self.value, random=self.random, same_updates=self.same_updates, split=split)


DEFAULT = Arm("default")
"""The model Default on the whole training part: the baseline, in every experiment that is compared with it."""
CUSTOM = Arm("custom")
"""The report's other model."""


class MissingArmError(UserError, ValueError):
    """An arm was asked for that is not there; the message says which, and what trains it."""


class Arms[Record](dict[Arm, list[Record]]):
    """What is recorded of an experiment: the records of each arm, one per seed, by the arm or its name.

    An arm that is not there raises MissingArmError.
    """

    def __init__(self, experiment: str, records: dict[Arm, list[Record]]) -> None:
        super().__init__({arm: of_arm for arm, of_arm in records.items() if of_arm})
        self.experiment = experiment

    if TYPE_CHECKING:

        def __getitem__(self, arm: str) -> list[Record]: ...

    def __missing__(self, arm: str) -> list[Record]:
        raise MissingArmError(
            f"the experiment {self.experiment} has no record of the arm {arm!r}, only of {'; '.join(self) or 'none'}: "
            f"`python -m analysis run {self.experiment}` trains the arms that it has by default"
        )

    @property
    def runs(self) -> list[Record]:
        """All records, each once, arm by arm."""
        return list({id(record): record for of_arm in self.values() for record in of_arm}.values())

    def on(self, split: int | None) -> "Arms[Record]":
        """The arms on one split, under the names that they have without it."""
        return Arms(self.experiment, {arm.on(None): of_arm for arm, of_arm in self.items() if arm.split == split})

    def at(self, end: str) -> "Arms[Record]":
        """All records at one of their trainings' two ends; see `records.Record.at`."""
        ends: Any = self  # arms of records, which have ends
        return Arms(self.experiment, {arm: [record.at(end) for record in of_arm] for arm, of_arm in ends.items()})

    def of(self, role: str) -> dict[Arm, list[Record]]:
        """The arms with this role, by the order of their values; the controls of each after it.

        Raises MissingArmError if there is none.
        """
        found = [arm for arm in self if arm.role == role]
        if not found:
            self.__missing__(role)
        return {arm: self[arm] for arm in sorted(found, key=lambda arm: (arm.value, arm.random, arm.same_updates))}
