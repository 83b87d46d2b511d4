"""The SQL of our objects: what a mapping may say, and that SQL Server 2016 can read what comes out."""

import re
from pathlib import Path

import pytest
from sqlfluff.core import FluffConfig, Linter

from common.errors import Configuration
from outbox_reader.schema import Mapping, load_mapping, render, render_part, schema_command

DEPLOY = Path(__file__).parents[3] / "deploy" / "sqlserver"
PARTS = ("install", "uninstall", "preflight")

# Words that SQL Server learnt after the first release of 2016 (CREATE OR ALTER came with its SP1).
REFUSED = re.compile(
    r"""\b(
        STRING_AGG | TRIM | TRANSLATE | CONCAT_WS | APPROX_COUNT_DISTINCT | GREATEST | LEAST | DATETRUNC | DATE_BUCKET
        | GENERATE_SERIES | JSON_OBJECT | JSON_ARRAY | JSON_OBJECTAGG | JSON_ARRAYAGG | JSON_PATH_EXISTS | ISJSON\s*\([^)]*,
        | LEFT_SHIFT | RIGHT_SHIFT | BIT_COUNT | GET_BIT | SET_BIT | CREATE\s+OR\s+ALTER | IS\s+(NOT\s+)?DISTINCT\s+FROM
        | WINDOW | RESUMABLE | XML_COMPRESSION | STRING_SPLIT\s*\([^)]*,[^)]*, | REGEXP_LIKE | REGEXP_REPLACE | VECTOR
        | OPTIMIZE_FOR_SEQUENTIAL_KEY | UNISTR | CURRENT_DATE | BASE64_ENCODE | IGNORE\s+NULLS | LEDGER | PRODUCT
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def _mapping(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mapping.json"
    path.write_text(text, encoding="utf-8")
    return path


def _code(sql: str) -> str:
    """Without comments and texts."""
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--.*", "", sql))


SCRIPTS = {part: render_part("mssql", part, Mapping()) for part in PARTS} | {
    "login": (DEPLOY / "login.sql").read_text(encoding="utf-8"),
    "install with strange names": render(
        "mssql",
        Mapping.model_validate(
            {
                "schema": "plan ning",
                "appointments": {
                    "table": "Order Lines",
                    "start": "Begin",
                    "end": "From",
                    "location": "Where",
                    "all_day": None,
                },
                "categories": None,
                "tasks": {"location": "Site"},
            }
        ),
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_t_sql_has_no_segment_that_a_parser_does_not_understand(name):
    linter = Linter(config=FluffConfig(overrides={"dialect": "tsql", "large_file_skip_byte_limit": 0}))

    parsed = linter.parse_string(SCRIPTS[name])

    assert [str(fault) for fault in parsed.violations] == []
    assert parsed.tree is not None
    assert "unparsable" not in parsed.tree.type_set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_t_sql_keeps_to_words_of_sql_server_2016(name):
    assert REFUSED.findall(_code(SCRIPTS[name])) == []


@pytest.mark.parametrize(
    "newer",
    ["SELECT STRING_AGG(a, ',')", "CREATE OR ALTER VIEW v", "a IS NOT DISTINCT FROM b", "SELECT TRIM(a)"],
)
def test_newer_words_would_be_noticed(newer):
    assert REFUSED.search(newer)


def test_triggers_cannot_change_what_the_planner_s_session_sees():
    install = _code(SCRIPTS["install"])
    triggers = re.findall(r"CREATE TRIGGER.*?\nEND;\nGO\n", install, re.DOTALL)

    assert len(triggers) == 7
    for trigger in triggers:
        assert re.search(
            r"AS\nBEGIN\n    SET NOCOUNT ON;\n    SET ROWCOUNT 0;\n    SET XACT_ABORT OFF;\n", trigger
        )
        assert not re.search(r"\b(EXEC|PRINT|RAISERROR|UPDATE\s+\w|DELETE\s+FROM|COMMIT|ROLLBACK)\b", trigger)
        written = set(re.findall(r"INSERT INTO (\S+)", trigger))
        assert written <= {"exconn.Outbox", "@touched", "@changed"}
        read = set(re.findall(r"(?:FROM|JOIN) ([^\s)]+)", trigger))
        assert read <= {"inserted", "deleted", "@touched", "@changed"}


def test_outbox_has_no_identity_and_nothing_that_depends_on_options_of_the_session():
    install = _code(SCRIPTS["install"])
    outbox = install[install.index("CREATE TABLE exconn.Outbox") : install.index("CREATE TABLE exconn.State")]

    assert "IDENTITY" not in outbox
    assert not re.search(r"CREATE (UNIQUE )?INDEX [^;]*\bWHERE\b|PERSISTED", outbox)
    assert "LOCK_ESCALATION = DISABLE" in SCRIPTS["install"]


def test_every_batch_of_the_installation_stops_where_an_earlier_one_failed():
    install = SCRIPTS["install"]
    inside = install[install.index("BEGIN TRANSACTION;") : install.rindex("COMMIT TRANSACTION;")]
    batches = [batch.strip() for batch in inside.split("\nGO\n")][1:]

    guarded = batches[1::2]

    assert len(guarded) > 10
    assert {batch.splitlines()[0] for batch in guarded} == {
        "IF @@ERROR <> 0 OR @@TRANCOUNT = 0 BEGIN IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SET NOEXEC ON; END"
    }


@pytest.mark.parametrize("part", PARTS)
def test_scripts_for_dbas_are_those_that_the_command_prints(part):
    kept = (DEPLOY / f"{part}.sql").read_text(encoding="utf-8")

    assert kept == schema_command("mssql", DEPLOY / "mapping.json", part == "uninstall", part == "preflight")


def test_mapping_for_dbas_shows_every_name_with_its_default():
    mapping = load_mapping(DEPLOY / "mapping.json")

    assert mapping == Mapping()
    shown = mapping.model_dump(exclude_unset=True, by_alias=True)
    assert shown == Mapping().model_dump(by_alias=True)


def test_without_a_mapping_file_the_default_names_are_taken():
    assert load_mapping(None) == Mapping()
    assert "FROM [dbo].[Appointments] AS a" in schema_command("mssql", None, uninstall=False)


def test_mapping_file_may_be_json_as_dot_net_reads_it(tmp_path):
    path = _mapping(tmp_path, '\ufeff{ /* ours */ "schema": "plan", // theirs\n "categories": null, }')

    mapping = load_mapping(path)

    assert mapping.table_schema == "plan"
    assert mapping.categories is None


def test_every_fault_of_a_mapping_file_is_told_at_once(tmp_path):
    path = _mapping(
        tmp_path, '{"apointments": {}, "resources": {"table": 7, "email": ""}, "tasks": {"id": null}}'
    )

    with pytest.raises(Configuration) as raised:
        load_mapping(path)

    message = str(raised.value)
    assert str(path) in message
    assert "apointments: unknown name" in message
    for where in ("resources.table", "resources.email", "tasks.id"):
        assert f"{where}: " in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not JSON"),
        ("[]", "the file: "),
        ('{"tasks": null}', "jobs are reached through tasks"),
        ('{"appointments": {"table": "a\\u0000b"}}', "appointments.table: "),
    ],
)
def test_mapping_file_that_cannot_be_meant_is_refused(tmp_path, text, fault):
    with pytest.raises(Configuration, match=re.escape(fault)):
        load_mapping(_mapping(tmp_path, text))


def test_missing_mapping_file_is_refused(tmp_path):
    with pytest.raises(Configuration, match="No such file"):
        load_mapping(tmp_path / "none.json")


def test_names_are_quoted_for_sql_server():
    mapping = Mapping.model_validate({"appointments": {"table": "Order] Lines", "subject": "What's up"}})

    assert "[dbo].[Order]] Lines]" in render("mssql", mapping)
    assert "CAST(a.[What's up] AS nvarchar(max))" in render("mssql", mapping)
    assert "N'What''s up'" in render_part("mssql", "preflight", mapping)


def test_names_that_postgresql_would_have_to_quote_are_refused():
    mapping = Mapping.model_validate({"appointments": {"subject": "x; DROP TABLE y"}})

    with pytest.raises(Configuration, match="regular identifier"):
        render("postgresql", mapping)


def test_preflight_is_for_sql_server_only():
    with pytest.raises(Configuration, match="SQL Server only"):
        schema_command("postgresql", None, uninstall=False, preflight=True)


@pytest.mark.parametrize("dialect", ["mssql", "postgresql"])
def test_columns_that_an_installation_lacks_are_null_in_the_snapshot(dialect):
    absent = ("all_day", "show_as", "sensitivity", "exchange_id", "ical_uid", "body", "importance", "locked")
    mapping = Mapping.model_validate({"appointments": dict.fromkeys(absent), "jobs": None})

    sql = render(dialect, mapping)

    for column in ("IsAllDayEvent", "ShowAs", "Sensitivity", "ExchangeId", "ICalUId", "SiteAddress", "Tasks"):
        assert column not in re.sub(r"\bNote\w+", "", sql)


@pytest.mark.parametrize("dialect", ["mssql", "postgresql"])
def test_absent_tables_get_no_trigger_and_no_join(dialect):
    mapping = Mapping.model_validate({"categories": None, "time_markers": None, "tasks": None, "jobs": None})

    sql = render(dialect, mapping)

    assert "LEFT JOIN" not in sql.split("exconn.SharedRow")[0]
    assert sorted(set(re.findall(r"CREATE TRIGGER (?:\[dbo\]\.)?exconn_([A-Za-z]+)", sql))) == [
        "Appointments",
        "Assignments",
        "Resources",
    ]
