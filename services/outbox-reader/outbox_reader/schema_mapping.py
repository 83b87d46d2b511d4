"""What the tables and columns of one Dime.Scheduler database are called: the mapping file.

Dime.Scheduler's tables are not public; the defaults are what public material lets one guess.
"""

from pathlib import Path
from typing import Annotated

import json5
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.errors import Configuration


def _identifier(name: str) -> str:
    """Refuse what no DBA means as the name of a table or column."""
    if not name.strip() or len(name) > 128 or any(ord(letter) < 32 for letter in name):
        raise ValueError("must be a name of 1 to 128 printable characters")
    return name


Identifier = Annotated[str, AfterValidator(_identifier)]


class _Names(BaseModel):
    """Names as the planning database spells them; unknown keys are faults; `null`: this installation has no such column."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Appointments(_Names):
    """The table of appointments. Columns that are `null` give null in the snapshot."""

    table: Identifier = "Appointments"
    id: Identifier = "Id"
    guid: Identifier = "AppointmentGuid"
    subject: Identifier = "Subject"
    body: Identifier | None = "Body"
    start: Identifier = "StartDate"
    end: Identifier = "EndDate"
    all_day: Identifier | None = "IsAllDayEvent"
    importance: Identifier | None = "Importance"
    locked: Identifier | None = "Locked"
    show_as: Identifier | None = "ShowAs"
    sensitivity: Identifier | None = "Sensitivity"
    exchange_id: Identifier | None = "ExchangeId"
    ical_uid: Identifier | None = "ICalUId"
    location: Identifier | None = None


class Assignments(_Names):
    """The table that puts resources on appointments."""

    table: Identifier = "AppointmentResources"
    appointment_id: Identifier = "AppointmentId"
    resource_id: Identifier = "ResourceId"


class Resources(_Names):
    """The table of resources."""

    table: Identifier = "Resources"
    id: Identifier = "Id"
    resource_no: Identifier = "ResourceNo"
    display_name: Identifier | None = "DisplayName"
    email: Identifier = "Email"
    exchange_integration_enabled: Identifier = "ExchangeIntegrationEnabled"


class Categories(_Names):
    """The table of categories, and the appointments' column that refers to it."""

    table: Identifier = "Categories"
    appointment_column: Identifier = "CategoryId"
    id: Identifier = "Id"
    name: Identifier = "Name"


class TimeMarkers(_Names):
    """The table of time markers, and the appointments' column that refers to it."""

    table: Identifier = "TimeMarkers"
    appointment_column: Identifier = "TimeMarkerId"
    id: Identifier = "Id"
    name: Identifier = "Name"


class Tasks(_Names):
    """The table of tasks, and the appointments' column that refers to it."""

    table: Identifier = "Tasks"
    appointment_column: Identifier = "TaskId"
    id: Identifier = "Id"
    location: Identifier | None = None


class Jobs(_Names):
    """The table of jobs, and the tasks' column that refers to it."""

    table: Identifier = "Jobs"
    task_column: Identifier = "JobId"
    id: Identifier = "Id"
    location: Identifier | None = "SiteAddress"


class Mapping(_Names):
    """What Dime.Scheduler's tables and columns are called. The defaults are guesses from public material."""

    table_schema: Identifier = Field("dbo", alias="schema")
    appointments: Appointments = Appointments()
    assignments: Assignments = Assignments()
    resources: Resources = Resources()
    categories: Categories | None = Categories()
    time_markers: TimeMarkers | None = TimeMarkers()
    tasks: Tasks | None = Tasks()
    jobs: Jobs | None = Jobs()

    @model_validator(mode="after")
    def _jobs_are_reached_through_tasks(self) -> "Mapping":
        if self.jobs is not None and self.tasks is None:
            raise ValueError("jobs are reached through tasks: with tasks null, jobs must be null too")
        return self


def load_mapping(path: str | Path | None) -> Mapping:
    """Read a mapping file (JSON; comments and trailing commas are fine); `None` gives the default names.

    Raises `Configuration` with every fault of the file at once.
    """
    if path is None:
        return Mapping()
    try:
        return Mapping.model_validate(json5.loads(Path(path).read_text(encoding="utf-8-sig")))
    except OSError as fault:
        raise Configuration(f"mapping file {path}: {fault.strerror or fault}") from fault
    except ValidationError as fault:
        raise Configuration(f"mapping file {path}: {_faults(fault)}") from fault
    except ValueError as fault:
        raise Configuration(f"mapping file {path} is not JSON: {fault}") from fault


def _faults(fault: ValidationError) -> str:
    """Every fault in one line: where it is and what is wrong with it."""
    return "; ".join(
        f"{'.'.join(str(part) for part in error['loc']) or 'the file'}: "
        + ("unknown name" if error["type"] == "extra_forbidden" else error["msg"])
        for error in fault.errors()
    )
