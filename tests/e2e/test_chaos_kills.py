"""Services and servers are killed in the middle of a busy day: no change is lost, none is made twice."""

import asyncio
import random

from e2e.chaos import Scene
from e2e.havoc import at_once, havoc, server, service, strike

SLOW = {"times": 10**6, "seconds": 0.12}
"""Answers take so long that a kill meets calls under way, of which some were carried out."""


async def test_a_day_of_kills_ends_with_planning_and_calendars_equal(world, seed, state_server, own_broker):
    made = world(faults=False, state=state_server, broker=own_broker)
    rng = random.Random(f"kills {seed}")
    async with Scene.open(made, seed) as scene:
        reader, publisher = service(made, "outbox-reader"), service(made, "graph-publisher")
        database, broker = server("PostgreSQL", state_server), server("RabbitMQ", own_broker)
        await scene.force("slow", **SLOW)
        made.start(reader.name, wait=False)
        made.start(publisher.name)
        victims = [reader, publisher, database, broker, publisher, reader]
        rng.shuffle(victims)
        victims.append(at_once([reader, publisher, database, broker]))
        await havoc(scene, 60, strike(victims, scene.day, rng))
        await scene.settled()

        assert await scene.verdict() == []


FAULTS = [
    {"fault": name, "when": when}
    for name in ("503", "503-empty", "504", "500", "cut")
    for when in ("before", "after")
] + [
    {"fault": name}
    for name in (
        *("429", "412", "409", "401", "403", "404", "404-item", "slow", "listing-lag"),
        *("token-401", "token-503", "token-429"),
    )
]


async def test_many_replicas_and_every_fault_of_graph_change_nothing(
    world, seed, state_server, planning_server, own_broker
):
    made = world(state=state_server, planning=planning_server, broker=own_broker)
    rng = random.Random(f"faults {seed}")
    async with Scene.open(made, seed) as scene:
        readers, publishers = service(made, "outbox-reader"), service(made, "graph-publisher")
        database, broker = server("PostgreSQL", state_server), server("RabbitMQ", own_broker)
        planning = server("PostgreSQL of the planning", planning_server)
        made.start(readers.name, 2, wait=False)
        made.start(publishers.name, 3)
        victims = [readers, publishers, database, broker, planning]
        rng.shuffle(victims)
        await havoc(scene, 80, strike(victims, scene.day, rng), provoke(scene, rng))
        await scene.settled()

        assert await scene.verdict() == []


async def provoke(scene: Scene, rng: random.Random) -> None:
    """Has every fault happen once at least, besides those that happen at random."""
    for fault in rng.sample(FAULTS, len(FAULTS)):
        await scene.day.after(1)
        await scene.force(**fault)
        if fault["fault"].startswith("token"):
            await scene.doors.graph("POST", "tokens/revoke")
    while (await scene.doors.graph("GET", "faults"))["pending"]:
        await asyncio.sleep(0.2)
