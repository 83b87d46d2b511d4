"""The parts of our view that depend on the mapping: what it selects, what it joins, who shows which row."""

from collections.abc import Sequence
from dataclasses import dataclass

from outbox_reader.schema_dialects import Dialect
from outbox_reader.schema_mapping import Mapping


@dataclass(frozen=True)
class Shared:
    """A table whose rows many appointments show."""

    name: str
    table: str
    id: str
    shown: tuple[str, ...]


def qualified(speech: Dialect, mapping: Mapping, table: str) -> str:
    return f"{speech.quote(mapping.table_schema)}.{speech.quote(table)}"


def fields(speech: Dialect, named: Sequence[tuple[str, str]]) -> str:
    """The expressions under the keys that they get in the JSON, one per line."""
    return ",\n".join(speech.field.format(name=name, value=value) for name, value in named)


def snapshot_fields(speech: Dialect, mapping: Mapping) -> list[tuple[str, str]]:
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
        ("category", _joined_name(speech, "c", mapping.categories.name if mapping.categories else None)),
        (
            "time_marker",
            _joined_name(speech, "m", mapping.time_markers.name if mapping.time_markers else None),
        ),
        ("location", _location(speech, mapping)),
        ("locked", f"COALESCE({column(speech.flag, names.locked)}, {speech.flag.format(speech.false)})"),
        ("exchange_id", column(speech.text, names.exchange_id)),
        ("ical_uid", column(speech.text, names.ical_uid)),
    ]


def _joined_name(speech: Dialect, alias: str, name: str | None) -> str:
    return speech.text.format("NULL" if name is None else f"{alias}.{speech.quote(name)}")


def _location(speech: Dialect, mapping: Mapping) -> str:
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


def snapshot_joins(speech: Dialect, mapping: Mapping) -> list[str]:
    quote = speech.quote

    def join(alias: str, table: str, id_column: str, referring: str) -> str:
        return f"LEFT JOIN {qualified(speech, mapping, table)} AS {alias} ON {referring} = {alias}.{quote(id_column)}"

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


def assignment_fields(speech: Dialect, mapping: Mapping) -> list[tuple[str, str]]:
    names = mapping.resources
    enabled = speech.flag.format(f"r.{speech.quote(names.exchange_integration_enabled)}")
    return [
        ("resource_no", _joined_name(speech, "r", names.resource_no)),
        ("display_name", f"COALESCE({_joined_name(speech, 'r', names.display_name)}, '')"),
        ("email", _joined_name(speech, "r", names.email)),
        ("exchange_integration_enabled", f"COALESCE({enabled}, {speech.flag.format(speech.false)})"),
    ]


def shared_tables(mapping: Mapping) -> list[Shared]:
    """Every table of rows that many appointments show, with the columns that the snapshot takes from it."""
    names = mapping.resources
    shown = (names.resource_no, names.display_name, names.email, names.exchange_integration_enabled)
    shared = [Shared("Resources", names.table, names.id, tuple(name for name in shown if name))]
    if mapping.categories:
        shared.append(
            Shared("Categories", mapping.categories.table, mapping.categories.id, (mapping.categories.name,))
        )
    if mapping.time_markers:
        shared.append(
            Shared(
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
            Shared("Tasks", mapping.tasks.table, mapping.tasks.id, tuple(name for name in task_shown if name))
        )
    if mapping.jobs and job_location:
        shared.append(Shared("Jobs", mapping.jobs.table, mapping.jobs.id, (job_location,)))
    return shared


def shared_rows(speech: Dialect, mapping: Mapping) -> list[str]:
    """One SELECT per shared table: the appointments that show each of its rows."""
    quote, appointments = speech.quote, qualified(speech, mapping, mapping.appointments.table)
    assignments, tasks, jobs = mapping.assignments, mapping.tasks, mapping.jobs
    by_assignment = (
        f"FROM {qualified(speech, mapping, assignments.table)} AS s\n"
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
        join = f"INNER JOIN {qualified(speech, mapping, tasks.table)} AS t"
        on = f"ON a.{quote(tasks.appointment_column)} = t.{quote(tasks.id)}"
        sources["Jobs"] = (key, f"FROM {appointments} AS a\n{join} {on}\nWHERE {key} IS NOT NULL")
    return [
        _shared_row(speech, mapping, shared.name, *sources[shared.name]) for shared in shared_tables(mapping)
    ]


def _shared_row(speech: Dialect, mapping: Mapping, name: str, key: str, source: str) -> str:
    return (
        "SELECT\n"
        f"    {speech.literal.format(name)} AS SharedTable,\n"
        f"    {speech.key.format(key)} AS SharedKey,\n"
        f"    a.{speech.quote(mapping.appointments.id)} AS AppointmentId,\n"
        f"    a.{speech.quote(mapping.appointments.guid)} AS AppointmentGuid\n"
        f"{source}"
    )


_KINDS = {
    "id": "id",
    "appointment_id": "id",
    "resource_id": "id",
    "subject": "text",
    "body": "text",
    "location": "text",
    "name": "text",
    "resource_no": "text",
    "display_name": "text",
    "email": "text",
    "exchange_id": "text",
    "ical_uid": "text",
    "guid": "guid",
    "start": "time",
    "end": "time",
    "all_day": "flag",
    "locked": "flag",
    "exchange_integration_enabled": "flag",
}


def expected_columns(mapping: Mapping) -> list[tuple[str, str, str]]:
    """(table, column, kind) of every column of the mapping; the kinds are id, text, guid, time, flag and number."""
    expected = []
    for names in (
        mapping.appointments,
        mapping.assignments,
        mapping.resources,
        mapping.categories,
        mapping.time_markers,
        mapping.tasks,
        mapping.jobs,
    ):
        columns = names.model_dump(exclude_none=True) if names else {}
        table_name = columns.pop("table", "")
        referring = columns.pop("appointment_column", None), columns.pop("task_column", None)
        expected += [(table_name, column, _KINDS.get(key, "number")) for key, column in columns.items()]
        owners = mapping.appointments.table, mapping.tasks.table if mapping.tasks else ""
        expected += [(owner, column, "id") for owner, column in zip(owners, referring, strict=True) if column]
    return expected
