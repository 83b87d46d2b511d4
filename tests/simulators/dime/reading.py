"""What can be read: resources as Dime.Scheduler answers them, and all appointments for tests."""

import json
from datetime import datetime
from typing import Any

RESOURCE_FIELDS = ("Id", "ResourceNo", "DisplayName", "Email", "ExchangeIntegrationEnabled")


class QueryError(Exception):
    """A sort or filter that the read model does not know."""


async def resources(connection: Any, query: dict[str, str]) -> list[dict[str, Any]]:
    """One page of resources; ``sort`` and ``filter`` are JSON lists, as the planning board sends them."""
    rows = await connection.fetch(f"SELECT {', '.join(RESOURCE_FIELDS)} FROM dbo.Resources ORDER BY Id")
    found = [{field: row[field.lower()] for field in RESOURCE_FIELDS} for row in rows]
    for condition in _listed(query.get("filter")):
        field, value = _field(condition), str(condition.get("value", "")).lower()
        found = [resource for resource in found if str(resource[field]).lower() == value]
    for order in reversed(_listed(query.get("sort"))):
        field = _field(order)
        found.sort(
            key=lambda resource: str(resource[field]), reverse=str(order.get("direction")).upper() == "DESC"
        )
    limit = int(query.get("limit") or len(found))
    start = int(query.get("start") or (int(query.get("page") or 1) - 1) * limit)
    return found[start : start + limit]


def _listed(text: str | None) -> list[dict[str, Any]]:
    try:
        listed = json.loads(text or "[]")
    except ValueError:
        raise QueryError("sort and filter are JSON.") from None
    if not isinstance(listed, list) or not all(isinstance(element, dict) for element in listed):
        raise QueryError("sort and filter are lists of objects.")
    return listed


def _field(element: dict[str, Any]) -> str:
    for field in RESOURCE_FIELDS:
        if field.lower() == str(element.get("property")).lower():
            return field
    raise QueryError(f"Resources have no property {element.get('property')}.")


async def appointments(connection: Any) -> list[dict[str, Any]]:
    """Every appointment with its assignments, by id; times are UTC."""
    rows = await connection.fetch(
        "SELECT a.Id, a.AppointmentGuid, a.Subject, a.Body, a.StartDate, a.EndDate, a.IsAllDayEvent, a.Importance,"
        " a.Locked, a.ShowAs, a.Sensitivity, a.ExchangeId, a.ICalUId, a.LastModifiedUser,"
        " c.Name AS Category, m.Name AS TimeMarker, j.SiteAddress,"
        " (SELECT coalesce(json_agg(json_build_object('resource_no', r.ResourceNo, 'display_name', r.DisplayName,"
        " 'email', r.Email, 'exchange_integration_enabled', r.ExchangeIntegrationEnabled) ORDER BY r.ResourceNo), '[]')"
        " FROM dbo.AppointmentResources ar JOIN dbo.Resources r ON r.Id = ar.ResourceId"
        " WHERE ar.AppointmentId = a.Id)::text AS Assignments"
        " FROM dbo.Appointments a LEFT JOIN dbo.Categories c ON c.Id = a.CategoryId"
        " LEFT JOIN dbo.TimeMarkers m ON m.Id = a.TimeMarkerId"
        " LEFT JOIN dbo.Tasks t ON t.Id = a.TaskId LEFT JOIN dbo.Jobs j ON j.Id = t.JobId ORDER BY a.Id"
    )
    return [_appointment(row) for row in rows]


def _appointment(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "guid": str(row["appointmentguid"]),
        "subject": row["subject"],
        "body": row["body"],
        "start": _utc(row["startdate"]),
        "end": _utc(row["enddate"]),
        "all_day": row["isalldayevent"],
        "importance": row["importance"],
        "show_as": row["showas"],
        "sensitivity": row["sensitivity"],
        "category": row["category"],
        "time_marker": row["timemarker"],
        "location": row["siteaddress"],
        "locked": row["locked"],
        "exchange_id": row["exchangeid"],
        "ical_uid": row["icaluid"],
        "last_modified_user": row["lastmodifieduser"],
        "assignments": json.loads(row["assignments"]),
    }


def _utc(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds") + "Z"
