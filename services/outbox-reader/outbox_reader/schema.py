"""The SQL of our objects in the planning database, rendered from a mapping of Dime.Scheduler's table names.

Nothing is run from here: the SQL is printed for a DBA to read. The templates lie in `sql/<dialect>/`, where
`{{name}}` stands for a name of the mapping or a fragment that is made here.
"""

import re
from importlib import resources
from pathlib import Path
from typing import Literal

from common.errors import Configuration
from outbox_reader import schema_fragments as fragments
from outbox_reader.schema_dialects import DIALECTS, Dialect, DialectName
from outbox_reader.schema_mapping import Mapping, load_mapping

__all__ = ["DialectName", "Mapping", "load_mapping", "render", "render_part", "schema_command"]

Part = Literal["install", "uninstall", "preflight"]

_PLACE = re.compile(r"(^ +)?\{\{(\w+)\}\}", re.MULTILINE)


def schema_command(
    dialect: DialectName, mapping_path: str | Path | None, uninstall: bool, preflight: bool = False
) -> str:
    """What `outbox-reader schema` prints; without a file, with the default names.

    `preflight` gives the check that a DBA runs first (`mssql` only), and wins over `uninstall`.
    Raises `Configuration` where the mapping file is at fault.
    """
    mapping = load_mapping(mapping_path)
    return render_part(dialect, "preflight", mapping) if preflight else render(dialect, mapping, uninstall)


def render(dialect: DialectName, mapping: Mapping, uninstall: bool = False) -> str:
    """The SQL that installs our objects, or takes them out; may be run any number of times."""
    return render_part(dialect, "uninstall" if uninstall else "install", mapping)


def render_part(dialect: DialectName, part: Part, mapping: Mapping) -> str:
    """One of the scripts. Raises `Configuration` where the dialect has no such script or cannot say a name."""
    speech = DIALECTS[dialect]
    if part == "preflight" and dialect != "mssql":
        raise Configuration("the pre-flight check exists for SQL Server only")
    return _filled(_template(dialect, part), _places(speech, mapping))


def _template(dialect: DialectName, part: str) -> str:
    return (
        resources.files("outbox_reader").joinpath("sql", dialect, f"{part}.sql").read_text(encoding="utf-8")
    )


def _filled(template: str, places: dict[str, str]) -> str:
    """Put the fragments in their places; one of several lines is indented like its place."""

    def fragment(place: re.Match[str]) -> str:
        indent = place[1] or ""
        return indent + places[place[2]].replace("\n", "\n" + indent)

    return _PLACE.sub(fragment, template)


def _places(speech: Dialect, mapping: Mapping) -> dict[str, str]:
    """What the templates of the scripts may name."""
    quote = speech.quote
    return {
        "schema": quote(mapping.table_schema),
        "schema_text": _text(mapping.table_schema),
        "appointments_text": _text(mapping.appointments.table),
        "assignments_text": _text(mapping.assignments.table),
        "appointments": fragments.qualified(speech, mapping, mapping.appointments.table),
        "appointment_id": quote(mapping.appointments.id),
        "appointment_guid": quote(mapping.appointments.guid),
        "assignments": fragments.qualified(speech, mapping, mapping.assignments.table),
        "assignment_appointment": quote(mapping.assignments.appointment_id),
        "assignment_resource": quote(mapping.assignments.resource_id),
        "resources": fragments.qualified(speech, mapping, mapping.resources.table),
        "resource_id": quote(mapping.resources.id),
        "resource_number": quote(mapping.resources.resource_no),
        "snapshot_fields": fragments.fields(speech, fragments.snapshot_fields(speech, mapping)),
        "snapshot_joins": "".join(f"\n{join}" for join in fragments.snapshot_joins(speech, mapping)),
        "assignment_fields": fragments.fields(speech, fragments.assignment_fields(speech, mapping)),
        "shared_rows": "\nUNION ALL\n".join(fragments.shared_rows(speech, mapping)),
        "shared_triggers": "\n".join(
            _shared_trigger(speech, mapping, shared) for shared in fragments.shared_tables(mapping)
        ),
        "expected_columns": ",\n".join(_expected_columns(mapping)),
        "drop_triggers": _template(speech.name, "drop_triggers"),
        "guard": _template(speech.name, "guard"),
    }


def _text(name: str) -> str:
    """A name inside the quotes of a string of SQL."""
    return name.replace("'", "''")


def _expected_columns(mapping: Mapping) -> list[str]:
    """(table, column, kind of its type) of all that the view and the triggers read, as rows of VALUES."""
    return [
        "(" + ", ".join(f"N'{_text(part)}'" for part in row) + ")"
        for row in fragments.expected_columns(mapping)
    ]


def _shared_trigger(speech: Dialect, mapping: Mapping, shared: fragments.Shared) -> str:
    quote = speech.quote
    places = {
        "schema": quote(mapping.table_schema),
        "guard": _template(speech.name, "guard"),
        "table": fragments.qualified(speech, mapping, shared.table),
        "shared": shared.name,
        "id": quote(shared.id),
        "updated": "\nOR ".join(f"UPDATE({quote(name)})" for name in (shared.id, *shared.shown)),
        "new_columns": ",\n".join(speech.pair.format(f"i.{quote(name)}") for name in shared.shown),
        "old_columns": ",\n".join(speech.pair.format(f"d.{quote(name)}") for name in shared.shown),
    }
    return _filled(_template(speech.name, "shared_trigger"), places)
