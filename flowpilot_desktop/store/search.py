"""Full text over sessions and cached tickets: what is indexed, what may be asked, how alike it is.

The tokenizer takes letters and digits and drops accents. It needs no further characters, because
whatever a technician types as one word is searched as one phrase: ``SRV-DC01``, ``192.168.1.10``
and ``KB5034441`` match whole, and ``dc01`` alone finds ``SRV-DC01`` too. ``0x8004010F`` is one
word anyhow. Nothing that is typed reaches the query language: words are quoted, one by one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from flowpilot_desktop.core.findings import environment
from flowpilot_desktop.core.history import Narrowing
from flowpilot_desktop.core.session import Briefing, Command, Session, Step
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.store.documents import clean

COLUMNS = ("problem", "company", "devices", "ticket", "steps", "resolution")
"""What of a session is indexed; of a ticket the same without steps."""
TICKET_COLUMNS = tuple(name for name in COLUMNS if name != "steps")
WEIGHTS = {
    "problem": 6.0,
    "company": 2.0,
    "devices": 3.0,
    "ticket": 2.0,
    "steps": 1.0,
    "resolution": 4.0,
}
"""How much a word counts in each."""
_TOLD_OF_TICKET = 20_000
_TELLS_ERRORS = ("problem", "ticket", "steps")

_QUERY_LIMIT = 10_000
_WORDS_IN_SEARCH = 24
_WORDS_IN_LIKENESS = 48
_SHORTEST = 2
_WORD = re.compile(r"\w+")
# Apart by the tokenizer, "don't" is "don" and "t".
_COMMON = frozenset(
    """
    a about after again all also am an and any are as at be because been before but by can
    cannot could did do does for from get gets getting had has have he her his how i if in
    into is it its just me my no not now of on or our out she so some still than that the
    their them then there they this to too try tried trying up us user users was we were
    what when where which while who will with would you your don isn doesn didn won wasn
    wouldn couldn ve re ll
    """.split()  # noqa: SIM905 - prose reads better than 90 quoted words
)


def texts(
    session: Session, steps: Sequence[Step], context: TicketContext | None = None
) -> dict[str, str]:
    """Return what is indexed of a session, with what its ticket said when it was last read."""
    problem = (session.problem_summary, session.problem_domain, session.intake.text)
    done = [line for step in steps for line in _lines(step) if line]
    company = (session.company, session.ticket_id)
    resolution = (
        session.resolution_summary,
        session.resolution_action,
        session.escalation_reason,
        session.end_reason,
    )
    return {
        "problem": _told(*problem),
        "company": _told(*company),
        "devices": _told(*_devices(context), *_mentioned((session.intake.text, *done))),
        "ticket": _told(*_of_ticket(context)),
        "steps": _told(*done),
        "resolution": _told(*resolution),
    }


def ticket_texts(context: TicketContext) -> dict[str, str]:
    """Return what is indexed of a cached ticket."""
    ticket = context.ticket
    words = tuple(_of_ticket(context))
    return {
        "problem": ticket.summary,
        "company": _told(ticket.id, ticket.company.name, ticket.contact.name, ticket.site.name),
        "devices": _told(*_devices(context), *_mentioned(words)),
        "ticket": _told(*words[1:]),
        "resolution": resolution_of(context),
    }


def resolution_of(context: TicketContext) -> str:
    """Return how a ticket was solved, as its notes say; empty when they don't."""
    return _told(*(note.text for note in context.notes if note.is_resolution))


def _told(*parts: str) -> str:
    return "\n".join(filter(None, parts))


def _of_ticket(context: TicketContext | None) -> Iterable[str]:
    """Yield summary, description and notes of a ticket, as much as is worth searching."""
    if context is None:
        return
    yield context.ticket.summary
    yield context.ticket.description[:_TOLD_OF_TICKET]
    left = _TOLD_OF_TICKET
    for note in context.notes:
        if left > 0 and not (note.is_description or note.is_resolution):
            yield note.text[:left]
            left -= len(note.text)


def _devices(context: TicketContext | None) -> Iterable[str]:
    for one in context.configurations if context is not None else ():
        yield from (one.name, one.type, one.model, one.serial_number, one.ip_address)
        yield one.mac_address


def _mentioned(texts: Iterable[str]) -> Iterable[str]:
    """Yield host names and addresses that came up."""
    for fact in environment(texts):
        kind, _, name = fact.partition(": ")
        if kind != "Version":
            yield name


def _lines(step: Step) -> Iterable[str]:
    yield step.body.text
    command = getattr(step.body, "command", None)
    if isinstance(command, Command):
        yield command.text
    if isinstance(step.body, Briefing):
        yield step.body.reason
        yield from (f"{tried.text} {tried.outcome}" for tried in step.body.steps)
    yield step.response_label


def match_expression(typed: str) -> str:
    """Return an FTS5 expression for what was typed: every word, the last one as a beginning.

    Empty when nothing that was typed can be searched for.
    """
    words = [word for word in clean(typed[:_QUERY_LIMIT]).split() if _is_searchable(word)]
    words = words[:_WORDS_IN_SEARCH]
    if not words:
        return ""
    return " ".join(map(_quoted, words)) + ("" if typed[-1:].isspace() else " *")


def narrowed(typed: str, narrowing: Narrowing, columns: Sequence[str] = COLUMNS) -> str:
    """Return an FTS5 expression for what was typed in the search and beside it."""
    parts = [match_expression(typed)]
    if device := match_expression(narrowing.device):
        parts.append(f"{{devices}} : ({device})")
    words = [word for word in clean(narrowing.error[:_QUERY_LIMIT]).split() if _is_searchable(word)]
    if words:
        # An error is told by what follows what: its words are one phrase.
        among = " ".join(name for name in _TELLS_ERRORS if name in columns)
        star = "" if narrowing.error[-1:].isspace() else " *"
        parts.append(f"{{{among}}} : {_quoted(' '.join(words[:_WORDS_IN_SEARCH]))}{star}")
    return " AND ".join(f"({part})" for part in parts if part)


def asks_nothing(typed: str, narrowing: Narrowing) -> bool:
    """Return whether something was typed in a field of which nothing can be searched for."""
    asked = (typed, narrowing.device, narrowing.error)
    return any(
        text.strip() and not any(map(_is_searchable, clean(text[:_QUERY_LIMIT]).split()))
        for text in asked
    )


def likeness_words(text: str, limit: int | None = _WORDS_IN_LIKENESS) -> tuple[str, ...]:
    """Return the telling words of a text, each once, in their order."""
    read = text if limit is None else clean(text[:_QUERY_LIMIT])
    words = (plain(word) for word in _WORD.findall(read))
    telling = (word for word in words if len(word) >= _SHORTEST and word not in _COMMON)
    return tuple(dict.fromkeys(telling))[:limit]


def any_of(words: Sequence[str]) -> str:
    """Return an FTS5 expression that any of the words satisfies."""
    return " OR ".join(map(_quoted, words))


def plain(text: str) -> str:
    """Return the text in lower case without accents, as the tokenizer compares."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _is_searchable(word: str) -> bool:
    return any(unicodedata.category(letter)[0] in "LN" for letter in word)
