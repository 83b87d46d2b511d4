"""`check` names what the login of the planning database may not do."""

from uuid import uuid4

import pytest

import stack
from outbox_reader.checking import check
from outbox_reader.settings import Settings

from .conftest import HOUR, START

RIGHTS = """
    GRANT USAGE ON SCHEMA exconn TO {login};
    GRANT SELECT ON ALL TABLES IN SCHEMA exconn TO {login};
    GRANT INSERT, UPDATE, DELETE ON exconn.Outbox TO {login};
    GRANT UPDATE ON exconn.State TO {login};
    GRANT USAGE, SELECT ON exconn.Version, exconn.OutboxId TO {login};
    GRANT SELECT ON exconn.Missed TO {login};
    GRANT EXECUTE ON FUNCTION pg_control_system, pg_control_checkpoint TO {login}"""


@pytest.fixture
async def login(sql):
    """A login with the rights that the reader needs, and none more."""
    name = f"reader_{uuid4().hex}"  # roles belong to the server, not to the database
    await sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret';" + RIGHTS.format(login=name))
    yield name
    await sql.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def settings(login, planning_dsn, state_dsn, vhost):
    fields = dict(
        field.split("=", 1) for field in stack.planning_odbc(planning_dsn).split(";") if "=" in field
    )
    return Settings(
        amqp_url=vhost,
        postgres_dsn=state_dsn,
        planning_odbc=";".join(
            f"{name}={value}" for name, value in (fields | {"Uid": login, "Pwd": "secret"}).items()
        ),
        planning_dialect="postgresql",
        installation="test",
    )


async def test_the_documented_rights_suffice_and_nothing_is_left_behind(settings, planner, sql):
    await planner.add_appointment("Stays", START, START + HOUR)
    before = await sql.fetch("SELECT * FROM exconn.Outbox, exconn.State")

    found = await check(settings)

    assert found == [("planning", None), ("postgresql", None), ("rabbitmq", None)]
    assert await sql.fetch("SELECT * FROM exconn.Outbox, exconn.State") == before


@pytest.mark.parametrize(
    ("right", "purpose"),
    [
        ("SELECT ON exconn.State", "read the outbox's identity"),
        ("SELECT ON exconn.Missed", "read what triggers missed"),
        ("SELECT ON exconn.Outbox", "read the outbox"),
        ("USAGE ON exconn.OutboxId", "number new rows of the outbox"),
        ("INSERT ON exconn.Outbox", "add rows to the outbox"),
        ("UPDATE ON exconn.Outbox", "change rows of the outbox"),
        ("DELETE ON exconn.Outbox", "remove rows from the outbox"),
        ("SELECT ON exconn.SharedRow", "look up who shows a shared row"),
        ("UPDATE ON exconn.State", "note how far the state database is"),
        ("USAGE ON exconn.Version", "draw a version"),
        ("SELECT ON exconn.AppointmentSnapshot", "read appointments"),
    ],
)
async def test_a_right_that_is_missing_is_named_by_what_it_is_for(settings, login, sql, right, purpose):
    kind = "SEQUENCE " if right.endswith(("Missed", "OutboxId", "Version")) else ""
    await sql.execute(f"REVOKE {right.replace(' ON ', f' ON {kind}')} FROM {login}")

    (_, fault), *_ = await check(settings)

    assert fault.startswith(f"EXC-PLANNING-SCHEMA: cannot {purpose}: ")
