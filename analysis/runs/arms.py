"""The arms of an experiment: what is compared with what, by name."""


class Arm(str):
    """The name of an arm, as "cap 2000, random control", that knows its parts; equal to its text.

    `role` is what is done ("cap") and `value` with which number, or to what (2000; None where there is but one);
    `random` marks the control of equal size, as many molecules drawn at random, and `same_updates` an arm trained for
    as many updates as the one that it is compared with.
    """

    __slots__ = ("random", "role", "same_updates", "value")

    def __new__(  # noqa: D102 - the class says it
        cls, role: str, value: float | str | None = None, *, random: bool = False, same_updates: bool = False
    ) -> "Arm":
        words = role if value is None else f"{role} {value if isinstance(value, int | str) else format(value, 'g')}"
        arm = super().__new__(cls, f"{words}{', random control' * random}{', same updates' * same_updates}")
        arm.role, arm.value, arm.random, arm.same_updates = role, value, random, same_updates
        return arm


DEFAULT = Arm("default")
"""The model Default on the whole training part: the baseline, in every experiment that is compared with it."""
CUSTOM = Arm("custom")
"""The report's other model."""


class MissingArmError(ValueError):
    """An arm was asked for that is not there; the message says which, and what trains it. In a notebook it is all."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class Arms[Record](dict[Arm, list[Record]]):
    """What is recorded of an experiment: the records of each arm, one per seed, by the arm or its name.

    An arm that is not there raises MissingArmError.
    """

    def __init__(self, experiment: str, records: dict[Arm, list[Record]]) -> None:
        super().__init__({arm: of_arm for arm, of_arm in records.items() if of_arm})
        self.experiment = experiment

    def __missing__(self, arm: str) -> list[Record]:
        raise MissingArmError(
            f"the experiment {self.experiment} has no record of the arm {arm!r}, only of {'; '.join(self) or 'none'}: "
            f"`python -m analysis run {self.experiment}` trains the arms that it has by default"
        )

    @property
    def runs(self) -> list[Record]:
        """All records, each once, arm by arm."""
        return list({id(record): record for of_arm in self.values() for record in of_arm}.values())

    def of(self, role: str) -> dict[Arm, list[Record]]:
        """The arms with this role, by the order of their values; the controls of each after it.

        Raises MissingArmError if there is none.
        """
        found = [arm for arm in self if arm.role == role]
        if not found:
            self.__missing__(role)
        return {arm: self[arm] for arm in sorted(found, key=lambda arm: (arm.value, arm.random, arm.same_updates))}
