"""What is known of a session's problem, derived from its steps and from nothing else.

Note, briefing, hand-off package and the model's prompt all render from here, so they cannot
disagree. Prose summaries lose what did not work; this derivation keeps every negative finding,
points at the step that proved it, and honours corrections: a step that a later one corrects no
longer counts for what it said.

Facts about the environment are taken from what people typed and from the ticket's configurations,
never from a model's text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Hypothesis,
    HypothesisStatus,
    Note,
    Question,
    Resolution,
    Response,
    Result,
    Session,
    Source,
    Step,
    Verification,
)
from flowpilot_desktop.core.ticket import TicketContext

ENVIRONMENT_LIMIT = 20
"""Facts about the environment that are kept, in the order in which they came up."""

_READ_LIMIT = 20_000
"""Characters of one text that are searched for facts."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something learned: what was asked or noted, the answer as people read it, and its step."""

    step_id: str
    number: int
    text: str
    answer: str
    by: str


@dataclass(frozen=True, slots=True)
class Tried:
    """Something that was done, how it went, who did it, and the step it belongs to."""

    step_id: str
    number: int
    text: str
    result: Result
    outcome: str
    by: str


@dataclass(frozen=True, slots=True)
class RuledOut:
    """Something that is not it, or did not help; ``evidence`` holds step ids."""

    text: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """The structured state of a session."""

    problem: str = ""
    domain: str = ""
    environment: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tried: tuple[Tried, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    """Not ruled out, the most likely first."""
    pending: tuple[str, ...] = ()
    """What was asked, skipped, could not be tried or is to be followed up."""
    confidence: float | None = None
    """Of the last step that a model or a flow proposed; None without one."""


def findings(
    session: Session, steps: Sequence[Step], context: TicketContext | None = None
) -> Findings:
    """Derive the structured state of a session from its steps, in their order."""
    steps = sorted(steps, key=lambda step: step.number)
    replaced = corrected(steps)
    valid = [step for step in steps if step.id not in replaced]
    return Findings(
        problem=session.problem_summary.strip() or session.intake.text.strip(),
        domain=session.problem_domain.strip(),
        environment=environment(_texts(session, steps), context),
        facts=tuple(_facts(valid)),
        tried=tuple(_tried(valid)),
        ruled_out=tuple(_ruled_out(valid, replaced)),
        hypotheses=_open_hypotheses(valid, replaced),
        pending=tuple(_distinct(_pending(valid))),
        confidence=_confidence(valid),
    )


def corrected(steps: Iterable[Step]) -> dict[str, str]:
    """Return which steps are corrected, and by which later step: id → id."""
    return {step.corrects: step.id for step in steps if step.corrects}


def environment(texts: Iterable[str], context: TicketContext | None = None) -> tuple[str, ...]:
    """Return host names, addresses and versions that came up, as "Host: SRV-DC01"."""
    facts: list[str] = []
    for configuration in context.configurations if context else ():
        if configuration.name.strip():
            facts.append(f"Host: {_one_line(configuration.name)}")
        if configuration.ip_address.strip():
            facts.append(f"Address: {_one_line(configuration.ip_address)}")
        if configuration.operating_system.strip():
            facts.append(f"Version: {_one_line(configuration.operating_system)}")
    for text in texts:
        facts += _mentioned(text[:_READ_LIMIT])
    return tuple(_distinct(facts))[:ENVIRONMENT_LIMIT]


def same(first: str, second: str) -> bool:
    """Tell whether two short texts say the same but for case, spaces and closing punctuation."""
    return _key(first) == _key(second)


def _key(text: str) -> str:
    return " ".join(text.split()).strip(" .;:,!").casefold()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _distinct(texts: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if (key := _key(text)) and key not in seen:
            seen.add(key)
            yield text


def _texts(session: Session, steps: Sequence[Step]) -> Iterator[str]:
    """Yield what people typed, in order."""
    yield session.intake.text
    yield session.problem_summary
    for step in steps:
        if isinstance(step.body, Note) and step.source is Source.ENGINEER:
            yield step.body.text
        elif isinstance(step.body, Briefing):
            yield from (fact.partition(": ")[2] or fact for fact in step.body.environment)
        if step.response is not None:
            yield step.response_label


_HOST = re.compile(
    r"(?<![\w.@\\-])(?:"
    r"\\\\(?P<unc>[A-Za-z0-9][A-Za-z0-9.-]{1,62})(?=\\)"
    r"|(?P<fqdn>[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){1,4}"
    r"\.(?:local|lan|internal|corp|com|net|org|io|de|uk|eu))"
    r"|(?P<name>(?:[A-Z]{2,10}-)?(?:PC|SRV|SVR|DC|DESKTOP|LAPTOP|WS|NB|LT|FS|SQL|EX|RDS|TS|VM|HV"
    r"|NAS|PRN|AP|SW|FW|MAC)-?[A-Z0-9]{0,10}(?:-[A-Z0-9]{1,12}){0,3})"
    r")(?![\w@])"
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])")
_PRODUCT = re.compile(
    r"\b(?:Windows (?:Server )?\d{1,4}(?: R2)?(?: (?:Pro|Home|Enterprise|Standard|Datacenter))?"
    r"(?: \d\dH\d)?|macOS (?:[A-Z][a-z]+ )?\d{1,2}(?:\.\d{1,3}){0,2}|Office \d{4}"
    r"|(?:Ubuntu|Debian|RHEL|Exchange|SQL Server|Outlook|ESXi|vCenter|FortiOS|Chrome|Edge|Firefox)"
    r" (?:Server )?\d{1,4}(?:\.\d{1,6}){0,4})(?![\w.]*\d)"
)
_VERSION = re.compile(
    r"\b(?P<word>[Vv]ersion|[Bb]uild|[Ff]irmware|[Rr]elease) (?P<number>\d{1,6}(?:\.\d{1,6}){0,4})"
    r"(?![\w.]*\d)"
)


def _mentioned(text: str) -> Iterator[str]:
    """Yield the facts in one text in the order of their places."""
    found: list[tuple[int, str]] = []
    for match in _HOST.finditer(text):
        name = match["unc"] or match["fqdn"] or match["name"]
        if any(character.isalpha() for character in name) and (
            match["name"] is None or any(c.isdigit() for c in name) or "-" in name
        ):
            found.append((match.start(), f"Host: {name}"))
    found += [
        (match.start(), f"Address: {match[0]}")
        for pattern in (_IPV4, _IPV6)
        for match in pattern.finditer(text)
        if _is_address(match[0])
    ]
    found += [(match.start(), f"Version: {match[0]}") for match in _PRODUCT.finditer(text)]
    found += [
        (match.start(), f"Version: {match['word'].lower()} {match['number']}")
        for match in _VERSION.finditer(text)
    ]
    yield from (fact for _, fact in sorted(found))


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_interface(text).ip
    except ValueError:
        return False
    return not address.is_unspecified


def _facts(steps: Iterable[Step]) -> Iterator[Fact]:
    for step in steps:
        match step.body, step.response:
            case Question(text=text), Response(skipped=False):
                yield Fact(step.id, step.number, text, step.response_label, step.answered_by)
            case Note(text=text), _:
                yield Fact(step.id, step.number, text, "", step.created_by)


def _tried(steps: Sequence[Step]) -> Iterator[Tried]:
    has_steps = False
    for step in steps:
        match step.body, step.response:
            case Briefing(steps=earlier), _ if not has_steps:
                # Only when the steps themselves did not travel along is their digest used.
                for line in earlier:
                    yield Tried(
                        step.id,
                        step.number,
                        line.text,
                        _read(line.outcome),
                        line.outcome,
                        step.body.escalated_by,
                    )
            case (Action() | Verification() | Resolution()) as body, Response(result=Result() as r):
                yield Tried(
                    step.id, step.number, body.text, r, step.response_label, step.answered_by
                )
        has_steps = has_steps or not step.is_open


def _read(outcome: str) -> Result:
    """Read an outcome as a teammate's app wrote it; what is not known is not a success."""
    words = outcome.casefold()
    if words.startswith(("worked", "yes", "confirmed")):
        return Result.WORKED
    failed = words.startswith(("did not", "no,", "not "))
    return Result.DID_NOT_WORK if failed else Result.COULD_NOT_TRY


def _ruled_out(steps: Sequence[Step], replaced: Mapping[str, str]) -> Iterator[RuledOut]:
    """Yield failed fixes and refuted hypotheses in the order of their last proof."""
    ruled: dict[str, RuledOut] = {}
    for step in steps:
        for hypothesis in step.hypotheses:
            key = _key(hypothesis.text)
            if hypothesis.status is HypothesisStatus.RULED_OUT:
                proof = tuple(e for e in hypothesis.evidence or (step.id,) if e not in replaced)
                if not proof:
                    # Only a step that was corrected since spoke against it.
                    continue
                ruled.setdefault(key, RuledOut(_one_line(hypothesis.text), proof))
            else:
                ruled.pop(key, None)
        match step.body, step.response:
            case Briefing(ruled_out=earlier), _:
                for text in earlier:
                    ruled.setdefault(_key(text), RuledOut(_one_line(text), (step.id,)))
            case Action(text=text), Response(result=Result.DID_NOT_WORK):
                item = RuledOut(f"{_one_line(text)} — did not work", (step.id,))
                ruled[_key(item.text)] = item
            case Resolution(text=text), Response(result=Result.DID_NOT_WORK):
                item = RuledOut(f"{_one_line(text)} — did not resolve it", (step.id,))
                ruled[_key(item.text)] = item
            case Action(text=text), Response(result=Result.WORKED):
                ruled.pop(_key(f"{_one_line(text)} — did not work"), None)
    yield from ruled.values()


def _open_hypotheses(steps: Sequence[Step], replaced: Mapping[str, str]) -> tuple[Hypothesis, ...]:
    """Return the last list of hypotheses without those ruled out.

    A cause that a model had proven and then left out stays beside it, so that the second of two
    causes does not push out the first; not if what proved it speaks for a later one.
    """
    kept: list[Hypothesis] = []
    named: set[str] = set()
    proofs = set(replaced)
    is_followed = False
    for step in reversed(steps):
        listed = step.hypotheses or (
            step.body.hypotheses if isinstance(step.body, Briefing) else ()
        )
        for item in listed:
            is_proven = (
                step.source is Source.CLAUDE
                and item.status is HypothesisStatus.SUPPORTED
                and bool(item.evidence)
                and proofs.isdisjoint(item.evidence)
            )
            is_open = item.status is not HypothesisStatus.RULED_OUT
            if _key(item.text) not in named and (is_proven or (is_open and not is_followed)):
                kept.append(item)
        is_followed = is_followed or bool(listed)
        named |= {_key(item.text) for item in listed}
        proofs |= {proof for item in listed for proof in item.evidence}
    return tuple(sorted(kept, key=lambda item: -item.confidence))


def _pending(steps: Sequence[Step]) -> Iterator[str]:
    settled = {
        _key(step.body.text)
        for step in steps
        if step.response is not None
        and not step.response.skipped
        and step.response.result is not Result.COULD_NOT_TRY
    }
    for step in steps:
        text = _one_line(step.body.text)
        if isinstance(step.body, Briefing) or _key(text) in settled:
            continue
        if step.is_open:
            yield f"Not answered yet: {text}"
        elif step.response is not None and step.response.skipped:
            yield f"Skipped: {text}"
        elif step.response is not None and step.response.result is Result.COULD_NOT_TRY:
            reason = _one_line(step.response.text)
            yield f"Could not be tried: {text}" + (f" ({reason})" if reason else "")
    for step in steps:
        if isinstance(step.body, Resolution) and (
            step.response is not None and step.response.result is Result.WORKED
        ):
            yield from (f"Follow up: {_one_line(text)}" for text in step.body.follow_ups)


def _confidence(steps: Sequence[Step]) -> float | None:
    for step in reversed(steps):
        if step.source is not Source.ENGINEER and not isinstance(step.body, Briefing):
            return step.confidence
    return None
