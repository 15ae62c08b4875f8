"""How a session stands when no card waits for an answer: in words, with what can be done."""

from __future__ import annotations

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.lifecycle import Verb
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import SessionStatus
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.cards.card import moment_words
from flowpilot_desktop.ui.cards.writing import StandingContent
from flowpilot_desktop.viewmodels.session import SessionViewModel

SESSION_STATES = {
    SessionStatus.ACTIVE: ("", "neutral"),
    SessionStatus.PAUSED: ("Paused", "soft_amber"),
    SessionStatus.REQUESTING_ESCALATION: ("Waiting for pickup", "amber"),
    SessionStatus.ESCALATED: ("Resolved by a teammate", "neutral"),
    SessionStatus.RESOLVED: ("Resolved", "green"),
    SessionStatus.ABANDONED: ("Closed without documentation", "neutral"),
}


def status_words(view: SessionView, *, is_mine: bool) -> tuple[str, str]:
    """Return a session's state as a badge says it, and the badge's tone.

    ``is_mine``: whether who sits here handles it, or was the last who did.
    """
    session = view.session
    if session.status is SessionStatus.ESCALATED:
        if session.end_reason:
            return "Escalation ended", "neutral"  # cancelled or expired: nobody resolved it
        if is_mine:
            return "Resolved by you", "green"
        if name := view.engineers.get(session.handler_id):
            return f"Resolved by {name}", "neutral"
    return SESSION_STATES[session.status]


def standing(model: SessionViewModel) -> StandingContent | None:
    """Return what the feed ends with when no card waits for an answer."""
    view = model.view
    if view is None:
        return _without_view(model)
    session = view.session
    since = moment_words(session.paused_at) if session.paused_at else ""
    match session.status:
        case SessionStatus.PAUSED:
            mine = (("resume", "Resume", "primary"),) if model.allows(Verb.RESUME) else ()
            return StandingContent(
                "pause",
                f"Paused since {since}" if since else "Paused",
                "Time has stopped. Resuming brings back the same card; nothing is asked anew.",
                choices=mine,
            )
        case SessionStatus.REQUESTING_ESCALATION:
            return _escalation(model, view)
        case SessionStatus.RESOLVED | SessionStatus.ESCALATED | SessionStatus.ABANDONED:
            return _end(view, is_mine=model.is_mine)
    if not model.is_mine:
        who = view.engineers.get(session.handler_id, "A teammate")
        return StandingContent(
            "person", f"{who} works on this session", "Their steps appear here as they happen."
        )
    if view.open_step is not None:
        return None
    return _next(model)


def _without_view(model: SessionViewModel) -> StandingContent:
    error = model.load_error
    if error is not None:
        return _error_content(error, "reload")
    if model.is_loading:
        return StandingContent("clock", "Opening the session…")
    return StandingContent(
        "sessions",
        "No session is open",
        "Start one from a ticket or from a few words about the problem.",
        choices=(("new", "New Session", "primary"),),
    )


def _next(model: SessionViewModel) -> StandingContent:
    log = ("note", "Log a step", "")
    if model.think_error is not None:
        return _error_content(model.think_error, "think", log)
    if model.is_over:
        return StandingContent(
            "resolution",
            "Ready to resolve",
            "The resolution is confirmed. Resolving writes the documentation to the ticket; "
            "you can read and edit it first.",
            choices=(("resolve", "Resolve", "primary"), log),
        )
    if model.was_stopped:
        return StandingContent(
            "stop",
            "Stopped",
            "Every answer is saved. Ask again for the next card, or go on by hand.",
            choices=(("think", "Next card", "primary"), log),
        )
    return StandingContent(
        "note",
        "No further card for now",
        "Log what you do next by hand, ask again, or resolve when the problem is solved.",
        choices=(("think", "Ask again", "primary"), log, ("resolve", "Resolve", "")),
    )


def _escalation(model: SessionViewModel, view: SessionView) -> StandingContent:
    session = view.session
    to = session.escalated_to and view.engineers.get(session.escalated_to, session.escalated_to)
    since = moment_words(session.escalated_at) if session.escalated_at else ""
    can = model.allows(Verb.WITHDRAW)
    return StandingContent(
        "escalation",
        f"Waiting for {to}" if to else "Waiting for a teammate",
        f"Escalated {since}. {session.escalation_reason}".strip(),
        "You can take it back as long as nobody has picked it up." if can else "",
        tone="amber",
        choices=(("withdraw", "Withdraw", ""),) if can else (),
    )


def _end(view: SessionView, *, is_mine: bool) -> StandingContent:
    session = view.session
    words, _ = status_words(view, is_mine=is_mine)
    ended = f"{words}, {moment_words(session.updated_at)}"
    number = f"ticket #{session.ticket_id}"
    text, hint = session.resolution_summary or session.end_reason, ""
    choices: tuple[tuple[str, str, str], ...] = ()
    shade = "plain"
    match view.push_status if session.ticket_id else PsaPushStatus.NO_PSA:
        case PsaPushStatus.SENT:
            hint = f"Documentation pushed to {number}"
        case PsaPushStatus.PENDING | PsaPushStatus.PENDING_RETRY:
            hint = f"Documentation for {number} is queued, will sync shortly"
            shade = "amber"
        case PsaPushStatus.FAILED:
            hint = f"Documentation did not reach {number}: {view.push_error}"
            shade, choices = "red", (("retry", "Retry", "primary"),)
    return StandingContent("check", ended, text, hint, shade, choices)


def _error_content(
    error: FlowPilotError, again: str, *more: tuple[str, str, str]
) -> StandingContent:
    return StandingContent(
        "error",
        error.title,
        error.message,
        error.hint,
        tone="red",
        choices=((again, "Try again", "primary"), *more),
    )
