"""What SQL Server makes of strings, and how it words a refusal."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from simulators.dime.procedures import ALL, EXCHANGE
from simulators.dime.sqlserver import SqlError, bind, convert, signature

at = datetime.fromisoformat
EIGHT = at("2026-11-22T08:00")
GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


@pytest.mark.parametrize(
    ("text", "sql_type", "value"),
    [
        ("42", "bigint", 42),
        ("", "bigint", 0),
        (" 7 ", "int", 7),
        ("True", "bit", True),
        ("false", "bit", False),
        ("2", "bit", True),
        ("abcdef", "nvarchar(3)", "abc"),
        ("abcdef", "nvarchar(max)", "abcdef"),
        ("1.5", "decimal(18,6)", Decimal("1.5")),
        (GUID, "uniqueidentifier", UUID(GUID)),
        ("2026-11-22 08:00:00Z", "datetime", EIGHT),
        ("2026-11-22T08:00", "datetime", EIGHT),
        ("2026-11-22T08:00:00.000Z", "datetime", EIGHT),
        ("2026-11-22", "datetime", at("2026-11-22T00:00")),
        ("", "datetime", at("1900-01-01T00:00")),
        (None, "datetime", None),
    ],
)
def test_text_becomes_the_type_of_the_parameter(text, sql_type, value):
    assert convert(text, sql_type) == value


@pytest.mark.parametrize(
    ("given", "stored"), [("001", 0), ("002", 3_000), ("005", 7_000), ("999", 1_000_000), ("500", 500_000)]
)
def test_datetime_counts_in_three_hundredths_of_a_second(given, stored):
    value = convert(f"2026-11-22T08:00:00.{given}", "datetime")

    assert (value - EIGHT).total_seconds() * 1_000_000 == pytest.approx(stored)


@pytest.mark.parametrize(
    ("text", "sql_type"),
    [
        ("x", "bigint"),
        ("1_000", "int"),
        ("3000000000", "int"),
        ("yes", "bit"),
        ("2026-13-01", "datetime"),
        ("2026-11-22T08:00:00.0000000", "datetime"),
        ("2026-11-22T08:00:00+01:00", "datetime"),
        ("1752-12-31", "datetime"),
        ("22.11.2026", "datetime"),
        ("no", "uniqueidentifier"),
    ],
)
def test_text_of_another_type_is_a_conversion_error(text, sql_type):
    with pytest.raises(SqlError, match=f"^Error converting data type nvarchar to {sql_type}.$"):
        convert(text, sql_type)


DEMO = signature("Name nvarchar(10)\nCount int = 3\ncloud Extra bit = 0")


def test_parameters_left_out_have_their_defaults():
    assert bind("mboc_demo", DEMO, [("NAME", "a")], cloud=False) == {"Name": "a", "Count": 3, "Extra": False}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("Nmae", "a")], "@Nmae is not a parameter for procedure mboc_demo."),
        ([("@Name", "a")], "@@Name is not a parameter for procedure mboc_demo."),
        ([("Name", "a"), ("Extra", "1")], "@Extra is not a parameter for procedure mboc_demo."),
        ([("Name", "a"), ("name", "b")], "Parameter '@name' was supplied multiple times."),
        ([], "Procedure or function 'mboc_demo' expects parameter '@Name', which was not supplied."),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_the_words_of_sql_server(given, message):
    with pytest.raises(SqlError) as refused:
        bind("mboc_demo", DEMO, given, cloud=False)

    assert refused.value.message == message


def test_the_exchange_procedures_take_the_public_parameters_in_their_order():
    assert [parameter.name for parameter in EXCHANGE.values() if not parameter.cloud] == [
        *("AppointmentId", "AppointmentGuid", "ExchangeId", "ICalUId", "Start", "End", "Subject", "Body"),
        *("Importance", "ResourceEmail", "ShowAs", "Sensitivity", "Categories"),
    ]


def test_every_procedure_may_be_called_through_the_import():
    assert all(procedure.name.startswith("mboc_") for procedure in ALL)
