"""What the connector says to SQL Server: words of 2016, and no harm to the planners."""

import importlib
import pkgutil
import re

import pytest
from sqlfluff.core import FluffConfig, Linter

import common.planning
import outbox_reader.store


def statements() -> dict[str, str]:
    """Every statement for SQL Server, by its name."""
    found = {}
    for package in (common.planning, outbox_reader.store):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, dict) and value.keys() == {"mssql", "postgresql"}:
                    found[f"{module.name}.{name}"] = value["mssql"]
    return found


NEWER = re.compile(
    r"\b(STRING_AGG|TRIM|GREATEST|LEAST|DATETRUNC|GENERATE_SERIES|JSON_OBJECT|JSON_ARRAY|DISTINCT FROM|WINDOW)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def linter():
    return Linter(config=FluffConfig(overrides={"dialect": "tsql"}))


@pytest.mark.parametrize("name", statements())
def test_statement_can_be_parsed_as_t_sql(linter, name):
    parsed = linter.parse_string(statements()[name].replace("?", "1"))

    assert [str(fault) for fault in parsed.violations] == []


@pytest.mark.parametrize("name", statements())
def test_statement_keeps_to_words_of_sql_server_2016(name):
    assert NEWER.findall(statements()[name]) == []


@pytest.mark.parametrize("name", statements())
def test_statement_touches_nothing_but_our_own_objects(name):
    named = re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([A-Za-z]+\.[A-Za-z_]+)", statements()[name])

    assert {part.split(".")[0] for part in named} <= {"exconn", "sys"}


@pytest.mark.parametrize("name", statements())
def test_sequence_is_not_drawn_from_where_sql_server_refuses_it(name):
    """With TOP, DISTINCT or UNION in the same statement (errors 11719 to 11741), also by the default of a new row."""
    for statement in re.split(r";\s*\n", statements()[name]):
        if re.search(r"INSERT INTO exconn\.Outbox|NEXT VALUE FOR", statement):
            assert not re.search(r"\b(TOP|DISTINCT|UNION|OFFSET)\b", statement)
