"""One tree of errors that the world, not a bug, brings about.

::

    FlowPilotError                     what happened, what is safe, what to do
    ├── InvalidInput                   what was typed or pasted can't be taken as it is
    ├── NotFound                       no such session, step, ticket …
    ├── TransitionRefused              the session's state does not allow the verb
    ├── NotAllowed                     the state would allow it, but not to this engineer
    ├── StepRefused                    the card is answered already, or is not the open one
    ├── FlowInvalid                    a flow file does not load; names file and line
    ├── CredentialsUnavailable         the operating system's keyring can't be used
    ├── StoreError
    │   ├── StoreTooNew                written by a newer FlowPilot
    │   ├── StoreDamaged               moved aside; a backup was restored
    │   ├── StoreFull                  no room on the disk
    │   └── ProfileInUse               another FlowPilot has this profile open
    ├── PsaError
    │   ├── PsaNotSent                 the request never reached the server: safe to repeat
    │   │   ├── PsaUnreachable
    │   │   └── PsaRateLimited         with ``retry_after`` in seconds
    │   ├── PsaRefused                 the server said no for good; ``status`` and its words
    │   │   ├── PsaSignInRefused
    │   │   ├── PsaForbidden           names the permission that is missing
    │   │   └── PsaNotFound
    │   └── PsaUnclear                 sent, and nobody knows whether it was stored
    ├── ModelError
    │   ├── ModelUnavailable           no key, no reach, over budget, overloaded …: ``reason``
    │   └── ModelAnswerUnusable        refused, cut off, malformed, too long: ``reason``
    └── QueueError
        ├── QueueUnreachable
        ├── QueueNotOpen               not set up, or it lets this desktop not in; ``why``
        └── QueueRefused               the server said no; ``why``
            ├── AlreadyPickedUp        names the engineer who has it
            └── ClaimLost              somebody else has taken over since

A screen shows ``title``, ``message`` and ``hint``; ``retryable`` decides whether it offers
"Try again". An adapter translates what its library raises exactly once, with ``raise … from``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowpilot_desktop.core.session import Usage


class FlowPilotError(Exception):
    """The world failed in a way that a person can be told about.

    ``title`` is a headline, ``message`` says what happened, ``hint`` what is safe and what to do.
    """

    title = "That did not work"
    hint = ""
    retryable = False

    def __init__(
        self,
        message: str = "",
        *,
        title: str | None = None,
        hint: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message or self.title
        if title is not None:
            self.title = title
        if hint is not None:
            self.hint = hint
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        return self.message


class InvalidInput(FlowPilotError):
    """What was typed, pasted or read can't be taken as it is."""

    title = "Please check what you entered"


class NotFound(FlowPilotError):
    """The thing asked for is not in the store, or not visible to this engineer."""

    title = "Not found"


class TransitionRefused(FlowPilotError):
    """The session's state does not allow the verb."""

    title = "Not possible now"


class NotAllowed(FlowPilotError):
    """The state would allow it, but not to this engineer."""

    title = "Not yours to do"


class StepRefused(FlowPilotError):
    """The card is answered already, is not the open one, or the answer does not fit it."""

    title = "That card can't take this answer"


class FlowInvalid(FlowPilotError):
    """A flow file does not load. The message begins with ``file:line``."""

    title = "A troubleshooting flow could not be loaded"


class CredentialsUnavailable(FlowPilotError):
    """The operating system's keyring can't be read or written."""

    title = "The keyring can't be used"
    hint = "Nothing was written to disk. Unlock or set up the system keyring, then try again."
    retryable = True


class StoreError(FlowPilotError):
    """The local store can't do what was asked."""

    title = "The local store has a problem"


class StoreTooNew(StoreError):
    """The store was written by a newer FlowPilot and is left untouched."""

    title = "This profile was written by a newer FlowPilot"
    hint = "Nothing was changed. Update FlowPilot on this computer and start it again."


class StoreDamaged(StoreError):
    """The store can't be read; it was moved aside and nothing was deleted."""

    title = "The local store was damaged"


class StoreFull(StoreError):
    """The disk has no room; what was saved before is safe."""

    title = "The disk is full"
    hint = "Everything saved so far is safe. Free some space; FlowPilot then goes on by itself."
    retryable = True


class ProfileInUse(StoreError):
    """Another FlowPilot has this profile open."""

    title = "FlowPilot is already running"
    hint = (
        "Nothing was changed. Look for its window or its icon beside the clock; if it does not "
        "answer, end it or sign out and in again, then start FlowPilot once more."
    )


