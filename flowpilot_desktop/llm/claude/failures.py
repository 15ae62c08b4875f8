"""Everything that can go wrong with Claude, told once in our words.

Two places raise: the SDK, with a class for each HTTP status, and the wire itself while an answer
streams in (a read that stalls, a connection that dies, bytes that are no event). ``translated``
turns both into a ``ModelError``; ``refusal_of`` reads the reasons for which a whole answer stopped.
Each says what happened, what is safe and what to do; the vendor's own words are kept for the log as
the cause, never shown.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowpilot_desktop.core.errors import ModelAnswerUnusable, ModelError, ModelUnavailable

if TYPE_CHECKING:
    import anthropic

    from flowpilot_desktop.core.session import Usage
    from flowpilot_desktop.llm.claude.reply import Reply

log = logging.getLogger(__name__)

_SAFE = "Everything in this session is saved; go on by flow or by hand"
_TRY = f"{_SAFE}, or try again."
_SETTINGS = "Settings → Claude"
_LONGEST_WAIT = 3_600.0


@contextmanager
def translated(reply: Reply | None = None) -> Iterator[None]:
    """Turn what the SDK and the wire raise inside into a ModelError.

    What ``reply`` had counted by then is told as the error's ``usage``.
    """
    import anthropic  # noqa: PLC0415 - the slowest import of the app
    import httpx2  # noqa: PLC0415

    try:
        yield
    except ModelError:
        raise
    except anthropic.APIStatusError as error:
        raise _with_usage(_status(error), reply) from error
    except (anthropic.APITimeoutError, TimeoutError, httpx2.TimeoutException) as error:
        raise _with_usage(_timeout(reply), reply) from error
    except httpx2.InvalidURL as error:
        raise no_address() from error
    except (anthropic.APIConnectionError, httpx2.TransportError) as error:
        is_untrusted = any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(error))
        raise _with_usage(untrusted() if is_untrusted else _broken(reply), reply) from error
    except (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError, ValueError) as error:
        # A ValueError is text that is no JSON, or bytes that are no text.
        raise _with_usage(garbled(), reply) from error


def no_key() -> ModelUnavailable:
    """Return what to say when nobody has entered a key."""
    return ModelUnavailable(
        "There is no key for Claude on this computer.",
        reason="no_key",
        title="Claude is not set up",
        hint=f"Enter one in {_SETTINGS}. Until then flows and steps by hand work as always.",
        retryable=False,
    )


def no_such_key() -> ModelUnavailable:
    """Return what to say about a key with letters that no key has; it is never sent."""
    return ModelUnavailable(
        "The key for Claude has letters or spaces in it that no key has.",
        reason="sign_in",
        title="This is no key for Claude",
        hint=f"Copy it again from where it was made and enter it in {_SETTINGS}.",
        retryable=False,
    )


def no_address() -> ModelUnavailable:
    """Return what to say about an address that is none."""
    return ModelUnavailable(
        "The address that is set for Claude is not a web address.",
        reason="unreachable",
        title="Claude's address is not right",
        hint=f"Correct it in {_SETTINGS}, or leave it empty for Claude's own.",
        retryable=False,
    )


def garbled() -> ModelUnavailable:
    """Return what to say when something answered that does not speak Claude's protocol."""
    return ModelUnavailable(
        "What came back was not an answer of Claude's. A proxy, a sign-in page of the network or "
        "a wrong address in the settings can cause this.",
        reason="unreachable",
        title="Claude's answer arrived damaged",
        hint=f"{_SAFE}. Open a web page to see whether the network asks for a sign-in, and check "
        f"the address in {_SETTINGS}.",
    )


def untrusted() -> ModelUnavailable:
    """Return what to say when the other side's certificate is not to be trusted."""
    return ModelUnavailable(
        "Something answered in Claude's place with a certificate that this computer does not "
        "trust, so nothing was sent. Security software or a proxy that reads along can cause this.",
        reason="unreachable",
        title="The connection to Claude is not trusted",
        hint=f"{_SAFE}. Whoever looks after this computer can install the proxy's certificate.",
    )


def cut_off() -> ModelUnavailable:
    """Return what to say when the stream ended before the answer did."""
    return ModelUnavailable(
        "The connection to Claude ended in the middle of the answer.",
        reason="unreachable",
        title="The connection to Claude broke off",
        hint=_TRY,
    )


