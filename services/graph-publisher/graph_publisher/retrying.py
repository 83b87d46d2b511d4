"""Whether a transaction can be tried again. No I/O: decided on what the database shows under the link's lock."""

from __future__ import annotations

from dataclasses import dataclass

from common.codes import CODES


@dataclass(frozen=True, slots=True)
class Told:
    """A transaction with what its link is now. `successor`: a newer one of the link, whichever closed it.

    `open_call`: a call of the link is under way or of unknown outcome. `vanished`: absent is wanted, and is so.
    """

    direction: str
    status: str
    code: str | None
    link_id: int | None
    successor: int | None = None
    frozen: str | None = None
    open_call: bool = False
    vanished: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a transaction is left as it is; where it was `needed`, somebody must do something else first."""

    reason: str
    needed: bool = True


def refusal(told: Told | None, *, resend: bool) -> Refusal | None:
    """Return why nothing can be done, or None where the link is to be wanted again."""
    if told is None:
        return Refusal("there is no such transaction")
    if told.direction != "out":
        return Refusal("it is of the way back, which this version does not repeat")
    return _not_needed(told, resend=resend) or _not_possible(told)


def _not_needed(told: Told, *, resend: bool) -> Refusal | None:
    unknown = "; the outcome of its last call is not known yet" if told.open_call else ""
    skipped = told.status == "skipped" and not (resend and told.code == "EXC-NO-CHANGE")
    reasons = (
        (told.status == "pending", f"it is pending, and goes on by itself{unknown}"),
        (told.successor is not None, f"transaction {told.successor} replaced it"),
        (told.status == "succeeded" and not resend, "it succeeded; `resend` sends it once more"),
        (skipped, f"it was skipped: {_meaning(told.code)}"),
        (told.open_call, "the outcome of a call is not known yet; it is looked at again by itself"),
        (told.vanished and told.status != "failed", "the event is gone from the calendar, as wanted"),
    )
    reason = next((text for applies, text in reasons if applies), None)
    return Refusal(reason, needed=False) if reason else None


def _not_possible(told: Told) -> Refusal | None:
    if told.link_id is None:
        return Refusal(_meaning(told.code))
    return Refusal(_meaning(told.frozen)) if told.frozen else None


def sends_all(told: Told, *, resend: bool) -> bool:
    """Tell whether every field is sent again, also those that the calendar was given already.

    A calendar that answered otherwise was given them all: without this a retry would find nothing to do.
    """
    return resend or told.code == "EXC-NOT-AS-SENT"


def _meaning(code: str | None) -> str:
    known = CODES.get(code or "")
    return f"{known.sentence} {known.advice}" if known else str(code)
