"""Services and servers are killed in the middle of a busy day: no change is lost, none is made twice."""

import random

from e2e.chaos import Scene, at_once, havoc, server, service

SLOW = {"times": 10**6, "seconds": 0.12}
"""Answers take so long that a kill meets calls under way, of which some were carried out."""


async def test_a_day_of_kills_ends_with_planning_and_calendars_equal(world, seed, state_server, own_broker):
    made = world(faults=False, state=state_server, broker=own_broker)
    rng = random.Random(f"kills {seed}")
    async with Scene.open(made, seed) as scene:
        reader, publisher = service(made, "outbox-reader"), service(made, "graph-publisher")
        database, broker = server("PostgreSQL", state_server), server("RabbitMQ", own_broker)
        await scene.force("slow", **SLOW)
        for name in (reader.name, publisher.name):
            made.start(name)
        victims = [reader, publisher, database, broker, publisher, reader]
        rng.shuffle(victims)
        victims.append(at_once([reader, publisher, database, broker]))
        await havoc(scene, victims, rng, changes=60)
        await scene.settled()

        assert await scene.verdict() == []
        assert scene.day.done >= 60
