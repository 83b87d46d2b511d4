"""The state database is lost: an empty one in its place is filled again, and no event is made twice."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from e2e.chaos import QUICK, Scene

from demo.compare import mark_of

CALL_S = float(QUICK["EXCONN_PUBLISHER__CALL_TIMEOUT_S"])


@pytest.mark.parametrize("how", ["killed", "stopped", "running"])
async def test_an_empty_state_database_is_filled_again_without_a_person(world, seed, how):
    made = world(faults=False)
    async with Scene.open(made, seed, switching=False) as scene:
        made.start("outbox-reader", wait=False)
        made.start("graph-publisher", 2)
        await scene.guarded(scene.day.work(30, pace_s=0.1))
        leave = {"killed": made.kill, "stopped": made.stop}.get(how, lambda _: None)
        for service in ("graph-publisher", "outbox-reader"):
            await asyncio.to_thread(leave, service)
        known = await events(scene)
        await on_server(made.state_dsn, "DROP DATABASE {} WITH (FORCE)")
        # Calls that were under way end meanwhile: their answers are for the database that is gone.
        await scene.day.work(20, pace_s=CALL_S / 20)
        await on_server(made.state_dsn, "CREATE DATABASE {}")
        await asyncio.to_thread(made.migrate)
        for service in ("graph-publisher", "outbox-reader"):
            made.restart(service, wait=False)
        await scene.guarded(scene.day.work(15))
        await scene.until(lambda: recovered(scene), "the reader takes the new state database for the old")
        await scene.settled()

        assert await scene.verdict() == []
        assert known
        assert known.items() <= (await events(scene)).items()


async def events(scene: Scene) -> dict[tuple[str, ...], str]:
    """The ids of events whose appointments stay where they are, by calendar and what they stand for."""
    anchors = {each.number for each in scene.day.planned if each.anchor}
    guids = {each["guid"] for each in await scene.doors.appointments() if each["id"] in anchors}
    return {
        (address, *mark): event["id"]
        for address, calendar in (await scene.doors.calendars()).items()
        for event in calendar.events
        if (mark := mark_of(event)) and mark[1] in guids
    }


async def on_server(dsn: str, statement: str) -> None:
    """Carries out a statement about the database of that name, connected with another."""
    connection = await asyncpg.connect(urlunsplit(urlsplit(dsn)._replace(path="/postgres")))
    try:
        await connection.execute(statement.format(urlsplit(dsn).path[1:]))
    finally:
        await connection.close()


async def recovered(scene: Scene) -> bool:
    """Whether the outbox remembers the new state database: then all that it should know is enqueued."""
    identity = await scene.ask("SELECT state_identity FROM installation")
    return await scene.ask_planning("SELECT StateDatabase FROM exconn.State") == identity
