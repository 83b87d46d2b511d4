"""What was there before the connector: resources, a first plan, an earlier connector's events, private ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo.cast import CAST, Resource
from demo.compare import mark_of
from demo.doors import Doors
from demo.stage import SHOWN, Stage
from demo.steps import When
from demo.story import BEFORE, LEFT_BEHIND, PRIVATE, STORED

Event = dict[str, Any]


@dataclass(frozen=True)
class Inheritance:
    """Events that the connector finds: those it should adopt, and those that are none of its business."""

    left_behind: Sequence[tuple[Resource, Event]]
    private: Sequence[tuple[Resource, Event]]

    async def faults(self, doors: Doors) -> list[str]:
        """What became of them that should not have."""
        found = []
        for resource, event in self.left_behind:
            now = await _now(doors, resource, event)
            if now is None or mark_of(now) is None:
                found.append(
                    f"{resource.address}: the earlier connector's {event['subject']!r} was not adopted"
                )
        for resource, event in self.private:
            now = await _now(doors, resource, event)
            if now is None or any(now[name] != event[name] for name in SHOWN):
                found.append(f"{resource.address}: the private {event['subject']!r} was touched")
        return found


async def prepare(stage: Stage) -> Inheritance:
    """Everything from before the installation."""
    for resource in CAST:
        await stage.planner.add_resource(resource.no, resource.address, resource.enabled, resource.name)
        if resource.time_zone != "UTC":
            door = f"mailboxes/{resource.address}/settings"
            await stage.doors.graph("PATCH", door, {"timeZone": resource.time_zone})
    for step in BEFORE:
        await step.play(stage)
    private = [(who, await _put(stage, who, subject, when)) for who, subject, when in PRIVATE]
    left_behind = [await _leave_behind(stage, name, who) for name, who in LEFT_BEHIND.items()]
    await stage.look_at_planning()
    return Inheritance(left_behind, private)


async def _leave_behind(stage: Stage, name: str, who: Resource) -> tuple[Resource, Event]:
    step = next(step for step in BEFORE if step.name == name)
    event = await _put(stage, who, step.title, step.when)
    if name == STORED:
        ids = {"exchange_id": event["restId"], "ical_uid": event["iCalUId"]}
        await stage.planner.edit(stage.ids[name], **ids)
    return who, event


async def _put(stage: Stage, who: Resource, subject: str, when: When) -> Event:
    """An event that the connector did not make."""
    times = {
        name: {"dateTime": at.strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"}
        for name, at in when.times(stage.monday).items()
    }
    return await stage.doors.graph("POST", f"mailboxes/{who.address}/events", {"subject": subject} | times)


async def _now(doors: Doors, resource: Resource, event: Event) -> Event | None:
    events = await doors.events(resource.address)
    return next((each for each in events if each["id"] == event["id"]), None)
