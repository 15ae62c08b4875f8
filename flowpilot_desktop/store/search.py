"""Full text over all sessions: what is indexed, what may be asked, how alike two texts are.

The tokenizer takes letters and digits and drops accents. It needs no further characters, because
whatever a technician types as one word is searched as one phrase: ``SRV-DC01``, ``192.168.1.10``
and ``KB5034441`` match whole, and ``dc01`` alone finds ``SRV-DC01`` too. ``0x8004010F`` is one
word anyhow. Nothing that is typed reaches the query language: words are quoted, one by one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from flowpilot_desktop.core.session import Briefing, Command, Session, Step
from flowpilot_desktop.store.documents import clean

WEIGHTS = (6.0, 2.0, 1.0, 4.0)
"""How much a word counts in problem, company, steps and resolution."""

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


def texts(session: Session, steps: Iterable[Step]) -> tuple[str, str, str, str]:
    """Return what is indexed of a session: problem, company, steps, resolution."""
    problem = (session.problem_summary, session.problem_domain, session.intake.text)
    company = (session.company, session.ticket_id)
    resolution = (
        session.resolution_summary,
        session.resolution_action,
        session.escalation_reason,
        session.end_reason,
    )
    return (
        "\n".join(filter(None, problem)),
        "\n".join(filter(None, company)),
        "\n".join(line for step in steps for line in _lines(step) if line),
        "\n".join(filter(None, resolution)),
    )


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
