"""A first draft of a flow out of a session that ended well.

What was asked becomes questions whose given answer leads on and whose other answers lead to the
hand-off; what was tried becomes actions; the remedy that was verified leads to the verification and
the resolution. The text is meant to be edited: it loads without a finding, and it holds nothing
that would not hold for the next customer but what the technician wrote into the cards themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from flowpilot_desktop.core.errors import FlowInvalid
from flowpilot_desktop.core.session import (
    Action,
    Command,
    Question,
    Result,
    Risk,
    Session,
    Step,
    Verification,
    is_verified,
)
from flowpilot_desktop.flows.intake import STOP_STEMS
from flowpilot_desktop.flows.loading import SHELLS, TEXT_LIMIT, load_text
from flowpilot_desktop.flows.model import ESCALATE
from flowpilot_desktop.flows.vocabulary import stem
from flowpilot_desktop.flows.wording import words

_CARDS = 20
_KEYWORDS = 12
_UNDO = "Write down the state before, and set it back."
_HAND_OFF = "hand-off"
_VERIFY = "verify"


def draft_flow(session: Session, steps: tuple[Step, ...]) -> str:
    """Return a flow's YAML text made of a resolved session.

    Raises FlowInvalid when the session was not verified or nothing in it could be repeated.
    """
    if not is_verified(steps):
        raise FlowInvalid("Only a session whose fix was verified can become a flow.")
    cards = list(_cards(steps))[-_CARDS:]
    if not any(isinstance(step.body, Action) for step in cards):
        raise FlowInvalid("No action of this session can be repeated, so there is no flow in it.")
    title = _line(session.problem_summary or session.intake.text or "Untitled problem", 80)
    lines = [
        f"id: {_identifier(title)}",
        "version: 1",
        f"title: {_quoted(title)}",
        f"domain: {_quoted(session.problem_domain or 'General')}",
        f"keywords: [{', '.join(_quoted(word) for word in _keywords(title, session))}]",
        "matches:",
        f"  - {_quoted(title)}",
        f"entry: {_node_id(cards[0], 0)}",
        "causes:",
        f"  found: {_quoted(_cause(session, steps))}",
        "  other: Another cause that this session did not meet",
        "nodes:",
    ]
    for index, step in enumerate(cards):
        following = _node_id(cards[index + 1], index + 1) if index + 1 < len(cards) else _HAND_OFF
        lines += _node(step, index, following, is_last=index + 1 == len(cards))
    lines += _ending(session, steps)
    text = "\n".join(lines) + "\n"
    findings = load_text(text, Path("draft.yaml")).findings
    if findings:
        raise FlowInvalid(f"The draft is not sound: {findings[0]}")
    return text


def _cards(steps: tuple[Step, ...]) -> Iterable[Step]:
    """Yield what is worth repeating: the last answer to each question, every try up to the cure."""
    replaced = {step.corrects for step in steps if step.corrects}
    seen: set[str] = set()
    for step in steps:
        response = step.response
        if response is None or response.skipped or step.id in replaced:
            continue
        key = _line(step.body.text, TEXT_LIMIT).casefold()
        if key in seen:
            continue
        if isinstance(step.body, Question):
            escalation = any(option.value == ESCALATE for option in step.body.options)
            if escalation or not (response.option or response.text.strip()):
                continue
        elif not isinstance(step.body, Action) or response.result is Result.COULD_NOT_TRY:
            continue
        seen.add(key)
        yield step


def _node(step: Step, index: int, following: str, *, is_last: bool) -> list[str]:
    lines = [f"  {_node_id(step, index)}:"]
    body = step.body
    assert step.response is not None
    if isinstance(body, Question):
        lines += [f"    question: {_quoted(body.text)}", *_why(body.why)]
        lines += ["    options:", *_options(body, step, following), f"    next: {following}"]
    elif isinstance(body, Action):
        lines += [f"    action: {_quoted(body.text)}", *_why(body.why)]
        if body.expected_outcome.strip():
            lines.append(f"    expect: {_quoted(body.expected_outcome)}")
        lines += _command(body.command)
        cured = is_last and step.response.result is Result.WORKED
        if cured:
            lines += ["    tests: found", f"    worked: {_VERIFY}", f"    next: {_HAND_OFF}"]
        elif is_last:
            lines += [f"    worked: {_VERIFY}", f"    next: {_HAND_OFF}"]
        else:
            lines.append(f"    next: {following}")
    return lines


def _options(question: Question, step: Step, following: str) -> Iterable[str]:
    """Yield the options; the one that was given leads on and speaks for the cause."""
    assert step.response is not None
    given = step.response.option
    options = [(option.label, option.value) for option in question.options]
    if given is None:
        given = "as-here"
        options = [(step.response.text, given), *options]
    labels: set[str] = set()
    values: set[str] = set()
    for label, value in [*options, ("Something else", "something-else"), ("Not known", "unknown")]:
        known, word = _line(label, 120) or "-", _line(value, 120) or "-"
        enough = len(values) > 1 and (label, value) not in options
        if enough or known.casefold() in labels or word in values:
            continue
        labels.add(known.casefold())
        values.add(word)
        to = following if value == given else _HAND_OFF
        supports = ", supports: [found]" if value == given else ""
        yield (f"      - {{label: {_quoted(known)}, value: {_quoted(word)}, to: {to}{supports}}}")


def _command(command: Command | None) -> Iterable[str]:
    if command is None or not command.text.strip():
        return
    shell = command.shell if command.shell in SHELLS else "terminal"
    yield "    command:"
    yield f"      text: {_quoted(command.text)}"
    yield f"      shell: {shell}"
    yield f"      risk: {command.risk}"
    undo = command.undo.strip()
    if command.risk is not Risk.READ_ONLY or undo:
        yield f"      undo: {_quoted(undo or _UNDO)}"


def _ending(session: Session, steps: tuple[Step, ...]) -> list[str]:
    asked = [s.body.text for s in steps if isinstance(s.body, Verification) and s.answered_by]
    summary = session.resolution_summary or "The problem is solved."
    lines = [
        f"  {_VERIFY}:",
        f"    verification: {_quoted(asked[-1])}",
        "    worked: solved",
        f"    did_not_work: {_HAND_OFF}",
        f"    could_not_try: {_HAND_OFF}",
        "  solved:",
        f"    resolution: {_quoted(summary)}",
    ]
    if session.resolution_action.strip():
        lines.append(f"    action_taken: {_quoted(session.resolution_action)}")
    return [
        *lines,
        f"  {_HAND_OFF}:",
        "    escalation: This session's remedy does not fit; somebody should look deeper.",
        "    collect:",
        "      - what was tried and what came of it",
    ]


def _why(why: str) -> Iterable[str]:
    if why.strip():
        yield f"    why: {_quoted(why)}"


def _cause(session: Session, steps: tuple[Step, ...]) -> str:
    """Return the cause that the last card held most likely, else what the resolution says."""
    for step in reversed(steps):
        if step.hypotheses:
            return _line(step.hypotheses[0].text, 200)
    return _line(session.resolution_summary or "The cause that this session found", 200)


def _keywords(title: str, session: Session) -> list[str]:
    found = [
        word
        for word in words(f"{title} {session.intake.text[:400]}")
        if word.isalpha() and len(word) > 2 and stem(word) not in STOP_STEMS  # noqa: PLR2004
    ]
    return list(dict.fromkeys(found))[:_KEYWORDS]


def _node_id(step: Step, index: int) -> str:
    return f"{step.kind}-{index + 1}"


def _identifier(title: str) -> str:
    parts = re.findall(r"[a-z0-9]+", title.casefold())
    return "-".join(parts)[:48].strip("-") or "own-flow"


def _line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a text on one line, without control characters, cut at a limit."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def _quoted(text: str) -> str:
    """Return a text on one line as a double-quoted scalar; JSON's escapes are YAML's."""
    return json.dumps(_line(text) or "-", ensure_ascii=False)
