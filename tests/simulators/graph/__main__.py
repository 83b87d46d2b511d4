"""Microsoft Graph's calendars and Entra's login endpoint, simulated, over TLS on 127.0.0.1.

Base https://127.0.0.1:PORT/v1.0, login https://127.0.0.1:PORT/TENANT. Everything is kept in memory.
"""

import argparse
import asyncio
import random
import signal
import ssl
import tempfile
from pathlib import Path

from aiohttp import web

from . import certificates, doors, faults
from .clock import Clock
from .faults import Faults
from .gateway import Gateway, Log
from .mailboxes import Directory
from .server import Server
from .tokens import TENANTS, Login


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="simulators.graph",
        description=__doc__,
        epilog=f"{faults.__doc__}\n{doors.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--cert-dir", type=Path, help="ca.pem and client.pem are written to (or found in) it")
    parser.add_argument("--seed", type=int, help="of everything random; printed at start")
    parser.add_argument("--kind", action="store_true", help="no random faults")
    parser.add_argument("--fault-rate", type=float, default=faults.RATE, help="of each random fault (0.02)")
    parser.add_argument("--latency-ms", type=float, default=0, help="of every request")
    parser.add_argument(
        "--log-size", type=int, default=200_000, help="requests that /_sim/requests remembers"
    )
    return parser.parse_args()


def build(options: argparse.Namespace, seed: int, client_pem: bytes | None = None) -> Gateway:
    """The whole simulator, without its port."""
    clock, rng = Clock(), random.Random(seed)
    login = Login(clock)
    for app in login.apps.values():
        if client_pem is not None:
            app.trust(client_pem)
    return Gateway(
        clock=clock,
        directory=Directory(TENANTS, clock, rng),
        login=login,
        faults=Faults(random.Random(seed), 0 if options.kind else options.fault_rate),
        log=Log(options.log_size, clock),
        rng=rng,
        latency_s=options.latency_ms / 1000,
    )


async def serve(gateway: Gateway, port: int, context: ssl.SSLContext) -> None:
    """Until INT or TERM."""
    runner = web.ServerRunner(Server(gateway).make())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, backlog=1024, shutdown_timeout=1)
    await site.start()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"listening https://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await stopped.wait()
    await runner.cleanup()


def main() -> None:
    """Prints the seed, the folder of the certificates and, when ready, the address."""
    options = arguments()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory() as fallback:
        folder = options.cert_dir or Path(fallback)
        context = certificates.provide(folder)
        print(f"seed {seed}\ncertificates {folder}", flush=True)
        asyncio.run(serve(build(options, seed, (folder / "client.pem").read_bytes()), options.port, context))


if __name__ == "__main__":
    main()