def closed() -> ModelUnavailable:
    """Return what to say when the connection was closed from our side, as new settings do."""
    return ModelUnavailable(
        "The connection to Claude was closed because the settings changed or FlowPilot is ending.",
        reason="unreachable",
        title="The connection to Claude was closed",
        hint=_TRY,
    )


def malformed(usage: Usage) -> ModelAnswerUnusable:
    """Return what to say when the answer was no card, and neither was its repair."""
    return ModelAnswerUnusable(
        "Claude answered twice, and neither answer was a card that can be shown.",
        reason="malformed",
        hint=f"{_SAFE}; Claude reads along and can be asked again at the next step.",
        retryable=True,
        usage=usage,
    )


def picture_refused(media_type: str) -> ModelAnswerUnusable:
    """Return what to say about a picture of a kind that Claude does not read."""
    return ModelAnswerUnusable(
        f"A picture of the type {media_type or 'unknown'} can't be sent to Claude.",
        reason="not_accepted",
        title="Claude can't read this picture",
        hint=f"{_SAFE}. PNG, JPEG, GIF and WebP pictures work.",
    )


def refusal_of(reply: Reply) -> ModelAnswerUnusable | None:
    """Return why a whole answer is none, by its stop reason, or None when it may be one."""
    words = _STOPS.get(reply.stop_reason)
    if words is None:
        return None
    reason, title, message, hint, retryable = words
    return ModelAnswerUnusable(
        message, reason=reason, title=title, hint=hint, retryable=retryable, usage=reply.usage
    )


# Stop reasons that are no answer: ``end_turn`` is one, and so may ``stop_sequence`` be, if what was
# written until then is whole.
_STOPS: dict[str, tuple[str, str, str, str, bool]] = {
    "max_tokens": (
        "max_tokens",
        "Claude's answer was too long",
        "The answer reached its length limit and was cut off.",
        _TRY,
        True,
    ),
    "refusal": (
        "refusal",
        "Claude declined to answer",
        "Claude's safety rules stopped this answer; harmless security work can cause that too.",
        f"{_SAFE}. Other words for what you saw or typed last may help.",
        True,
    ),
    "model_context_window_exceeded": (
        "too_long",
        "This session is too long for Claude",
        "All that was said in this session no longer fits into what the model can read.",
        f"{_SAFE}, resolve it or escalate it. A model with more room can be chosen in {_SETTINGS}.",
        False,
    ),
    "tool_use": (
        "unexpected",
        "Claude asked for a tool",
        "Instead of a card, Claude asked to use a tool. It has none here, and nothing was run.",
        _TRY,
        True,
    ),
    "pause_turn": (
        "unexpected",
        "Claude paused its answer",
        "Claude stopped in the middle and wanted to continue later.",
        _TRY,
        True,
    ),
}


