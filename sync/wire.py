"""What travels between the client and the functions: checked going out, typed coming in.

Texts are made storable before they are sent: Postgres refuses U+0000 and no encoding carries a
lone surrogate, and either would sit at the head of an outbox for ever. Limits are checked here
too, so that a permanently refused item is known before the network is asked.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

from sync import errors, port
from sync.port import Escalation, Hop, Member, NewEscalation, Onward, Receipt, State

if TYPE_CHECKING:
    from collections.abc import Sequence

ESCALATE = (
    "%s::uuid, %s::uuid, %s::uuid, %s::text, %s::text, %s::text, %s::int, %s::uuid, "
    "%s::bytea, %s::int, %s::int"
)
PICK_UP = "%s::uuid, %s::uuid, %s::int, %s::text"
PICK_UP_1 = "%s::uuid, %s::uuid, %s::int"
RENEW = "%s::uuid, %s::bigint, %s::int"
RELEASE = (
    "%s::uuid, %s::uuid, %s::bigint, %s::text, %s::text, %s::int, %s::uuid, %s::bytea, %s::int"
)
WITHDRAW = "%s::uuid, %s::uuid, %s::int"
CANCEL = "%s::uuid, %s::uuid, %s::text"
REASSIGN = "%s::uuid, %s::uuid, %s::uuid"
RESOLVE = "%s::uuid, %s::uuid, %s::bigint, %s::text"
APPEND_STEPS = "%s::uuid, %s::uuid, %s::bigint, %s::bytea[]"

_INT_MAX = 2_147_483_647


# --- going out -----------------------------------------------------------------------------


def storable(text: str) -> str:
    """Return the text with U+0000 shown as U+2400 and lone surrogates as U+FFFD."""
    if "\0" not in text and text.isascii():
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\u2400")


def display_name(text: str) -> str:
    """Return a name without control and formatting characters, one line, at most 120 long."""
    kept = "".join(
        " " if c.isspace() else c
        for c in storable(text)
        if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn")
    )
    return " ".join(kept.replace("\u2400", "").split())[:120].rstrip()


def _limited(text: str, longest: int, what: str) -> str:
    clean = storable(text)
    if len(clean) > longest:
        raise errors.TooLargeError(
            f"The {what} has {len(clean):,} characters; the team queue takes {longest:,}."
        )
    return clean


def reason(text: str) -> str:
    """Return a reason fit for the wire."""
    return _limited(text, port.REASON_MAX, "reason")


def read_back(text: str) -> str:
    """Return a read-back fit for the wire."""
    return _limited(text, port.READ_BACK_MAX, "read-back")


def outcome(text: str) -> str:
    """Return an outcome fit for the wire."""
    return _limited(text, port.OUTCOME_MAX, "outcome")


def _package(payload: bytes) -> bytes:
    if len(payload) > port.PACKAGE_MAX:
        raise errors.TooLargeError(
            f"The hand-off package has {len(payload):,} bytes; "
            f"the team queue takes {port.PACKAGE_MAX:,}."
        )
    return payload


def _count(number: int | None) -> int | None:
    if number is not None and not 0 <= number <= 100_000:  # noqa: PLR2004  # the table's check
        raise errors.RejectedError("The number of steps is out of range.")
    return number


def steps(payloads: Sequence[bytes]) -> list[bytes]:
    """Return the steps of one call, checked against the limits."""
    found = [bytes(payload) for payload in payloads]
    if not found:
        raise errors.RejectedError("There are no steps to add.")
    if (
        len(found) > port.STEPS_PER_CALL
        or max(map(len, found)) > port.STEP_MAX
        or sum(map(len, found)) > port.STEPS_BYTES_PER_CALL
    ):
        raise errors.TooLargeError("These steps are larger than the team queue takes at once.")
    return found


def escalate_arguments(op_id: UUID, new: NewEscalation) -> tuple[object, ...]:
    """Return the arguments of `ESCALATE`."""
    return (
        op_id,
        new.id,
        new.session_id,
        _limited(new.summary, port.SUMMARY_MAX, "summary"),
        reason(new.reason),
        _limited(new.ticket_number, port.TICKET_MAX, "ticket number"),
        _count(new.step_count),
        new.assigned_to,
        _package(new.package),
        new.package_schema,
        min(max(new.expires_in, 0), _INT_MAX),
    )


def release_arguments(
    op_id: UUID, escalation_id: UUID, fence: int | None, onward: Onward
) -> tuple[object, ...]:
    """Return the arguments of `RELEASE`."""
    if (onward.package is None) != (onward.package_schema is None):
        raise errors.RejectedError("A package comes with its schema number.")
    return (
        op_id,
        escalation_id,
        fence,
        reason(onward.reason),
        None if onward.summary is None else _limited(onward.summary, port.SUMMARY_MAX, "summary"),
        _count(onward.step_count),
        onward.assigned_to,
        None if onward.package is None else _package(onward.package),
        onward.package_schema,
    )


# --- coming in -----------------------------------------------------------------------------


def moment(text: str) -> datetime:
    """Return the server's time as an aware UTC datetime."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _maybe_moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _maybe_uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def member(row: dict[str, Any]) -> Member:
    """Read a member."""
    return Member(
        UUID(row["engineer_id"]),
        display_name(row["display"]),
        row["active"],
        _maybe_moment(row.get("last_seen")),
    )


