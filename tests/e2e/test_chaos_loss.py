"""The state database is lost: an empty one in its place is filled again, and no event is made twice."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from e2e.chaos import Scene

from demo.compare import mark_of


@pytest.mark.parametrize("warned", [False, True], ids=["killed services", "stopped services"])
async def test_an_empty_state_database_is_filled_again_without_a_person(world, seed, warned):
    made = world(faults=False)
    async with Scene.open(made, seed, switching=False) as scene:
        made.start("outbox-reader", wait=False)
        made.start("graph-publisher", 2)
        await scene.guarded(scene.day.work(30, pace_s=0.1))
        leave = made.stop if warned else made.kill
        for service in ("graph-publisher", "outbox-reader"):
            await asyncio.to_thread(leave, service)
        known = await events(scene)
        await scene.day.work(15, pace_s=0)
        await empty_again(made.state_dsn)
        await asyncio.to_thread(made.migrate)
        for service in ("graph-publisher", "outbox-reader"):
            made.restart(service, wait=False)
        await scene.guarded(scene.day.work(15))
        await scene.until(lambda: recovered(scene), "the reader takes the new state database for the old")
        await scene.settled()

        assert await scene.verdict() == []
        adopted = {mark: ids for mark, ids in (await events(scene)).items() if mark in known}
        assert adopted == {mark: known[mark] for mark in adopted}
        assert len(adopted) >= len(scene.day.planned) // 4


async def events(scene: Scene) -> dict[tuple[str, ...], set[str]]:
    """What each event of ours stands for, in which calendar, and its ids."""
    found: dict[tuple[str, ...], set[str]] = {}
    for address, calendar in (await scene.doors.calendars()).items():
        for event in calendar.events:
            found.setdefault((address, *mark_of(event)), set()).add(event["id"])
    return found


async def empty_again(dsn: str) -> None:
    """Another database in the place of the one that is lost."""
    name = urlsplit(dsn).path[1:]
    connection = await asyncpg.connect(urlunsplit(urlsplit(dsn)._replace(path="/postgres")))
    try:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


async def recovered(scene: Scene) -> bool:
    """Whether the outbox remembers the new state database: then all that it should know is enqueued."""
    identity = await scene.ask("SELECT state_identity FROM installation")
    return await scene.ask_planning("SELECT StateDatabase FROM exconn.State") == identity
