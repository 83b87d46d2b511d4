"""The SQL of our objects in the planning database, rendered from a mapping of Dime.Scheduler's table names.

Nothing is run from here: the SQL is printed for a DBA to read. The templates lie in `sql/<dialect>/`, where
`{{name}}` stands for a name of the mapping or a fragment that is made here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from common.errors import Configuration

from outbox_reader.schema_mapping import Mapping, load_mapping

__all__ = ["DialectName", "Mapping", "load_mapping", "render", "render_part", "schema_command"]

DialectName = Literal["mssql", "postgresql"]
Part = Literal["install", "uninstall", "preflight", "login"]

_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def schema_command(dialect: DialectName, mapping_path: str | Path | None, uninstall: bool) -> str:
    """What `outbox-reader schema` prints; without a file, with the default names.

    Raises `Configuration` where the mapping file is at fault.
    """
    return render(dialect, load_mapping(mapping_path), uninstall=uninstall)


def render(dialect: DialectName, mapping: Mapping, uninstall: bool = False) -> str:
    """The SQL that installs our objects, or takes them out; may be run any number of times."""
    return render_part(dialect, "uninstall" if uninstall else "install", mapping)


def render_part(dialect: DialectName, part: Part, mapping: Mapping) -> str:
    """One of the scripts: `preflight` and `login` exist for `mssql` only."""
    speech = _DIALECTS[dialect]
    return _filled(_template(dialect, part), _places(speech, mapping))


@dataclass(frozen=True)
class _Dialect:
    """How one database says what the view and the triggers need; `{}` is an expression."""

    name: DialectName
    quote: Callable[[str], str]
    time: str
    text: str
    number: str
    flag: str
    guid: str
    key: str
    literal: str
    field: str
    pair: str
    false: str


@dataclass(frozen=True)
class _Shared:
    """A table whose rows many appointments show."""

    name: str
    table: str
    id: str
    shown: tuple[str, ...]


def _bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


def _folded(name: str) -> str:
    """PostgreSQL folds what is not quoted, and so do the statements of the reader."""
    if not _REGULAR.fullmatch(name):
        raise Configuration(f"mapping: {name!r} is no regular identifier, which the postgresql dialect needs")
    return name


_DIALECTS: dict[DialectName, _Dialect] = {
    "mssql": _Dialect(
        name="mssql",
        quote=_bracketed,
        time="REPLACE(CONVERT(char(23), CAST({} AS datetime2(3)), 121), ' ', 'T')",
        text="CAST({} AS nvarchar(max))",
        number="CAST({} AS int)",
        flag="CAST({} AS bit)",
        guid="LOWER(CONVERT(char(36), {}))",
        key="CONVERT(nvarchar(128), {})",
        literal="CAST(N'{}' AS nvarchar(128))",
        field="{value} AS [{name}]",
        pair="CONVERT(varbinary(max), CAST({} AS nvarchar(max)))",
        false="0",
    ),
    "postgresql": _Dialect(
        name="postgresql",
        quote=_folded,
        time="to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')",
        text="({})::text",
        number="({})::int",
        flag="({})::boolean",
        guid="lower(({})::text)",
        key="({})::varchar(128)",
        literal="'{}'::varchar(128)",
        field="'{name}', {value}",
        pair="{}",
        false="false",
    ),
}


def _template(dialect: DialectName, part: str) -> str:
    return (
        resources.files("outbox_reader").joinpath("sql", dialect, f"{part}.sql").read_text(encoding="utf-8")
    )


def _filled(template: str, places: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: places[place[1]], template)


def _places(speech: _Dialect, mapping: Mapping) -> dict[str, str]:
    """What the templates of the scripts may name."""
    quote, tables = speech.quote, mapping
    return {
        "schema": quote(tables.table_schema),
        "appointments": _table(speech, tables, tables.appointments.table),
        "appointment_id": quote(tables.appointments.id),
        "appointment_guid": quote(tables.appointments.guid),
        "assignments": _table(speech, tables, tables.assignments.table),
        "assignment_appointment": quote(tables.assignments.appointment_id),
        "assignment_resource": quote(tables.assignments.resource_id),
        "resources": _table(speech, tables, tables.resources.table),
        "resource_id": quote(tables.resources.id),
        "resource_number": quote(tables.resources.resource_no),
        "snapshot_fields": _fields(speech, _snapshot_fields(speech, tables), indent=8),
        "snapshot_joins": "".join(f"\n{join}" for join in _snapshot_joins(speech, tables)),
        "assignment_fields": _fields(
            speech, _assignment_fields(speech, tables), indent=28 if speech.false == "false" else 20
        ),
        "shared_rows": "\nUNION ALL\n".join(_shared_rows(speech, tables)),
        "shared_triggers": "\n".join(
            _shared_trigger(speech, tables, shared) for shared in _shared_tables(tables)
        ),
        "drop_triggers": _template(speech.name, "drop_triggers"),
    }


def _table(speech: _Dialect, mapping: Mapping, table: str) -> str:
    return f"{speech.quote(mapping.table_schema)}.{speech.quote(table)}"


def _fields(speech: _Dialect, fields: Sequence[tuple[str, str]], indent: int) -> str:
    lines = (speech.field.format(name=name, value=value) for name, value in fields)
    return ",\n".join(" " * indent + line for line in lines)


def _snapshot_fields(speech: _Dialect, mapping: Mapping) -> list[tuple[str, str]]:
    """The keys of a snapshot in their order; times as the planning stores them, without a zone."""
    names = mapping.appointments

    def column(kind: str, name: str | None) -> str:
        return kind.format("NULL" if name is None else f"a.{speech.quote(name)}")

    return [
        ("id", f"a.{speech.quote(names.id)}"),
        ("guid", column(speech.guid, names.guid)),
        ("subject", f"COALESCE({column(speech.text, names.subject)}, '')"),
        ("body", f"COALESCE({column(speech.text, names.body)}, '')"),
        ("start", column(speech.time, names.start)),
        ("end", column(speech.time, names.end)),
        ("all_day", column(speech.flag, names.all_day)),
        ("importance", f"COALESCE({column(speech.number, names.importance)}, 0)"),
        ("show_as", column(speech.number, names.show_as)),
        ("sensitivity", column(speech.number, names.sensitivity)),
        ("category", _joined_name(speech, "c", mapping.categories and mapping.categories.name)),
        ("time_marker", _joined_name(speech, "m", mapping.time_markers and mapping.time_markers.name)),
        ("location", _location(speech, mapping)),
        ("locked", f"COALESCE({column(speech.flag, names.locked)}, {speech.flag.format(speech.false)})"),
        ("exchange_id", column(speech.text, names.exchange_id)),
        ("ical_uid", column(speech.text, names.ical_uid)),
    ]


def _joined_name(speech: _Dialect, alias: str, name: str | None) -> str:
    return speech.text.format("NULL" if name is None else f"{alias}.{speech.quote(name)}")


def _location(speech: _Dialect, mapping: Mapping) -> str:
    """The nearest address that is not empty: the appointment's own, else its task's, else its job's."""
    nearest = [
        ("a", mapping.appointments.location),
        ("t", _task_location(mapping)),
        ("j", _job_location(mapping)),
    ]
    texts = [
        f"NULLIF({_joined_name(speech, alias, name)}, '')" for alias, name in nearest if name is not None
    ]
    if not texts:
        return speech.text.format("NULL")
    return texts[0] if len(texts) == 1 else f"COALESCE({', '.join(texts)})"


