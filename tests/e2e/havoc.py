"""What can be killed, and a day on which it is."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from e2e.chaos import Scene
from e2e.days import Day

from demo.world import World
from stack import PrivateBroker, PrivatePostgres


@dataclass(frozen=True)
class Victim:
    """Something that can be killed and brought back; both block."""

    name: str
    kill: Callable[[], object]
    revive: Callable[[], object]


def service(world: World, name: str) -> Victim:
    """All processes of a service."""
    return Victim(name, lambda: world.kill(name), lambda: world.restart(name, wait=False))


def server(name: str, private: PrivateBroker | PrivatePostgres) -> Victim:
    return Victim(name, private.kill, private.start)


def at_once(victims: Sequence[Victim]) -> Victim:
    """The power of the whole machine room; the services are back first, before what they need."""

    def kill() -> None:
        for victim in victims:
            victim.kill()

    def revive() -> None:
        for victim in victims:
            victim.revive()

    return Victim("everything", kill, revive)


async def strike(victims: Sequence[Victim], day: Day, rng: random.Random) -> None:
    """Kills each in the order given, while the day goes on, and brings it back some changes later."""
    for victim in victims:
        await day.after(rng.randint(2, 9))
        print(f"change {day.done}: {victim.name} killed")
        await asyncio.to_thread(victim.kill)
        await day.after(rng.randint(1, 6))
        await asyncio.to_thread(victim.revive)


async def havoc(scene: Scene, changes: int, *disasters: Coroutine[Any, Any, None]) -> None:
    """A day of at least so many changes, which lasts until all these disasters have happened."""
    happening = asyncio.gather(*disasters)
    try:
        await scene.guarded(scene.day.work(changes, happening.done))
        await happening
    finally:
        happening.cancel()
        await asyncio.gather(happening, return_exceptions=True)
