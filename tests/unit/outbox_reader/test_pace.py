import asyncio

import pytest

from outbox_reader.pace import Pace


@pytest.fixture
def slept(monkeypatch):
    """The pauses that were asked for; none of them is waited for."""
    pauses = []

    class Timeout:
        def __init__(self, seconds):
            pauses.append(seconds)

        async def __aenter__(self):
            raise TimeoutError

        async def __aexit__(self, *_):
            return False

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("outbox_reader.pace.asyncio.timeout", Timeout)
    monkeypatch.setattr("outbox_reader.pace.asyncio.sleep", sleep)
    return pauses


async def test_pauses_grow_while_there_is_nothing(slept):
    pace = Pace(0.1, 0.5, 5)

    for _ in range(5):
        await pace.wait()

    assert slept == [0.1, 0.2, 0.4, 0.5, 0.5]


async def test_work_is_looked_for_at_once_after_work(slept):
    pace = Pace(0.1, 0.5, 5)
    await pace.wait()
    await pace.wait()

    pace.busy()
    await pace.wait()
    await pace.wait()

    assert slept == [0.1, 0.2, 0.1]


async def test_trouble_holds_longer_and_longer_until_all_is_well(slept):
    pace = Pace(0.1, 0.5, 1)

    for _ in range(4):
        pace.hindered()
        await pace.wait()
    pace.well()
    pace.hindered()
    await pace.wait()

    assert slept == [0.2, 0.4, 0.8, 1, 0.2]


async def test_a_pause_ends_when_somebody_wakes_it():
    pace = Pace(60, 60, 60)
    waiting = asyncio.create_task(pace.wait())
    await asyncio.sleep(0)
    paused = not waiting.done()

    pace.wake()
    ended, _ = await asyncio.wait({waiting}, timeout=5)

    assert paused
    assert ended == {waiting}