def _task_location(mapping: Mapping) -> str | None:
    return mapping.tasks.location if mapping.tasks else None


def _job_location(mapping: Mapping) -> str | None:
    return mapping.jobs.location if mapping.jobs else None


def _snapshot_joins(speech: _Dialect, mapping: Mapping) -> list[str]:
    quote = speech.quote

    def join(alias: str, table: str, id_column: str, referring: str) -> str:
        return f"LEFT JOIN {_table(speech, mapping, table)} AS {alias} ON {referring} = {alias}.{quote(id_column)}"

    joins = []
    for alias, named in (("c", mapping.categories), ("m", mapping.time_markers)):
        if named is not None:
            joins.append(join(alias, named.table, named.id, f"a.{quote(named.appointment_column)}"))
    if mapping.tasks and (_task_location(mapping) or _job_location(mapping)):
        joins.append(
            join("t", mapping.tasks.table, mapping.tasks.id, f"a.{quote(mapping.tasks.appointment_column)}")
        )
    if mapping.jobs and _job_location(mapping):
        joins.append(join("j", mapping.jobs.table, mapping.jobs.id, f"t.{quote(mapping.jobs.task_column)}"))
    return joins


def _assignment_fields(speech: _Dialect, mapping: Mapping) -> list[tuple[str, str]]:
    names = mapping.resources
    enabled = speech.flag.format(f"r.{speech.quote(names.exchange_integration_enabled)}")
    return [
        ("resource_no", _joined_name(speech, "r", names.resource_no)),
        ("display_name", f"COALESCE({_joined_name(speech, 'r', names.display_name)}, '')"),
        ("email", _joined_name(speech, "r", names.email)),
        ("exchange_integration_enabled", f"COALESCE({enabled}, {speech.flag.format(speech.false)})"),
    ]


