"""Drivers against the stand-in: log-in, TLS, types, timeouts and lost connections on the wire."""

import subprocess
import sys
import threading
from datetime import datetime

import pyodbc
import pytest
import trustme

from simulators.tds.server import PASSWORD, USER, Fault

VALUES = "SELECT CAST(? AS int), CAST(? AS nvarchar(max)), CAST(? AS uniqueidentifier)"
FREETDS = "FreeTDS"
GUID = "6F9619FF-8B86-D011-B42D-00C04FC964FF"


@pytest.fixture
def connection(stand_in):
    with pyodbc.connect(stand_in.odbc(), autocommit=True, timeout=10) as opened:
        opened.timeout = 10
        yield opened
    opened.close()


def test_wrong_password_is_refused_with_the_number_of_sql_server(stand_in):
    with pytest.raises(pyodbc.Error, match=r"18456|Login failed"):
        pyodbc.connect(stand_in.odbc(password="wrong"), timeout=10)


def connect_trusting(stand_in, odbc, authority, tmp_path):
    """What a process that trusts this authority reads from the stand-in, and its errors.

    In a process of its own: drivers read their authorities once.
    """
    environment = odbc | {"SSL_CERT_FILE": str(authority)}
    string = stand_in.odbc(trust=False, HostNameInCertificate="localhost")  # it compares names, no addresses
    if stand_in.driver == FREETDS:
        settings = tmp_path / "freetds.conf"
        settings.write_text(
            f"[planning]\nhost = 127.0.0.1\nport = {stand_in.server.port}\nencryption = require\n"
            f"ca file = {authority}\ncheck certificate hostname = yes\n"
        )
        environment |= {"FREETDSCONF": str(settings)}
        string = f"Driver={{{FREETDS}}};Servername=planning;UID={USER};PWD={PASSWORD}"
    code = "import pyodbc, sys; c = pyodbc.connect(sys.argv[1], autocommit=True); print(c.execute('SELECT 1').fetchval())"
    run = subprocess.run(
        [sys.executable, "-c", code, string],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stdout, run.stderr


def test_certificate_of_a_known_authority_is_accepted(stand_in, odbc, tmp_path):
    read, errors = connect_trusting(stand_in, odbc, stand_in.authority, tmp_path)

    assert (errors, read) == ("", "1\n")


def test_certificate_of_an_unknown_authority_is_refused(stand_in, odbc, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")

    read, errors = connect_trusting(stand_in, odbc, tmp_path / "other.pem", tmp_path)

    assert read == ""
    assert "pyodbc" in errors


def test_login_without_tls_is_not_possible(stand_in):
    plain = (
        stand_in.odbc().replace("Encrypt=yes", "Encrypt=no").replace("Encryption=require", "Encryption=off")
    )

    try:
        with pyodbc.connect(plain, timeout=10) as opened:
            assert opened.execute("SELECT 1").fetchval() == 1
        opened.close()
    except pyodbc.Error:
        return  # refused is as good as raised to TLS

    assert stand_in.server.encrypted == [True]


@pytest.mark.parametrize(
    "text", ["", "héllo €", "\U0001f600", "a'b\"c", "line\r\nline", "x" * 4000, "x" * 4001, "ß" * 100_000]
)
def test_values_arrive_and_return_as_they_were(connection, text):
    row = connection.execute(VALUES, 7, text, GUID).fetchone()

    assert (row[0], row[1], row[2].upper()) == (7, text, GUID)


def test_absent_values_are_none(connection):
    assert tuple(connection.execute(VALUES, None, None, None).fetchone()) == (None, None, None)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.fromisoformat("2026-11-22T08:00:00"),
        datetime.fromisoformat("1753-01-01T23:59:59.997"),
        datetime.fromisoformat("9999-12-31T00:00:00.001"),
    ],
)
def test_times_keep_their_milliseconds(connection, moment):
    assert connection.execute("SELECT CAST(? AS datetime2(3))", moment).fetchval() == moment


def test_types_of_columns_are_those_of_python(connection):
    row = connection.execute(
        "SELECT CAST(1 AS bit), CAST(12345678901 AS bigint), CAST(NULL AS nvarchar(max)), CAST('x' AS varchar(3))"
    ).fetchone()

    assert tuple(row) == (True, 12345678901, None, "x")


def test_statement_is_prepared_once_and_run_often(connection):
    cursor = connection.cursor()

    answers = [cursor.execute(VALUES, number, str(number), None).fetchone()[1] for number in range(5)]

    assert answers == ["0", "1", "2", "3", "4"]


def test_changed_rows_are_counted(connection):
    assert [connection.execute("UPDATE t SET a = ?", number).rowcount for number in (1, 2)] == [1, 0]


def test_unknown_object_has_the_number_of_sql_server(connection):
    with pytest.raises(pyodbc.Error, match="208"):
        connection.execute("SELECT * FROM nothing")

    assert connection.execute("SELECT 1").fetchval() == 1


@pytest.mark.parametrize("number", [1205, 1222, 229])
def test_errors_keep_their_number(connection, stand_in, number):
    stand_in.server.faults.append(Fault("SELECT 1", "error", number, "as SQL Server would say"))

    with pytest.raises(pyodbc.Error, match=str(number)):
        connection.execute("SELECT 1")


def test_statement_without_answer_times_out_and_the_connection_can_be_used_again(connection, stand_in):
    stand_in.server.faults.append(Fault("SELECT 1", "stall"))
    connection.timeout = 1

    with pytest.raises(pyodbc.Error, match=r"(?i)timeout|timed out"):
        connection.execute("SELECT 1")

    assert stand_in.server.cancelled.wait(10)


@pytest.mark.parametrize("kind", ["drop before", "drop after"])
def test_connection_that_is_lost_is_an_error_at_once(connection, stand_in, kind):
    stand_in.server.faults.append(Fault("SELECT 1", kind))
    errors: list[pyodbc.Error] = []

    def ask():
        try:
            connection.execute("SELECT 1")
        except pyodbc.Error as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(20)

    assert not asking.is_alive()
    assert [error.args[0] in {"08S01", "08001", "HY000", "01000"} for error in errors] == [True]
