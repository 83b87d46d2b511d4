"""RabbitMQ for tests: the one given, the one that answers, or one of our own; and fresh virtual hosts in it.

The connector's exchange and queues have fixed names, so two tests at once need two virtual hosts.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import aio_pika

from stack import processes, vhosts
from stack.packages import Missing, apt_install

DEFAULT_URL = "amqp://guest:guest@127.0.0.1:5672/"
ADVICE = (
    "RabbitMQ 3.10 or newer is missing: install it (Debian: apt-get install rabbitmq-server) "
    "or name one in EXCONN_TEST_AMQP_URL."
)
# The script in /usr/sbin changes the user or refuses; these don't.
SCRIPTS = ("/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin", "/opt/rabbitmq/sbin")


class Broker:
    """A server; `url` names its first virtual host. New ones are made by the batch: each call is slow."""

    def __init__(self, url: str, vhosts_of: Callable[[list[str], list[str]], None]) -> None:
        self.url = url
        self._create_and_delete = vhosts_of
        self._spare: list[str] = []
        self._used: set[str] = set()
        self._lock = threading.Lock()
        self._released: list[str] = []

    def take(self, batch: int = 8) -> str:
        """The name of a new, empty virtual host."""
        with self._lock:
            if not self._spare:
                names = [f"exconn-{os.getpid()}-{secrets.token_hex(4)}" for _ in range(batch)]
                self._create_and_delete(names, self._released)
                self._spare, self._released = names, []
            name = self._spare.pop()
            self._used.add(name)
            return name

    def release(self, name: str) -> None:
        """To be deleted with the next batch, or at exit."""
        with self._lock:
            self._used.discard(name)
            self._released.append(name)

    def delete_vhosts(self) -> None:
        names = [*self._spare, *self._used, *self._released]
        self._spare, self._used, self._released = [], set(), []
        if names:
            self._create_and_delete([], names)

    def url_of(self, vhost: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{quote(vhost, safe='')}"))


_broker_of: dict[str, Broker] = {}


@processes.once
def broker(*, install: bool = True) -> Broker:
    """The broker to use, the same all through this process; raises Missing."""
    given = os.environ.get("EXCONN_TEST_AMQP_URL")
    url = given or DEFAULT_URL
    if logs_in(url):
        if found := shared(url):
            return found
        print(
            f"{host_of(url)} lets us make no virtual hosts; starting a RabbitMQ of our own", file=sys.stderr
        )
    elif given:
        raise Missing("EXCONN_TEST_AMQP_URL names no RabbitMQ that lets us in.")
    own = PrivateBroker(install=install)
    own.start()
    return own


def fresh_vhost(server: Broker) -> str:
    """The AMQP URL of a new, empty virtual host."""
    url = server.url_of(server.take())
    _broker_of[url] = server
    return url


def delete_vhost(url: str) -> None:
    """Gives a virtual host of `fresh_vhost` back; it is deleted later, and at exit at the latest."""
    _broker_of.pop(url).release(urlsplit(url).path[1:])


def shared(url: str) -> Broker | None:
    """A broker that somebody else runs, if one of the ways to make virtual hosts works there."""
    user = urlsplit(url).username or "guest"
    for way in (vhosts.through_api(url), vhosts.through_ctl(["rabbitmqctl"], user)):
        candidate = Broker(url, way)
        try:
            first = candidate.take(batch=1)
        except vhosts.Refused:
            continue
        processes.at_exit(candidate.delete_vhosts)
        # rabbitmqctl may speak to another broker than the one that answers on this address.
        if logs_in(candidate.url_of(first)):
            candidate.release(first)
            return candidate
    return None


class PrivateBroker(Broker):
    """A broker of our own on free ports of 127.0.0.1, with an empty folder.

    `start`, `kill` (SIGKILL) and `start` again keep port, virtual hosts and durable messages; `stop` ends
    it and removes everything.
    """

    def __init__(self, *, install: bool = True) -> None:
        self._scripts = find_scripts(install=install)
        self.folder = processes.private_folder("rabbitmq")
        processes.at_exit(self.stop)
        self.port = processes.free_port()
        self._environment = self._configure()
        self._ctl = [str(self._scripts / "rabbitmqctl")]
        way = vhosts.through_ctl(self._ctl, "guest", self._environment)
        super().__init__(f"amqp://guest:guest@127.0.0.1:{self.port}/", way)
        self._epmd: subprocess.Popen | None = None
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Returns when it answers; 4 to 10 s."""
        self._epmd = self._epmd or self._start_epmd()
        log = self.folder / "output"
        command = [self._scripts / "rabbitmq-server"]
        self._process = processes.start("rabbitmq", command, env=self._environment, log=log)
        processes.wait_for(lambda: greets(self.port), "RabbitMQ to answer", process=self._process, log=log)

    def kill(self) -> None:
        """As if the power of its machine had gone, some minutes after its queues were declared."""
        if self._process:
            # Up to 3.10 at least, Ra notes a new quorum queue in a DETS table that reaches the disk only
            # after three minutes; killed before that, a broker never again finds the queue's messages.
            with contextlib.suppress(vhosts.Refused):
                vhosts.evaluate(self._ctl, "[dets:sync(T) || T <- dets:all()], ok.", self._environment)
            processes.kill(self._process)
            self._process = None

    def stop(self) -> None:
        # Asked politely it would take 6 s, for data that nobody needs any more.
        for process in (self._process, self._epmd):
            if process:
                processes.kill(process)
        self._process = self._epmd = None
        processes.remove_folder(self.folder)

    def _start_epmd(self) -> subprocess.Popen:
        """Erlang's name server; started by us because the node's own would outlive the node."""
        port = self._environment["ERL_EPMD_PORT"]
        found = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")))
        epmd = processes.start("epmd", [found, "-port", port, "-address", "127.0.0.1"])
        processes.wait_for(lambda: listens(int(port)), "epmd to listen", process=epmd)
        return epmd

    def _configure(self) -> dict[str, str]:
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "disk_free_limit.absolute = 50MB\n"
            "log.console.level = warning\n"
        )
        (self.folder / "env").touch()
        (self.folder / "plugins").write_text("[].\n")
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),  # its cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(processes.free_port()),
            "RABBITMQ_BASE": str(self.folder),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env"),
            "RABBITMQ_DIST_PORT": str(processes.free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_NODENAME": f"exconn-{secrets.token_hex(4)}@localhost",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def find_scripts(*, install: bool) -> Path:
    """The folder of `rabbitmq-server` and `rabbitmqctl`."""
    if found := installed_scripts():
        return found
    if install and apt_install("rabbitmq-server") and (found := installed_scripts()):
        return found
    raise Missing(ADVICE)


def installed_scripts() -> Path | None:
    for pattern in SCRIPTS:
        for folder in sorted(Path("/").glob(pattern[1:]), reverse=True):
            if (folder / "rabbitmq-server").exists():
                return folder
    return None


def logs_in(url: str) -> bool:
    async def attempt() -> None:
        connection = await aio_pika.connect(url, timeout=5)
        await connection.close()

    if not listens(urlsplit(url).port or 5672, urlsplit(url).hostname or "127.0.0.1"):
        return False
    try:
        processes.run(attempt())
    except (OSError, TimeoutError, aio_pika.exceptions.AMQPError):
        return False
    return True


def greets(port: int) -> bool:
    """Whether a broker answers the first bytes of AMQP 0-9-1 with a method frame."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def listens(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def host_of(url: str) -> str:
    """Where a broker is, without its password."""
    return f"{urlsplit(url).hostname}:{urlsplit(url).port or 5672}"