def _shared_tables(mapping: Mapping) -> list[_Shared]:
    """Every table of rows that many appointments show, with the columns that the snapshot takes from it."""
    names = mapping.resources
    shown = (names.resource_no, names.display_name, names.email, names.exchange_integration_enabled)
    shared = [_Shared("Resources", names.table, names.id, tuple(name for name in shown if name))]
    if mapping.categories:
        shared.append(
            _Shared("Categories", mapping.categories.table, mapping.categories.id, (mapping.categories.name,))
        )
    if mapping.time_markers:
        shared.append(
            _Shared(
                "TimeMarkers",
                mapping.time_markers.table,
                mapping.time_markers.id,
                (mapping.time_markers.name,),
            )
        )
    job_location = _job_location(mapping)
    if mapping.tasks and (_task_location(mapping) or job_location):
        task_shown = (
            _task_location(mapping),
            mapping.jobs.task_column if mapping.jobs and job_location else None,
        )
        shared.append(
            _Shared(
                "Tasks", mapping.tasks.table, mapping.tasks.id, tuple(name for name in task_shown if name)
            )
        )
    if mapping.jobs and job_location:
        shared.append(_Shared("Jobs", mapping.jobs.table, mapping.jobs.id, (job_location,)))
    return shared


def _shared_trigger(speech: _Dialect, mapping: Mapping, shared: _Shared) -> str:
    quote = speech.quote
    places = {
        "schema": quote(mapping.table_schema),
        "table": _table(speech, mapping, shared.table),
        "shared": shared.name,
        "id": quote(shared.id),
        "updated": " OR ".join(f"UPDATE({quote(name)})" for name in (shared.id, *shared.shown)),
        "new_columns": ", ".join(speech.pair.format(f"i.{quote(name)}") for name in shared.shown),
        "old_columns": ", ".join(speech.pair.format(f"d.{quote(name)}") for name in shared.shown),
    }
    return _filled(_template(speech.name, "shared_trigger"), places)


def _shared_rows(speech: _Dialect, mapping: Mapping) -> list[str]:
    """One SELECT per shared table: the appointments that show each of its rows."""
    quote, appointments = speech.quote, _table(speech, mapping, mapping.appointments.table)
    assignments, tasks, jobs = mapping.assignments, mapping.tasks, mapping.jobs
    by_assignment = (
        f"FROM {_table(speech, mapping, assignments.table)} AS s\n"
        f"INNER JOIN {appointments} AS a ON s.{quote(assignments.appointment_id)} = a.{quote(mapping.appointments.id)}"
    )
    sources = {"Resources": (f"s.{quote(assignments.resource_id)}", by_assignment)}
    for name, referred in (
        ("Categories", mapping.categories),
        ("TimeMarkers", mapping.time_markers),
        ("Tasks", tasks),
    ):
        if referred is not None:
            key = f"a.{quote(referred.appointment_column)}"
            sources[name] = (key, f"FROM {appointments} AS a\nWHERE {key} IS NOT NULL")
    if tasks and jobs:
        key = f"t.{quote(jobs.task_column)}"
        join = f"INNER JOIN {_table(speech, mapping, tasks.table)} AS t"
        on = f"ON a.{quote(tasks.appointment_column)} = t.{quote(tasks.id)}"
        sources["Jobs"] = (key, f"FROM {appointments} AS a\n{join} {on}\nWHERE {key} IS NOT NULL")
    return [
        _shared_row(speech, mapping, shared.name, *sources[shared.name]) for shared in _shared_tables(mapping)
    ]


def _shared_row(speech: _Dialect, mapping: Mapping, name: str, key: str, source: str) -> str:
    return (
        "SELECT\n"
        f"    {speech.literal.format(name)} AS SharedTable,\n"
        f"    {speech.key.format(key)} AS SharedKey,\n"
        f"    a.{speech.quote(mapping.appointments.id)} AS AppointmentId,\n"
        f"    a.{speech.quote(mapping.appointments.guid)} AS AppointmentGuid\n"
        f"{source}"
    )
