"""Every stable code that a transaction, a hold or an answer can carry, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["none", "transient", "configuration", "permanent"]


@dataclass(frozen=True, slots=True)
class Code:
    """A code, its class, one sentence on what happened, and the advice to an administrator."""

    name: str
    kind: Kind
    sentence: str
    advice: str


# fmt: off
_ROWS: tuple[tuple[str, Kind, str, str], ...] = (
    # Skipped: nothing is wrong, and the transaction says why nothing was sent.
    ("EXC-SUPERSEDED", "none", "A newer change of the same event replaced this one.", "Nothing to do."),
    ("EXC-NO-CHANGE", "none", "The calendar already shows what was wanted.", "Nothing to do."),
    ("EXC-DIRECTION-OFF", "none", "Sending to calendars is switched off.", "Switch outbound on, for all or for the mailbox."),
    ("EXC-BEFORE-CUT-OFF", "none", "The appointment ends before the cut-off date.", "Move the cut-off date if it should be sent."),
    ("EXC-NO-ADDRESS", "none", "The resource has no e-mail address.", "Enter the address in Dime.Scheduler."),
    # Outbound items.
    ("EXC-END-BEFORE-START", "permanent", "The appointment ends before it starts.", "Correct its times in Dime.Scheduler."),
    ("EXC-UNREADABLE", "permanent", "The appointment could not be read from the planning database.", "See the reason and correct the row; it is read again by itself."),
    ("EXC-REFUSED", "permanent", "Microsoft Graph refused the event's values.", "See Graph's code in the attempt; correct the appointment."),
    ("EXC-HAS-ATTENDEES", "permanent", "The event has attendees; a change would mail them.", "Remove the attendees in Outlook, then retry."),
    ("EXC-SERIES", "permanent", "The event was made a series; the connector never writes to a series.", "Remove the recurrence in Outlook, then retry."),
    ("EXC-NOT-ORGANIZER", "permanent", "The mailbox is not the organizer of the event.", "Delete that event in Outlook, then retry."),
    ("EXC-AMBIGUOUS", "configuration", "Several events of the calendar could be this appointment.", "Keep one of them in Outlook, then retry."),
    ("EXC-NOT-AS-SENT", "permanent", "The calendar answered other values than were sent.", "Compare both in the attempt, then retry."),
    ("EXC-EXHAUSTED", "transient", "The change failed many times while others of the mailbox succeeded.", "See the attempts, then retry."),
    ("EXC-EVENT-GONE", "permanent", "The event was deleted in the calendar.", "It is made again by itself."),
    # Calls to Graph.
    ("EXC-CONFLICT", "transient", "Somebody changed the event at the same moment.", "It is tried again by itself."),
    ("EXC-THROTTLED", "transient", "Microsoft Graph asked to wait.", "It continues by itself."),
    ("EXC-GRAPH-UNAVAILABLE", "transient", "Microsoft Graph is out of reach or in trouble.", "It continues by itself."),
    ("EXC-GRAPH-ANSWER", "transient", "Microsoft Graph answered something that is no event.", "It is tried again; see the attempt."),
    ("EXC-OUTCOME-UNKNOWN", "transient", "Nobody knows whether the call took effect.", "The event is looked at again by itself."),
    # Mailboxes.
    ("EXC-MAILBOX-NOT-FOUND", "configuration", "The mailbox does not exist.", "Correct the resource's address or create the mailbox."),
    ("EXC-MAILBOX-NO-LICENCE", "configuration", "The mailbox has no licence or is not in Exchange Online.", "Assign a licence."),
    ("EXC-MAILBOX-NO-ACCESS", "configuration", "The application may not access the mailbox.", "Check consent and the access policy; changes take up to two hours."),
    ("EXC-MAILBOX-FULL", "configuration", "The mailbox is locked or over its quota.", "Make room in the mailbox."),
    ("EXC-NO-PROFILE", "configuration", "No profile serves the domain of the mailbox.", "Add the domain to a profile's DOMAINS."),
    # Tenants.
    ("EXC-SIGN-IN-SECRET", "configuration", "Entra ID refused the client secret or certificate.", "Enter a valid secret or certificate for the profile."),
    ("EXC-SIGN-IN-CLIENT", "configuration", "Entra ID does not know the client id in this tenant.", "Correct client id and tenant id of the profile."),
    ("EXC-SIGN-IN-TENANT", "configuration", "Entra ID does not know the tenant.", "Correct the tenant id of the profile."),
    ("EXC-SIGN-IN-REFUSED", "configuration", "Entra ID refused the sign-in.", "See the error in the log; correct the profile."),
    ("EXC-SIGN-IN-UNAVAILABLE", "transient", "Entra ID is out of reach.", "It continues by itself."),
    # Our own neighbours.
    ("EXC-STATE-UNAVAILABLE", "transient", "The state database is out of reach.", "Start PostgreSQL; the service continues by itself."),
    ("EXC-BROKER-UNAVAILABLE", "transient", "The message broker is out of reach.", "Start RabbitMQ; the service continues by itself."),
    ("EXC-PLANNING-UNAVAILABLE", "transient", "The planning database is out of reach.", "Start it or check the network; the service continues by itself."),
    ("EXC-PLANNING-SCHEMA", "configuration", "The outbox objects are missing from the planning database or not ours to use.", "Install them: outbox-reader schema."),
    ("EXC-MALFORMED", "permanent", "A message does not match its contract.", "See docs/dead-letters.md."),
    ("EXC-INTERNAL", "permanent", "The connector met a state that it does not know; this is a defect.", "Report it with the log lines of the transaction."),
)
# fmt: on

CODES: dict[str, Code] = {name: Code(name, kind, sentence, advice) for name, kind, sentence, advice in _ROWS}
