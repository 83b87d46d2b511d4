"""Start the simulator: ``python -m simulators.dime --dsn postgresql://... --port 0``."""

import argparse
import asyncio
import secrets
import signal

import asyncpg
from aiohttp import web

from .faults import SHARE, Faults
from .server import Dime
from .tables import create_tables


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulators.dime", description="A simulated Dime.Scheduler.")
    parser.add_argument("--dsn", required=True, help="PostgreSQL database that holds the planning tables")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--seed", type=int, default=None, help="of the random faults; printed at start")
    parser.add_argument("--kind", action="store_true", help="no random faults")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every answer")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    async with asyncpg.create_pool(options.dsn, min_size=1, max_size=8) as pool:
        async with pool.acquire() as connection:
            await create_tables(connection)
        dime = Dime(pool, Faults(seed, 0.0 if options.kind else SHARE), options.latency_ms / 1000)
        runner = web.AppRunner(dime.application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", options.port).start()
        host, port = runner.addresses[0][:2]
        print(f"listening http://{host}:{port}", flush=True)
        await stop.wait()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
