"""The ``mboc_`` procedures for what appointments refer to: resources, categories, time markers, notifications."""

from .appointments import Call, Touched, find
from .sqlserver import SqlError, signature

RESOURCE = signature(
    """
    ResourceNo nvarchar(50)
    SourceApp nvarchar(30) = NULL
    SourceType nvarchar(10) = NULL
    ResourceType nvarchar(100) = NULL
    ResourceName nvarchar(100) = NULL
    DisplayName nvarchar(100) = NULL
    Department nvarchar(100) = NULL
    Email nvarchar(100) = NULL
    FieldServiceEmail nvarchar(100) = NULL
    PersonalEmail nvarchar(100) = NULL
    HomeEmail nvarchar(100) = NULL
    ExchangeIntegrationEnabled bit = NULL
    ResourceGpsTrackingEnabled bit = NULL
    GpsTrackingResourceNo nvarchar(50) = NULL
    DoNotShow bit = NULL
    InServiceFrom datetime = NULL
    InServiceTill datetime = NULL
    ReplacementResource bit = NULL
    """
)
CATEGORY = signature(
    """
    CategoryName nvarchar(100)
    DisplayName nvarchar(100) = NULL
    CategoryHexColor nvarchar(10) = NULL
    """
)
TIME_MARKER = signature(
    """
    TimeMarker nvarchar(100)
    HexColor nvarchar(10) = NULL
    """
)
NOTIFICATION = signature(
    """
    SourceApp nvarchar(30) = NULL
    SourceType nvarchar(10) = NULL
    AppointmentId bigint = 0
    AppointmentGuid nvarchar(50) = NULL
    JobNo nvarchar(50) = NULL
    TaskNo nvarchar(50) = NULL
    mboc_id nvarchar(50) = NULL
    NotificationType int = 0
    NotificationCode nvarchar(20) = NULL
    NotificationText nvarchar(max) = NULL
    NotificationDate datetime = NULL
    SentFromBackoffice bit = 1
    """
)


def _name(call: Call, parameter: str) -> str:
    name = str(call.given[parameter] or "").strip()
    if not name:
        raise SqlError(f"{parameter} cannot be empty.")
    return name


async def upsert_resource(call: Call) -> Touched:
    await call.connection.execute(
        "INSERT INTO dbo.Resources (ResourceNo, DisplayName, Email, ExchangeIntegrationEnabled)"
        " VALUES ($1, $2, $3, coalesce($4, false))"
        " ON CONFLICT (ResourceNo) DO UPDATE SET DisplayName = coalesce($2, Resources.DisplayName),"
        " Email = coalesce($3, Resources.Email),"
        " ExchangeIntegrationEnabled = coalesce($4, Resources.ExchangeIntegrationEnabled)",
        _name(call, "ResourceNo"),
        call.given["DisplayName"] or call.given["ResourceName"],
        call.given["Email"],
        call.given["ExchangeIntegrationEnabled"],
    )
    return []


async def _upsert_named(call: Call, table: str, name: str, color: str | None) -> Touched:
    await call.connection.execute(
        f"INSERT INTO dbo.{table} (Name, Color) VALUES ($1, $2)"
        f" ON CONFLICT (Name) DO UPDATE SET Color = coalesce($2, {table}.Color)",
        name,
        color,
    )
    return []


async def upsert_category(call: Call) -> Touched:
    return await _upsert_named(
        call, "Categories", _name(call, "CategoryName"), call.given["CategoryHexColor"]
    )


async def upsert_time_marker(call: Call) -> Touched:
    return await _upsert_named(call, "TimeMarkers", _name(call, "TimeMarker"), call.given["HexColor"])


async def upsert_notification(call: Call) -> Touched:
    """Record the notification; it changes nothing of the appointment."""
    row = await find(call)
    await call.connection.execute(
        "INSERT INTO dbo.Notifications"
        " (AppointmentId, MbocId, NotificationType, NotificationCode, NotificationText, NotificationDate)"
        " VALUES ($1, $2, coalesce($3, 0), $4, $5, $6)",
        row["id"] if row else None,
        *(call.given[name] for name in ("mboc_id", "NotificationType", "NotificationCode")),
        *(call.given[name] for name in ("NotificationText", "NotificationDate")),
    )
    return []


async def task_id(call: Call) -> int:
    """The task that SourceApp, SourceType, JobNo and TaskNo name; it must be there."""
    names = [call.given[name] for name in ("SourceApp", "SourceType", "JobNo", "TaskNo")]
    found = await call.connection.fetchval(
        "SELECT t.Id FROM dbo.Tasks t JOIN dbo.Jobs j ON j.Id = t.JobId"
        " WHERE j.SourceApp = $1 AND j.SourceType = $2 AND j.JobNo = $3 AND t.TaskNo = $4",
        *names,
    )
    if found is None:
        raise SqlError(f"Task {names[3]} of job {names[2]} does not exist.")
    return int(found)
