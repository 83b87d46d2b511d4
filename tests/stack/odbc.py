"""ODBC drivers for tests, in a registry of our own; nothing of the machine's configuration is changed."""

import ctypes.util
import importlib.util
import os
import platform
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stack import processes
from stack.ledger import VAR
from stack.packages import Missing, apt_install

POSTGRESQL = "PostgreSQL Unicode"
FREETDS = "FreeTDS"
MICROSOFT = "ODBC Driver 18 for SQL Server"
FOLDERS = ("/usr/lib/*/odbc", "/usr/lib64", "/usr/lib/odbc", "/usr/lib", "/usr/local/lib")
ADVICE = (
    "ODBC drivers are missing: install unixODBC, psqlodbc and FreeTDS "
    "(Debian: apt-get install libodbc2 odbc-postgresql tdsodbc)."
)


@processes.once
def odbc_environment(*, install: bool = True) -> dict[str, str]:
    """Writes var/odbc/odbcinst.ini and answers the environment for processes that use ODBC.

    Also sets it for this process; call it before pyodbc is imported. Raises Missing.
    """
    drivers = find_drivers()
    needed = {POSTGRESQL, FREETDS}
    if not (has_manager() and needed <= drivers.keys()):
        for_microsofts = ("libgssapi-krb5-2", "libkrb5-3", "libltdl7") if microsoft_driver() else ()
        if not (install and apt_install("libodbc2", "odbc-postgresql", "tdsodbc", *for_microsofts)):
            raise Missing(ADVICE)
        drivers = find_drivers()
    folder = VAR / "odbc"
    folder.mkdir(parents=True, exist_ok=True)
    sections = (f"[{name}]\nDriver = {path}\n" for name, path in drivers.items())
    draft = folder / f"odbcinst.ini.{os.getpid()}"
    draft.write_text("\n".join(sections))
    draft.replace(folder / "odbcinst.ini")
    environment = {"ODBCSYSINI": str(folder)}
    os.environ.update(environment)
    return environment


def planning_odbc(dsn: str) -> str:
    """The ODBC connection string of a PostgreSQL database that is named by a DSN."""
    parts = urlsplit(dsn)
    fields = {
        "Driver": f"{{{POSTGRESQL}}}",
        "Server": parts.hostname or "127.0.0.1",
        "Port": str(parts.port or 5432),
        "Database": parts.path[1:],
        "Uid": unquote(parts.username or "postgres"),
        "Pwd": unquote(parts.password or ""),
        "BoolsAsChar": "0",  # else a boolean is the text '1'
    }
    return ";".join(f"{name}={value}" for name, value in fields.items() if value)


def tds_drivers() -> list[str]:
    """The names of the drivers for SQL Server that this machine has."""
    return [name for name in (MICROSOFT, FREETDS) if name in find_drivers()]


def find_drivers() -> dict[str, Path]:
    """The library of each driver, by its name."""
    found = {
        POSTGRESQL: find_library("psqlodbcw.so"),
        FREETDS: find_library("libtdsodbc.so"),
        MICROSOFT: microsoft_driver(),
    }
    return {name: path for name, path in found.items() if path}


def find_library(file: str) -> Path | None:
    folders = (folder for pattern in FOLDERS for folder in Path("/").glob(pattern[1:]))
    return next((folder / file for folder in folders if (folder / file).exists()), None)


def microsoft_driver() -> Path | None:
    """Microsoft's driver as the wheel brings it; None where that was left out."""
    wheel = importlib.util.find_spec("mssql_python_odbc")
    if not wheel or sys.platform != "linux":
        return None
    family = "debian_ubuntu" if Path("/etc/debian_version").exists() else "rhel"
    folder = Path(wheel.origin).parent / "libs/linux" / family / platform.machine() / "lib"
    return next(iter(sorted(folder.glob("libmsodbcsql-*.so*"))), None)


def has_manager() -> bool:
    """Whether unixODBC's driver manager, which pyodbc needs, is there."""
    return ctypes.util.find_library("odbc") is not None
