"""One tenant's client secret is wrong: its mailboxes wait, and the other tenant does not notice."""

import asyncio
from pathlib import Path

import pytest
from e2e.chaos import Scene
from e2e.days import RESOURCES

SECRET = "EXCONN_PROFILES__CONTOSO__CLIENT_SECRET"
CONTOSO = [address for address in RESOURCES.values() if address.endswith("@contoso.example")]
CODE = "EXC-SIGN-IN-SECRET"


@pytest.mark.parametrize("restart", [True, False], ids=["service started again", "file of the secret mended"])
async def test_a_wrong_secret_holds_its_own_tenant_until_it_is_put_right(world, seed, restart, tmp_path):
    made = world(faults=False)
    async with Scene.open(made, seed) as scene:
        right = made.environment.pop(SECRET)
        file = tmp_path / "secret"
        file.write_text("expired")
        made.environment[f"{SECRET}_FILE"] = str(file)
        made.start("outbox-reader", wait=False)
        made.start("graph-publisher", 2)
        await scene.guarded(scene.day.work(25))
        await scene.until(lambda: held(scene), "the tenant is not held")
        await scene.settled(held=CONTOSO)

        assert await scene.verdict(held=CONTOSO) == []
        assert await waiting(scene) > 0

        await put_right(scene, file, right, restart=restart)
        await scene.guarded(scene.day.work(10))
        await scene.settled()

        assert await scene.verdict() == []
        assert not await held(scene)


async def put_right(scene: Scene, file: Path, secret: str, *, restart: bool) -> None:
    if restart:
        await asyncio.to_thread(scene.world.stop, "graph-publisher")
    file.write_text(secret)
    if restart:
        await asyncio.to_thread(scene.world.restart, "graph-publisher")


async def held(scene: Scene) -> bool:
    return await scene.ask("SELECT state_code FROM tenant WHERE profile = 'contoso'") == CODE


async def waiting(scene: Scene) -> int:
    """Transactions of the tenant; they are pending and nothing else."""
    return await scene.ask(
        "SELECT CASE WHEN bool_and(status = 'pending' OR code IN ('EXC-SUPERSEDED', 'EXC-NO-CHANGE'))"
        " THEN count(*) FILTER (WHERE status = 'pending') ELSE 0 END"
        " FROM transaction WHERE mailbox = ANY($1)",
        CONTOSO,
    )