def escalation(row: dict[str, Any]) -> Escalation:
    """Read an escalation."""
    return Escalation(
        id=UUID(row["id"]),
        session_id=UUID(row["session_id"]),
        state=State(row["state"]),
        version=row["version"],
        team_seq=row["team_seq"],
        fence=row["fence"],
        originator=UUID(row["originator"]),
        created_by=UUID(row["created_by"]),
        assigned_to=_maybe_uuid(row["assigned_to"]),
        handler=_maybe_uuid(row["handler"]),
        created_at=moment(row["created_at"]),
        raised_at=moment(row["raised_at"]),
        claimed_at=_maybe_moment(row["claimed_at"]),
        lease_until=_maybe_moment(row["lease_until"]),
        expires_at=moment(row["expires_at"]),
        ended_at=_maybe_moment(row["ended_at"]),
        reason=row["reason"],
        summary=row["summary"],
        ticket_number=row["ticket_number"],
        step_count=row["step_count"],
        hop_count=row["hop_count"],
        steps_appended=row["steps_appended"],
        package_schema=row["package_schema"],
        package_size=row["package_size"],
        read_back=row.get("read_back", ""),
        outcome=row["outcome"],
    )


def hop(row: dict[str, Any]) -> Hop:
    """Read a hop."""
    return Hop(
        number=row["number"],
        raised_by=UUID(row["raised_by"]),
        raised_at=moment(row["raised_at"]),
        reason=row["reason"],
        assigned_to=_maybe_uuid(row["assigned_to"]),
        picked_up_by=_maybe_uuid(row["picked_up_by"]),
        picked_up_at=_maybe_moment(row["picked_up_at"]),
        read_back=row.get("read_back", ""),
        ended_at=_maybe_moment(row["ended_at"]),
        ended_how=row["ended_how"],
    )


def receipt(answer: dict[str, Any], *, not_stored: tuple[str, ...] = ()) -> Receipt:
    """Read the answer to an operation; raise what it refuses."""
    if not answer["ok"]:
        raise refusal(answer)
    return Receipt(
        escalation_id=UUID(answer["id"]),
        state=State(answer["state"]),
        version=answer["version"],
        fence=answer["fence"],
        lease_until=_maybe_moment(answer["lease_until"]),
        team_seq=answer["team_seq"],
        replayed=answer.get("replayed", False),
        steps_appended=answer["steps_appended"],
        not_stored=not_stored,
    )


def refusal(answer: dict[str, Any]) -> errors.RefusedError:
    """Return the error that says what the queue refused."""
    kind = errors.REFUSALS.get(answer["why"], errors.RefusedError)
    name = answer.get("handler_name")
    name = None if name is None else display_name(name)
    state = answer.get("state")
    message = kind.title
    if kind is errors.AlreadyPickedUpError and name:
        message = f"Already picked up by {name}"
    elif kind is errors.ClaimLostError and name:
        message = f"{name} handles this escalation now"
    elif kind is errors.EndedError and state:
        message = f"This escalation was {state} already"
    return kind(message, state=state, handler=answer.get("handler"), handler_name=name)


# --- going wrong ---------------------------------------------------------------------------

_BY_STATE: dict[str, type[errors.QueueError]] = {
    "FP400": errors.RejectedError,
    "FP403": errors.RevokedError,
    "FP404": errors.NotFoundError,
    "FP409": errors.OperationReusedError,
    "FP413": errors.TooLargeError,
    "FP426": errors.ClientTooOldError,
    "25006": errors.ReadOnlyServerError,
    "28000": errors.SignInError,
    "28P01": errors.SignInError,
    "3D000": errors.AccessError,
    "3F000": errors.ServerTooOldError,
    "40001": errors.BusyError,
    "40P01": errors.BusyError,
    "42501": errors.RevokedError,
    "42883": errors.ServerTooOldError,
    "55P03": errors.BusyError,
    "57014": errors.DeadlineError,
}
_BY_CLASS: dict[str, type[errors.QueueError]] = {
    "08": errors.UnreachableError,
    "22": errors.RejectedError,
    "23": errors.RejectedError,
    "53": errors.BusyError,
    "57": errors.UnreachableError,
    "58": errors.BusyError,
}
# Before a session exists the driver reports text only.
_BY_WORDS: tuple[tuple[str, type[errors.QueueError]], ...] = (
    ("certificate", errors.UntrustedServerError),
    ("channel binding", errors.UntrustedServerError),
    ("does not support SSL", errors.UntrustedServerError),
    ("SSL error", errors.UntrustedServerError),
    ("authentication method requirement", errors.UntrustedServerError),
    ("not permitted to log in", errors.RevokedError),
    ("password authentication failed", errors.SignInError),
    ("pg_hba.conf", errors.SignInError),
    ("permission denied for database", errors.RevokedError),
    ("too many connections", errors.BusyError),
    ("connection slots", errors.BusyError),
    ("starting up", errors.BusyError),
    ("does not exist", errors.SignInError),
)


def translate(error: psycopg.Error, *, out_of_time: bool = False) -> errors.QueueError:
    """Return our error for one of the driver's; its text is kept as the cause only."""
    if out_of_time or isinstance(error, psycopg.errors.ConnectionTimeout):
        return errors.DeadlineError()
    if error.sqlstate:
        kind = _BY_STATE.get(error.sqlstate) or _BY_CLASS.get(error.sqlstate[:2])
        if kind is not None:
            return kind()
        return errors.RejectedError(f"The team queue answered with error {error.sqlstate}.")
    text = str(error)
    for words, kind in _BY_WORDS:
        if words in text:
            return kind()
    if isinstance(error, psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError):
        return errors.RejectedError(f"The driver reported {type(error).__name__}.")
    # A broken connection, or a conversation that makes no sense: nothing is known.
    return errors.UnreachableError()
