"""Every message that crosses the broker. A field may be added within a version; anything else is a new version."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from common.errors import Malformed

Cause = Literal["change", "backfill", "reconcile", "replay"]
Action = Literal["I", "U", "D"]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


Moment = Annotated[
    AwareDatetime, AfterValidator(_utc), PlainSerializer(_text, return_type=str, when_used="json")
]
"""A moment in UTC; on the wire ISO 8601 with a `Z`."""


class Part(BaseModel):
    """A piece of a message: frozen, and tolerant of fields that a newer version added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Assignment(Part):
    """One resource on one appointment."""

    resource_no: str
    display_name: str | None = None
    email: str | None = None
    exchange_integration_enabled: bool = False


class Snapshot(Part):
    """An appointment with its assignments as read at one moment.

    The numbers are Dime.Scheduler's: `importance` 0 normal, 1 high, 2 low; `show_as` 1 to 6; `sensitivity` 1 to 4.
    """

    id: int
    guid: UUID
    subject: str = ""
    body: str = ""
    start: Moment
    end: Moment
    all_day: bool | None = None
    importance: int = 0
    show_as: int | None = None
    sensitivity: int | None = None
    category: str | None = None
    time_marker: str | None = None
    location: str | None = None
    locked: bool = False
    exchange_id: str | None = None
    ical_uid: str | None = None
    assignments: tuple[Assignment, ...] = ()

    def digest(self) -> str:
        """Return a hash that is equal for equal snapshots, however they were written."""
        return sha256(self.model_dump_json(exclude_none=True).encode()).hexdigest()


class Message(Part):
    """The base of all messages; `type` is also the routing key."""

    type: ClassVar[str]
    mandatory: ClassVar[bool] = True
    """Whether a message that no queue takes is an error for its sender."""

    def encode(self) -> bytes:
        """Return the body as it crosses the broker: one JSON object in UTF-8."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a body; raises `Malformed`, which names the faulty fields and never their values."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['type']}" for e in error.errors()
            )
            raise Malformed(f"{cls.type}: {faults}", code="EXC-MALFORMED") from error


class AppointmentChanged(Message):
    """An appointment as it is now in the planning; `snapshot` is absent where it was not found.

    (`epoch`, `version`) orders all snapshots of one appointment. `requests` are the ids of our own
    inbound requests that are folded in; they never make the whole message an echo.
    """

    type: ClassVar[str] = "appointment.changed.v1"

    appointment_id: int
    appointment_guid: UUID
    epoch: int
    version: int
    action: Action
    cause: Cause = "change"
    snapshot: Snapshot | None = None
    requests: tuple[UUID, ...] = ()
    changed_at: Moment | None = None
    """When the oldest of the folded changes was committed, as the planning database's clock says."""


class AppointmentUnreadable(Message):
    """An appointment's row could not be understood; it is parked."""

    type: ClassVar[str] = "appointment.unreadable.v1"

    appointment_id: int
    appointment_guid: UUID | None = None
    epoch: int
    version: int
    reason: str


class MailboxDirty(Message):
    """A link of the mailbox was set to wanted."""

    type: ClassVar[str] = "mailbox.dirty.v1"

    mailbox: str


class EventNotified(Message):
    """Something may have happened to an event."""

    type: ClassVar[str] = "event.notified.v1"

    mailbox: str
    event_id: str
    change: Literal["created", "updated", "deleted"]
    etag: str | None = None


class MailboxLook(Message):
    """A whole calendar must be looked at."""

    type: ClassVar[str] = "mailbox.look.v1"

    mailbox: str
    reason: Literal["missed", "removed", "reauthorize", "asked"]


class MailboxTestRequested(Message):
    """Somebody asked for a test of a mailbox."""

    type: ClassVar[str] = "mailbox.test-requested.v1"

    mailbox: str
    asked_by: str


class ReconcileRequested(Message):
    """Somebody asked for a reconciliation of mailboxes (none named: of all)."""

    type: ClassVar[str] = "reconcile.requested.v1"

    mailboxes: tuple[str, ...] = ()
    asked_by: str


class OutboxRequeue(Message):
    """A fresh snapshot of these appointments is wanted."""

    type: ClassVar[str] = "outbox.requeue.v1"

    appointment_ids: tuple[int, ...] = Field(min_length=1, max_length=1000)
    cause: Cause = "reconcile"
    priority: Literal[0, 1] = 1


class PlanningChanged(Message):
    """A person changed the planning from a calendar; for back offices, which bind queues of their own."""

    type: ClassVar[str] = "planning.changed.v1"
    mandatory: ClassVar[bool] = False

    transaction_id: UUID
    appointment_id: int | None = None
    appointment_guid: UUID | None = None
    mailbox: str
    outcome: str
    changes: dict[str, Any] = Field(default_factory=dict)


class Tick(Message):
    """A job is due; the type carries its name: `tick.<job>.v1`."""

    job: ClassVar[str]

    due: Moment


class RetryTick(Tick):
    """Failed transactions are to be retried."""

    type: ClassVar[str] = "tick.retry.v1"
    job: ClassVar[str] = "retry"


class RenewTick(Tick):
    """Subscriptions are to be renewed."""

    type: ClassVar[str] = "tick.renew.v1"
    job: ClassVar[str] = "renew"


class ReconcileTick(Tick):
    """Planning and calendars are to be compared."""

    type: ClassVar[str] = "tick.reconcile.v1"
    job: ClassVar[str] = "reconcile"


class DeltaTick(Tick):
    """Calendars are to be polled."""

    type: ClassVar[str] = "tick.delta.v1"
    job: ClassVar[str] = "delta"


class CanaryTick(Tick):
    """The canary appointment is to be sent."""

    type: ClassVar[str] = "tick.canary.v1"
    job: ClassVar[str] = "canary"


class PruneTick(Tick):
    """Rows past their retention are to be removed."""

    type: ClassVar[str] = "tick.prune.v1"
    job: ClassVar[str] = "prune"


_ALL: tuple[type[Message], ...] = (
    AppointmentChanged, AppointmentUnreadable, MailboxDirty, EventNotified, MailboxLook, MailboxTestRequested,
    ReconcileRequested, OutboxRequeue, PlanningChanged, RetryTick, RenewTick, ReconcileTick, DeltaTick, CanaryTick,
    PruneTick,
)  # fmt: skip

MESSAGES: dict[str, type[Message]] = {message.type: message for message in _ALL}
"""Every message by its type."""


def decode(type_: str | None, body: bytes) -> Message:
    """Read a message of any type; raises `Malformed` for an unknown type or a body that does not match."""
    message = MESSAGES.get(type_ or "")
    if message is None:
        raise Malformed(f"unknown message type {type_!r}", code="EXC-MALFORMED")
    return message.parse(body)