def stopped_early(reply: Reply) -> ModelAnswerUnusable:
    """Return what to say when an unusual stop reason ended an answer that is not whole."""
    return ModelAnswerUnusable(
        "Claude stopped before its answer was complete.",
        reason="unexpected",
        title="Claude stopped too early",
        hint=_TRY,
        retryable=True,
        usage=reply.usage,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _with_usage(error: ModelError, reply: Reply | None) -> ModelError:
    if reply is not None and isinstance(error, ModelUnavailable | ModelAnswerUnusable):
        error.usage = reply.usage
    return error


def _timeout(reply: Reply | None) -> ModelUnavailable:
    middle = reply is not None and reply.is_started
    return ModelUnavailable(
        "Claude stopped in the middle of its answer and said nothing more."
        if middle
        else "Claude did not answer in time.",
        reason="timeout",
        title="Claude takes too long",
        hint=_TRY,
    )


def _broken(reply: Reply | None) -> ModelUnavailable:
    if reply is not None and reply.is_started:
        return cut_off()
    return ModelUnavailable(
        "There is no connection to Claude.",
        reason="unreachable",
        title="Couldn't reach Claude",
        hint=f"{_SAFE}. Claude catches up from the recorded steps when it is back.",
    )


def _status(error: anthropic.APIStatusError) -> ModelError:
    """Read the kind of error from the body, which an error inside a stream has too."""
    kind = error.type or ""
    log.warning("Claude answered %s %s, request %s", error.status_code, kind, error.request_id)
    message = (error.api_message or "").lower()
    status = error.status_code
    reason = (
        _CODES.get(getattr(error, "error_code", None) or "")
        or _KINDS.get(kind)
        or _STATUSES.get(status)
        or ("server" if status >= 500 else "")  # noqa: PLR2004
    )
    if status == 400 and ("credit balance" in message or "billing" in message):  # noqa: PLR2004
        reason = "payment"
    if reason in ("", "not_accepted") and "too long" in message:
        reason = "too_long"
    if reason == "too_long":
        return ModelAnswerUnusable(
            "This session, with all that was pasted into it, is longer than Claude can read.",
            reason="too_long",
            title="Too much text for Claude",
            hint=f"{_SAFE}. Leave out long logs or pictures, or escalate.",
        )
    if reason not in _UNAVAILABLE:
        return ModelAnswerUnusable(
            f"Claude did not accept the request{_number(error)}.",
            reason="not_accepted",
            title="Claude did not accept the request",
            hint=f"{_SAFE}. If it happens again, check model and address in {_SETTINGS}.",
        )
    title, words, hint, retryable = _UNAVAILABLE[reason]
    return ModelUnavailable(
        words,
        reason=reason,
        title=title,
        hint=hint,
        retryable=retryable,
        retry_after=_retry_after(error),
    )


# Some errors say more than their status: a limit of money is no reason to try again in a moment.
_CODES = {
    "contract_spend_limit_reached": "payment",
    "enforced_spend_limit_reached": "payment",
    "organization_on_hold": "permission",
    "organization_type_not_supported": "permission",
    "parent_organization_required": "permission",
}
_KINDS = {
    "authentication_error": "sign_in",
    "billing_error": "payment",
    "permission_error": "permission",
    "not_found_error": "model",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
    "api_error": "server",
    "request_too_large": "too_long",
    "invalid_request_error": "not_accepted",
    "conflict_error": "server",
}
_STATUSES = {
    400: "not_accepted",
    401: "sign_in",
    402: "payment",
    403: "permission",
    404: "model",
    407: "unreachable",
    408: "timeout",
    409: "server",
    413: "too_long",
    422: "not_accepted",
    429: "rate_limited",
    499: "server",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_UNAVAILABLE: dict[str, tuple[str, str, str, bool]] = {
    "sign_in": (
        "Claude did not accept the key",
        "The key for Claude is wrong, was deleted or has expired.",
        f"Enter a valid key in {_SETTINGS}. The session goes on by flow or by hand.",
        False,
    ),
    "payment": (
        "Claude's account has no credit",
        "The key's account has no credit, is at its spending limit or has a payment problem.",
        "Whoever looks after the account can add credit. The session goes on by flow or by hand.",
        False,
    ),
    "permission": (
        "Claude is not allowed for this key",
        "The key is right, but it may not use this model or this workspace.",
        f"Choose another model in {_SETTINGS}, or ask whoever looks after the account.",
        False,
    ),
    "model": (
        "This model is not available",
        "Claude does not have the chosen model, or no longer has it.",
        f"Choose another model in {_SETTINGS}. The session goes on by flow or by hand.",
        False,
    ),
    "rate_limited": (
        "Claude asks us to slow down",
        "More was asked than the account's limit allows at the moment.",
        f"{_SAFE}, and try again in a moment.",
        True,
    ),
    "overloaded": (
        "Claude is very busy",
        "Claude has more work than it can take at the moment.",
        f"{_SAFE}, and try again in a moment.",
        True,
    ),
    "timeout": ("Claude takes too long", "Claude did not answer in time.", _TRY, True),
    "unreachable": (
        "Couldn't reach Claude",
        "Something between this computer and Claude refused the connection.",
        f"{_SAFE}. Check the proxy of this network.",
        True,
    ),
    "server": (
        "Claude has a problem",
        "Claude's servers reported an error of their own.",
        _TRY,
        True,
    ),
}


def _retry_after(error: anthropic.APIStatusError) -> float:
    """Return the seconds that the server asks to wait, an hour at most, 0 when it does not say."""
    headers: Any = error.response.headers
    try:
        return min(max(0.0, float(headers.get("retry-after") or 0.0)), _LONGEST_WAIT)
    except ValueError:
        return 0.0


def _number(error: anthropic.APIStatusError) -> str:
    return f" (request {error.request_id})" if error.request_id else ""
