"""A small world for the connector: servers, simulated neighbours, and the services as processes of their own.

    with World(folder, faults=False, settings={"EXCONN_READER__BATCH_SIZE": "10"}) as world:
        world.install()                        # migrations, outbox objects
        world.start("outbox-reader", 2)        # returns when both are ready
        world.start("graph-publisher", 3)
        world.kill("graph-publisher")          # SIGKILL, all three
        world.restart("graph-publisher")       # all that were killed
        world.check()                          # Trouble, if one ended by itself

Everything blocks, and may be called by `asyncio.to_thread`. What was brought is gone when the context ends: processes,
databases, virtual host; logs stay in `folder`.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import asyncpg

import stack
from demo import environment
from demo.processes import Process, Trouble, last_words
from stack import processes as stacked

SERVICES = ("outbox-reader", "graph-publisher", "webhook-ingest", "scheduler", "dashboard-api")
COMMAND_S = 120
SEED = 365

Tell = Callable[[str], object]


class World:
    """See the module. Servers that are not given are found or started by `stack`; `tell` hears what is being done.

    `faults=False` makes the Graph simulator kind; `settings` are environment variables that win over the demo's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = SEED,
        faults: bool = True,
        settings: Mapping[str, str] | None = None,
        state: stack.Postgres | None = None,
        planning: stack.Postgres | None = None,
        broker: stack.Broker | None = None,
        tell: Tell = lambda _: None,
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.graph = ""
        self.dime = ""
        self.planning_dsn = ""
        self.state_dsn = ""
        self.amqp_url = ""
        self.processes: list[Process] = []
        self.environment: dict[str, str] = {}
        self._simulators: list[Process] = []
        self.faults = faults
        self._settings = dict(settings or {})
        self._state, self._planning, self._broker = state, planning, broker
        self._tell = tell
        self._leaving = contextlib.ExitStack()

    @property
    def certificates(self) -> Path:
        """Where the simulated authority's certificate (ca.pem) and the connector's own (client.pem) are."""
        return self.folder / "certificates"

    @property
    def ca_file(self) -> str:
        return str(self.certificates / "ca.pem")

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*SERVICES, "graph", "dime"):
            for log in self.folder.glob(f"{name}*.log"):
                log.unlink()
        with contextlib.ExitStack() as opening:
            opening.callback(self._close)
            self._open()
            opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def install(self) -> None:
        """Migrates the state database and puts the outbox into the planning, as an operator and a DBA would."""
        self.migrate()
        self.put_outbox()

    def migrate(self) -> None:
        self._tell("migrating the state database")
        self._command([sys.executable, "-m", "common.db"])

    def put_outbox(self) -> None:
        self._tell("putting the outbox into the planning database")
        sql = self.run("outbox-reader", "schema", "--dialect", "postgresql")
        stacked.run(_execute(self.planning_dsn, sql))

    def start(self, service: str, n: int = 1, *, wait: bool = True) -> list[Process]:
        """Starts `n` more processes of a service, and returns when they are ready to work."""
        started = [self._new(service) for _ in range(n)]
        for process in started:
            process.start()
        if wait:
            self.wait_until_ready(started)
        return started

    def wait_until_ready(self, processes: Sequence[Process] | None = None) -> None:
        for process in self.processes if processes is None else processes:
            process.wait_until_ready()

    def of(self, service: str) -> list[Process]:
        """Every process of a service, also those that were killed."""
        return [process for process in self.processes if process.name.rpartition("-")[0] == service]

    def kill(self, service: str, n: int | None = None) -> int:
        """SIGKILL to the first `n` that run (None: all); how many that were."""
        victims = [process for process in self.of(service) if process.popen][:n]
        for process in victims:
            process.kill()
        return len(victims)

    def stop(self, service: str) -> None:
        """As a deployment does: SIGTERM, and time to end what is under way."""
        for process in self.of(service):
            process.ask_to_stop()
        for process in self.of(service):
            process.stop()

    def restart(self, service: str, *, wait: bool = True) -> None:
        """Starts those again that do not run."""
        absent = [process for process in self.of(service) if not process.popen]
        for process in absent:
            process.start()
        if wait:
            self.wait_until_ready(absent)

    def check(self) -> None:
        """Raises Trouble where a process ended that nobody stopped."""
        for process in [*self.processes, *self._simulators]:
            process.check()

    def run(self, service: str, *arguments: str) -> str:
        """What a command of a service prints; raises Trouble where it fails."""
        return self._command([_script(service), *arguments])

    def _open(self) -> None:
        stack.at_exit(lambda: None)  # from the main thread, where SIGTERM can be caught
        graph = self._simulate(
            "graph", "--cert-dir", str(self.certificates), "--seed", str(self.seed), *self._kind()
        )
        self._tell("looking for PostgreSQL")
        self.state_dsn = self._database(self._state or stack.postgres())
        self.planning_dsn = self._database(self._planning or stack.postgres())
        dime = self._simulate("dime", "--dsn", self.planning_dsn, "--kind")
        self._tell("looking for RabbitMQ")
        broker = self._broker or stack.broker()
        vhost = broker.take(batch=1)
        self.amqp_url = broker.url_of(vhost)
        self._leaving.callback(broker.release, vhost)
        self._tell("starting the simulators of Microsoft 365 and Dime.Scheduler")
        self.graph, self.dime = graph.wait_for_address(), dime.wait_for_address()
        self.environment = environment.of_services(
            amqp_url=self.amqp_url,
            state_dsn=self.state_dsn,
            planning_dsn=self.planning_dsn,
            graph=self.graph,
            certificates=self.certificates,
            tuned=self._settings,
        )

    def _kind(self) -> list[str]:
        return [] if self.faults else ["--kind"]

    def _database(self, server: stack.Postgres) -> str:
        dsn = stack.fresh_database(server)
        self._leaving.callback(stack.drop_database, dsn)
        return dsn

    def _simulate(self, name: str, *arguments: str) -> Process:
        command = [sys.executable, "-m", f"simulators.{name}", "--port", "0", *arguments]
        process = Process(f"simulators.{name}", command, environment.plain(), self.folder / f"{name}.log")
        process.start()
        self._simulators.append(process)
        self._leaving.callback(process.stop)
        return process

    def _new(self, service: str) -> Process:
        number = len(self.of(service)) + 1
        ports = environment.ports()
        process = Process(
            f"{service}-{number}",
            [_script(service)],
            {**self.environment, **ports},
            self.folder / f"{service}-{number}.log",
            int(ports["EXCONN_OPS_PORT"]),
        )
        self.processes.append(process)
        return process

    def _command(self, command: list[str]) -> str:
        name = " ".join([Path(command[0]).name, *command[1:]])
        try:
            answer = subprocess.run(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Trouble(f"{name} did not end within {COMMAND_S} s") from None
        if answer.returncode:
            raise Trouble(f"{name} failed, exit status {answer.returncode}:\n{_tail(answer.stderr)}")
        return answer.stdout

    def _close(self) -> None:
        for process in self.processes:
            process.ask_to_stop()
        for process in self.processes:
            process.stop()
        # A victim's server may be gone with its database; that is no reason to leave the rest behind.
        with contextlib.suppress(OSError, KeyError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._leaving.close()


def _script(service: str) -> str:
    """The command of a service, beside the interpreter that runs us."""
    return str(Path(sys.executable).with_name(service))


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-10:])


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


__all__ = ["SERVICES", "Trouble", "World", "last_words"]
