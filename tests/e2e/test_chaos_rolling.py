"""Publishers are replaced one by one while there is much to do, as a deployment does."""

import asyncio

from e2e.chaos import Scene

from demo.processes import Process

PATIENCE_S = 25


async def test_a_stopped_publisher_ends_its_calls_and_gives_its_mailboxes_back(world, seed):
    made = world(faults=False)
    async with Scene.open(made, seed) as scene:
        await scene.force("slow", times=10**6, seconds=0.2)
        made.start("outbox-reader", wait=False)
        made.start("graph-publisher", 2)
        statuses, holding = [], []

        async def roll() -> None:
            for _ in range(3):
                await scene.day.after(6)
                (oldest, *_) = [each for each in made.of("graph-publisher") if each.popen]
                await asyncio.to_thread(made.start, "graph-publisher")
                pid, status = await stop(oldest)
                statuses.append(status)
                holding.append(await held_by(scene, pid))

        rolling = asyncio.create_task(roll())
        await scene.guarded(scene.day.work(50, rolling.done))
        await rolling
        await scene.settled()

        assert statuses == [0, 0, 0]
        assert holding == [0, 0, 0]
        assert await scene.verdict() == []
        assert not any("attempt.settled" in each.log.read_text() for each in made.of("graph-publisher"))
        assert await creations(scene) == await scene.ask(
            "SELECT count(*) FROM attempt WHERE operation = 'create' AND outcome = 'ok'"
        )


async def stop(process: Process) -> tuple[int, int]:
    """SIGTERM; the process's id and its exit status."""
    popen, process.popen = process.popen, None
    popen.terminate()
    return popen.pid, await asyncio.to_thread(popen.wait, PATIENCE_S)


async def held_by(scene: Scene, pid: int) -> int:
    """Mailboxes that would have to wait for a lease to run out."""
    return await scene.ask("SELECT count(*) FROM mailbox WHERE write_holder LIKE $1", f"%:{pid}")


async def creations(scene: Scene) -> int:
    return sum(
        each["method"] == "POST" and each["path"].endswith("/events") for each in await scene.doors.requests()
    )
