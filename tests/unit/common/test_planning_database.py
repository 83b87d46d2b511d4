import pytest

from common.errors import Configuration, Transient

pyodbc = pytest.importorskip("pyodbc", reason="unixODBC is missing", exc_type=ImportError)
database = pytest.importorskip("common.planning.database", exc_type=ImportError)


@pytest.mark.parametrize(
    ("error", "state", "text", "kind"),
    [
        (pyodbc.OperationalError, "08S01", "Communication link failure", Transient),
        (pyodbc.OperationalError, "HYT00", "Login timeout expired", Transient),
        (pyodbc.OperationalError, "08001", "could not connect to server", Transient),
        (pyodbc.InterfaceError, "IM002", "Data source name not found", Transient),
        (pyodbc.InterfaceError, "28000", "Login failed for user 'exconn'. (18456)", Transient),
        (pyodbc.ProgrammingError, "42000", "Cannot open database requested by the login. (4060)", Transient),
        (pyodbc.Error, "40001", "Transaction was deadlocked (1205)", Transient),
        (pyodbc.ProgrammingError, "42000", "Lock request time out period exceeded. (1222)", Transient),
        (pyodbc.Error, "57P01", "terminating connection due to administrator command", Transient),
        (pyodbc.Error, "HY000", "server closed the connection unexpectedly", Transient),
        (pyodbc.ProgrammingError, "42S02", "Invalid object name 'exconn.Outbox'. (208)", Configuration),
        (pyodbc.ProgrammingError, "42P01", 'relation "exconn.outbox" does not exist', Configuration),
        (pyodbc.ProgrammingError, "42000", "The SELECT permission was denied (229)", Configuration),
        (pyodbc.Error, "42501", "permission denied for schema exconn", Configuration),
        (pyodbc.ProgrammingError, "42601", "syntax error", None),
        (pyodbc.DataError, "22012", "division by zero", None),
        (pyodbc.DataError, "22018", "Conversion failed (245)", None),
        (pyodbc.IntegrityError, "23000", "Violation of PRIMARY KEY constraint (2627)", None),
    ],
)
def test_errors_say_what_to_do(error, state, text, kind):
    translated = database.translate(error(state, f"[{state}] [driver]{text} (SQLExecDirectW)"))

    assert type(translated) is (kind or type(None))
    if kind:
        assert translated.code == ("EXC-PLANNING-UNAVAILABLE" if kind is Transient else "EXC-PLANNING-SCHEMA")


def test_only_locks_are_locks():
    assert database.locked(pyodbc.Error("55P03", "canceling statement due to lock timeout"))
    assert database.locked(pyodbc.Error("42000", "Lock request time out period exceeded. (1222)"))
    assert not database.locked(pyodbc.Error("08S01", "Communication link failure"))
    assert not database.locked(None)


async def test_nobody_answers_is_told_at_once_to_all_that_wait():
    nowhere = "Driver={No Such Driver};Server=127.0.0.1"
    async with database.connect(nowhere, "postgresql", size=2) as planning:
        for _ in range(3):
            with pytest.raises(Transient) as refused:
                await planning.rows({"mssql": "SELECT 1", "postgresql": "SELECT 1"})

    assert refused.value.code == "EXC-PLANNING-UNAVAILABLE"
    assert planning.connects == 0


def test_an_own_pqopt_is_kept():
    assert database.Database("Driver=x;PQOPT={a=b}", "postgresql")._dsn == "Driver=x;PQOPT={a=b}"
