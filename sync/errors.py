"""What can go wrong with the shared queue, as one tree.

    QueueError
    ├── UnreachableError          no answer; nothing is known about a sent operation: replay it
    │   ├── DeadlineError         the answer did not come in time
    │   └── BusyError             the server asks for patience (locks, connections)
    ├── AccessError               the server does not let this desktop in
    │   ├── SignInError           role or password refused
    │   ├── RevokedError          signed in, but no active member of any team
    │   └── UntrustedServerError  the server's certificate could not be verified
    ├── CompatibilityError        versions do not fit
    │   ├── ClientTooOldError     this desktop may read but not write
    │   ├── ServerTooOldError     the server lacks what was asked for
    │   └── ReadOnlyServerError   a standby or a server in maintenance
    ├── InvitationError           the pasted text is no invitation
    ├── RefusedError              the queue understood and said no (final for this operation id)
    │   ├── NotFoundError         absent, or not yours: both answer alike
    │   ├── AlreadyPickedUpError  somebody else was first
    │   ├── RaisedByYouError      nobody picks up what they raised
    │   ├── EndedError            resolved, cancelled or expired already
    │   ├── ClaimLostError        the fence is old: somebody else handles it now
    │   ├── NotAllowedError       only the one who raised or started it may
    │   ├── NotExpiredError       the handler is still there
    │   ├── NotOpenError          it waits for nobody at this moment
    │   ├── AssigneeError         cannot be assigned to that engineer
    │   └── FullError             no more steps fit
    ├── RejectedError             malformed for ever: park the outbox item and go on
    │   ├── TooLargeError
    │   └── OperationReusedError
    └── ClosedError               the client was closed

`retryable` means: the same operation id, sent again later, may succeed.
"""

from __future__ import annotations

from typing import ClassVar


class QueueError(Exception):
    """Anything the shared queue reports; never raised itself."""

    title: ClassVar[str] = "The team queue reported a problem"
    hint: ClassVar[str] = "Your work is saved on this computer."
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        self.message = message or self.title
        self.advice = self.hint if hint is None else hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class UnreachableError(QueueError):
    """No usable answer came; whether a sent operation took effect is unknown."""

    title = "The team queue can't be reached"
    hint = "What you did is saved here and is sent when the connection is back."
    retryable = True


class DeadlineError(UnreachableError):
    """The answer did not come in time."""

    title = "The team queue did not answer in time"


class BusyError(UnreachableError):
    """The server is up but asks for patience."""

    title = "The team queue is busy"


class AccessError(QueueError):
    """The server does not let this desktop in."""

    title = "The team queue does not let this computer in"
    hint = "Ask whoever runs your team queue for a new invitation. Your work is saved here."


class SignInError(AccessError):
    """Role or password were refused."""

    title = "The team queue refused the sign-in"


class RevokedError(AccessError):
    """The role signs in but belongs to no team any more."""

    title = "You are no longer a member of this team queue"


class UntrustedServerError(AccessError):
    """The server's certificate could not be verified; nothing was sent."""

    title = "The team queue's certificate can't be trusted"
    hint = (
        "Nothing was sent. The certificate must name the server's host and be signed by the "
        "authority in your invitation. Ask whoever runs your team queue."
    )


class CompatibilityError(QueueError):
    """Versions of desktop and queue do not fit."""

    title = "This version and the team queue don't fit together"


class ClientTooOldError(CompatibilityError):
    """The queue lets this desktop read but no longer write."""

    title = "This version of FlowPilot is too old to change the team queue"
    hint = "Update FlowPilot. Until then you can read; what you do is kept and sent afterwards."
    retryable = True


class ServerTooOldError(CompatibilityError):
    """The queue's schema lacks what was asked for."""

    title = "The team queue is too old for this"
    hint = "Ask whoever runs your team queue to run “flowpilot-queue migrate”."
    retryable = True


class ReadOnlyServerError(CompatibilityError):
    """A standby, or a server that accepts no change at this moment."""

    title = "The team queue can only be read at this moment"
    hint = "What you did is saved here and is sent when the queue accepts changes again."
    retryable = True


class InvitationError(QueueError):
    """The text is no usable invitation."""

    title = "That is not a complete invitation"
    hint = "Copy the whole text, from “fpq1.” to the end, or ask for a new invitation."


class RefusedError(QueueError):
    """The queue understood and said no; the same operation id gets the same answer for ever."""

    title = "The team queue said no"
    why: ClassVar[str] = "refused"

    def __init__(
        self,
        message: str = "",
        *,
        hint: str | None = None,
        state: str | None = None,
        handler: str | None = None,
        handler_name: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.state = state
        self.handler = handler
        self.handler_name = handler_name


class NotFoundError(RefusedError):
    """No such escalation in this engineer's team."""

    title = "This escalation isn't in your team's queue"
    why = "absent"


class AlreadyPickedUpError(RefusedError):
    """Somebody else holds it."""

    title = "Already picked up"
    hint = "Nothing was changed. It stays in your list so that you can see how it ends."
    why = "picked_up"


class RaisedByYouError(RefusedError):
    """Nobody picks up what they raised."""

    title = "You raised this escalation yourself"
    hint = "Withdraw it to carry on with it, or let a teammate pick it up."
    why = "own"


class EndedError(RefusedError):
    """It is resolved, cancelled or expired."""

    title = "This escalation has already ended"
    hint = "What you typed is kept on this computer."
    why = "ended"


class ClaimLostError(RefusedError):
    """An old fence was presented."""

    title = "Somebody else handles this escalation now"
    hint = "What you typed is kept on this computer as your own copy."
    why = "stale"


class NotAllowedError(RefusedError):
    """Only the one who raised it, or the originator, may do this."""

    title = "Only the engineer who raised this escalation can do that"
    why = "not_allowed"


class NotExpiredError(RefusedError):
    """The handler has been heard of recently."""

    title = "The teammate who has it is still active"
    hint = "It can be released once they have been silent for a while."
    why = "not_expired"


class NotOpenError(RefusedError):
    """It does not wait for anybody at this moment."""

    title = "This escalation isn't waiting for anybody now"
    why = "not_open"


class AssigneeError(RefusedError):
    """It cannot be assigned to that engineer."""

    title = "It can't be assigned to that teammate"
    hint = "Choose an active teammate other than yourself, or leave it unassigned."
    why = "assignee"


class FullError(RefusedError):
    """No more steps fit into this escalation."""

    title = "This escalation holds as many steps as it can"
    why = "full"


class RejectedError(QueueError):
    """Malformed for ever: no repeat will succeed."""

    title = "The team queue can't accept this"
    hint = "It is kept on this computer and set aside, so that the rest can go on."


class TooLargeError(RejectedError):
    """A field is longer than the queue accepts."""

    title = "This is too large for the team queue"


class OperationReusedError(RejectedError):
    """The operation id was used before with other arguments."""

    title = "This change was already sent with different contents"


class ClosedError(QueueError):
    """The client was closed."""

    title = "The connection to the team queue was closed"


REFUSALS: dict[str, type[RefusedError]] = {
    kind.why: kind
    for kind in (
        NotFoundError,
        AlreadyPickedUpError,
        RaisedByYouError,
        EndedError,
        ClaimLostError,
        NotAllowedError,
        NotExpiredError,
        NotOpenError,
        AssigneeError,
        FullError,
    )
}