class PsaError(FlowPilotError):
    """The ticketing system did not do what was asked."""

    title = "ConnectWise has a problem"


class PsaNotSent(PsaError):
    """The request never reached the server: nothing was stored, repeating it is safe."""

    retryable = True


class PsaUnreachable(PsaNotSent):
    """No connection to the ticketing system."""

    title = "Couldn't reach ConnectWise"
    hint = "You can go on working; FlowPilot tries again by itself."


class PsaRateLimited(PsaNotSent):
    """The server asked to wait; ``retry_after`` is in seconds."""

    title = "ConnectWise asks us to slow down"

    def __init__(self, message: str = "", *, retry_after: float = 60.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PsaRefused(PsaError):
    """The server said no for good. ``status`` is the HTTP status, ``words`` what it said."""

    title = "ConnectWise refused"

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        words: str = "",
        title: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, title=title, hint=hint)
        self.status = status
        self.words = words


class PsaSignInRefused(PsaRefused):
    """The keys, the company id or the client id are wrong (a cloud may answer this with 404)."""

    title = "ConnectWise did not accept the keys"
    hint = "Check company id, public and private key in Settings → Integrations."


class PsaForbidden(PsaRefused):
    """The keys are right, but their security role lacks a permission, which the hint names."""

    title = "ConnectWise does not allow this to your keys"


class PsaNotFound(PsaRefused):
    """No such ticket, board or record."""

    title = "ConnectWise does not have this"


class PsaUnclear(PsaError):
    """The request left, and nobody knows whether it was stored. Never repeat it blindly."""

    title = "ConnectWise did not answer clearly"


class ModelError(FlowPilotError):
    """The model gave no usable step.

    ``usage`` is what was spent all the same, or None, and ``model`` the one that was asked.
    """

    title = "Claude can't help right now"
    reason = ""
    usage: Usage | None = None
    model = ""


class ModelUnavailable(ModelError):
    """The model can't be asked.

    ``reason`` is one of no_key, sign_in, permission, model, unreachable, timeout, rate_limited,
    overloaded, payment, over_budget, budget_question, never_send, server. ``retry_after`` is in
    seconds, 0 for unknown. ``usage`` is what was spent before it failed, or None.
    """

    retryable = True

    def __init__(
        self,
        message: str = "",
        *,
        reason: str,
        title: str | None = None,
        hint: str | None = None,
        retryable: bool | None = None,
        retry_after: float = 0.0,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, title=title, hint=hint, retryable=retryable)
        self.reason = reason
        self.retry_after = retry_after
        self.usage = usage


class ModelAnswerUnusable(ModelError):
    """The model answered, but not with a step.

    ``reason`` is one of refusal, max_tokens, malformed, too_long, not_accepted, unexpected,
    cut_off, limit, repeated.
    ``usage`` is what the answer cost all the same, or None.
    """

    title = "Claude's answer could not be used"

    def __init__(
        self,
        message: str = "",
        *,
        reason: str,
        title: str | None = None,
        hint: str | None = None,
        retryable: bool | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message, title=title, hint=hint, retryable=retryable)
        self.reason = reason
        self.usage = usage


class QueueError(FlowPilotError):
    """The team's shared queue did not do what was asked."""

    title = "The team queue has a problem"


class QueueUnreachable(QueueError):
    """No connection to the team's queue; what waits in the outbox leaves later."""

    title = "Couldn't reach the team queue"
    hint = "Your escalations are safe here and leave by themselves when the queue is back."
    retryable = True


class QueueNotOpen(QueueError):
    """The queue is not set up here, or does not let this desktop in; what is to be sent waits.

    ``why`` is one of not_set_up, keyring, invitation, sign_in, revoked, certificate, version,
    access.
    """

    title = "The team queue can't be used"

    def __init__(
        self, message: str = "", *, why: str, title: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, title=title, hint=hint)
        self.why = why


class QueueRefused(QueueError):
    """The queue's server said no; ``why`` is its short word for it."""

    title = "The team queue refused"

    def __init__(self, message: str = "", *, why: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.why = why


class AlreadyPickedUp(QueueRefused):
    """Somebody else was first."""

    title = "Already picked up"


class ClaimLost(QueueRefused):
    """The session was taken over by somebody else; what was typed is kept on this computer."""

    title = "Somebody else has taken over"
