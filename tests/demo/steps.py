"""What can happen in a story. Each step says what it does, to whom, and does it; who watches is somebody else."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from demo.cast import Resource
from simulators.dime.planner import Planner

Expect = Literal["visible", "held", "planned", "skipped", "nothing"]
"""What to wait for: that the calendars show it, that the mailbox is held, that the change was planned though no
calendar is concerned, that it was skipped, or nothing."""


class Scene(Protocol):
    """What a step may use."""

    planner: Planner
    monday: date
    ids: dict[str, int]

    async def switch_off(self, resource: Resource) -> None: ...


@dataclass(frozen=True)
class When:
    """Hours of the story's week; day 0 is Monday."""

    day: int
    hour: float
    hours: float = 2
    zone: str = "UTC"

    def times(self, monday: date) -> dict[str, datetime]:
        start = datetime.combine(monday, time(), ZoneInfo(self.zone)) + timedelta(
            days=self.day, hours=self.hour
        )
        end = start + timedelta(hours=self.hours)
        return {"start": start.astimezone(UTC), "end": end.astimezone(UTC)}


@dataclass(frozen=True)
class Step(ABC):
    """`name` is the appointment's in the story, "" where a step is about a resource."""

    name: str
    title: str
    who: tuple[Resource, ...]
    expect: Expect = field(default="visible", kw_only=True)
    outcome: str = field(default="", kw_only=True)
    """What to say when it came through, where that cannot be seen from the calendars."""
    timed: bool = field(default=True, kw_only=True)
    verb = ""

    @abstractmethod
    async def play(self, scene: Scene) -> None:
        """Do it."""


@dataclass(frozen=True)
class Create(Step):
    """A new appointment; its subject is the title unless the fields have one."""

    when: When
    fields: dict[str, Any] = field(default_factory=dict)
    verb = "create"

    async def play(self, scene: Scene) -> None:
        fields = {"subject": self.title} | self.when.times(scene.monday) | self.fields
        numbers = [resource.no for resource in self.who]
        scene.ids[self.name] = await scene.planner.add_appointment(resources=numbers, **fields)


@dataclass(frozen=True)
class Backfill(Step):
    """Nothing happens to the appointment: it was planned before, and is found."""

    timed: bool = field(default=False, kw_only=True)
    verb = "backfill"

    async def play(self, scene: Scene) -> None:
        return


@dataclass(frozen=True)
class Edit(Step):
    """Times, texts or other fields of an appointment."""

    when: When | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def verb(self) -> str:  # type: ignore[override]
        return "move" if self.when else "change"

    async def play(self, scene: Scene) -> None:
        times = self.when.times(scene.monday) if self.when else {}
        await scene.planner.edit(scene.ids[self.name], **times, **self.fields)


@dataclass(frozen=True)
class Assign(Step):
    """`who` have the appointment from now on, and nobody else."""

    verb = "assign"

    async def play(self, scene: Scene) -> None:
        await scene.planner.assign(scene.ids[self.name], [resource.no for resource in self.who])


@dataclass(frozen=True)
class Delete(Step):
    """The appointment with all its assignments."""

    verb = "delete"

    async def play(self, scene: Scene) -> None:
        await scene.planner.delete(scene.ids[self.name])


@dataclass(frozen=True)
class Burst(Step):
    """Many changes of one appointment, as fast as they can be committed; the last one is `when`."""

    when: When
    times: int = 20
    verb = "burst"

    async def play(self, scene: Scene) -> None:
        for earlier in range(self.times - 1, -1, -1):
            when = When(self.when.day, self.when.hour + earlier / 4, self.when.hours)
            await scene.planner.edit(scene.ids[self.name], **when.times(scene.monday))


@dataclass(frozen=True)
class Quickly(Step):
    """Several steps on one appointment, without a pause between them."""

    steps: tuple[Step, ...]
    verb = "hurry"

    async def play(self, scene: Scene) -> None:
        for step in self.steps:
            await step.play(scene)


@dataclass(frozen=True)
class TakeOut(Step):
    """The planner takes away a resource's `exchange_integration_enabled`: its events are removed."""

    verb = "opt out"

    async def play(self, scene: Scene) -> None:
        for resource in self.who:
            await scene.planner.switch_resource(resource.no, False)


@dataclass(frozen=True)
class SwitchOff(Step):
    """The administrator switches a mailbox off: its events stay as they are."""

    verb = "switch"

    async def play(self, scene: Scene) -> None:
        for resource in self.who:
            await scene.switch_off(resource)


@dataclass(frozen=True)
class Chapter:
    """Steps that happen one soon after the other; the next chapter begins when all of them have come through."""

    title: str
    steps: tuple[Step, ...]
