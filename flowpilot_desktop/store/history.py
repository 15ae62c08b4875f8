"""Sessions as lists and searches show them, and the ones that read like the present one.

The full-text index is brought up to date just before it is asked: triggers note in the
transaction of every change which sessions it lags behind. So a commit stays small, nothing is ever
searched that was not committed, and a crash loses no entry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, literal_column, select, text

from flowpilot_desktop.core.history import SessionFilter, SessionListing, SimilarSession
from flowpilot_desktop.core.session import Session, SessionStatus, Step
from flowpilot_desktop.store import search
from flowpilot_desktop.store import tables as t

INDEX_BATCH = 500
"""Sessions indexed in one transaction; an import of thousands does not hold the writer long."""

_SNIPPET_WORDS = 14
_SNIPPET_LETTERS = 160
_CANDIDATES = 40
_SAME_COMPANY = 1.15
_SOLVED = (SessionStatus.RESOLVED, SessionStatus.ESCALATED)
_WEIGHTS = ", ".join(map(str, search.WEIGHTS))
_RANK = f"bm25(session_texts, {_WEIGHTS})"
_SNIPPET = f"snippet(session_texts, -1, '', '', '…', {_SNIPPET_WORDS})"


def index_stale(connection: Connection) -> int:
    """Bring one batch of sessions into the full-text index; return how many were still stale."""
    stale = connection.execute(select(t.stale_texts.c.number).limit(INDEX_BATCH)).scalars().all()
    if not stale:
        return 0
    one_by_one = [{"number": number} for number in stale]
    connection.execute(text("DELETE FROM session_texts WHERE rowid = :number"), one_by_one)
    shelf = t.SHELVES[Session]
    numbered = connection.execute(
        select(*shelf.columns, t.sessions.c.number).where(t.sessions.c.number.in_(stale))
    ).all()
    sessions = {row.number: shelf.record(row) for row in numbered}
    steps = _steps_of(connection, [session.id for session in sessions.values()])
    rows = []
    for number, session in sessions.items():
        problem, company, done, resolution = search.texts(session, steps.get(session.id, ()))
        rows.append(
            {
                "number": number,
                "problem": problem,
                "company": company,
                "steps": done,
                "resolution": resolution,
            }
        )
    if rows:
        connection.execute(
            text(
                "INSERT INTO session_texts (rowid, problem, company, steps, resolution) "
                "VALUES (:number, :problem, :company, :steps, :resolution)"
            ),
            rows,
        )
    connection.execute(delete(t.stale_texts).where(t.stale_texts.c.number.in_(stale)))
    return len(stale)


def _steps_of(connection: Connection, session_ids: Sequence[str]) -> dict[str, list[Step]]:
    shelf = t.SHELVES[Step]
    found: dict[str, list[Step]] = {}
    statement = (
        select(*shelf.columns)
        .where(t.steps.c.session_id.in_(session_ids))
        .order_by(t.steps.c.session_id, t.steps.c.number)
    )
    for row in connection.execute(statement):
        step = shelf.record(row)
        found.setdefault(step.session_id, []).append(step)
    return found


def listings(
    connection: Connection, which: SessionFilter, searched: str, limit: int, offset: int
) -> tuple[SessionListing, ...]:
    """Return sessions that pass the filter and contain every word, newest first."""
    expression = search.match_expression(searched)
    if searched.strip() and not expression:
        return ()
    columns = t.SHELVES[Session].columns
    count = (
        select(func.count())
        .where(t.steps.c.session_id == t.sessions.c.id)
        .correlate(t.sessions)
        .scalar_subquery()
    )
    statement: Select[*tuple[Any, ...]]
    if expression:
        # The ranking is by time: matches are numbers first, and only the page is put together.
        matching = text(
            "SELECT rowid AS number FROM session_texts WHERE session_texts MATCH :expression"
        )
        matches = matching.columns(t.sessions.c.number).subquery("matches")
        statement = select(*columns, count, t.sessions.c.number).join(
            matches, matches.c.number == t.sessions.c.number
        )
    else:
        statement = select(*columns, count, t.sessions.c.number)
    if which is not SessionFilter.ALL:
        statement = statement.where(t.sessions.c.status.in_(sorted(which.statuses)))
    statement = (
        statement.order_by(t.sessions.c.updated_at.desc(), t.sessions.c.number.desc())
        .limit(max(0, limit))
        .offset(max(0, offset))
    )
    rows = connection.execute(statement, {"expression": expression} if expression else {}).all()
    found = _snippets(connection, expression, [row[-1] for row in rows])
    return tuple(_listing(row, found.get(row[-1], "")) for row in rows)


def _listing(row: Row[*tuple[Any, ...]], snippet: str) -> SessionListing:
    session = t.SHELVES[Session].record(row)
    problem = session.problem_summary or session.intake.text
    return SessionListing(session, row[-2], snippet or _first_line(problem))


def _first_line(words: str) -> str:
    line = words.strip().partition("\n")[0]
    return line if len(line) <= _SNIPPET_LETTERS else f"{line[: _SNIPPET_LETTERS - 1]}…"


def _snippets(connection: Connection, expression: str, numbers: Sequence[int]) -> dict[int, str]:
    """Return where the expression matched in each of the sessions."""
    if not expression or not numbers:
        return {}
    statement: Select[int, str] = (
        select(literal_column("rowid"), literal_column(_SNIPPET))
        .select_from(text("session_texts"))
        .where(text("session_texts MATCH :expression"), literal_column("rowid").in_(numbers))
    )
    rows = connection.execute(statement, {"expression": expression})
    return {number: " ".join(snippet.split()) for number, snippet in rows}


def similar(
    connection: Connection, asked: str, limit: int, company: str
) -> tuple[SimilarSession, ...]:
    """Return solved sessions that share telling words with the text, the likest first."""
    words = search.likeness_words(asked)
    if not words or limit <= 0:
        return ()
    shelf = t.SHELVES[Session]
    statement = (
        select(
            *shelf.columns,
            literal_column(_RANK),
            literal_column(_SNIPPET),
            literal_column("session_texts.problem || char(10) || session_texts.steps"),
        )
        .select_from(text("session_texts"))
        .join(t.sessions, t.sessions.c.number == literal_column("session_texts.rowid"))
        .where(text("session_texts MATCH :expression"), t.sessions.c.status.in_(_SOLVED))
        .order_by(literal_column(_RANK))
        .limit(_CANDIDATES)
    )
    rows = connection.execute(statement, {"expression": search.any_of(words)}).all()
    weights = _word_weights(connection, words)
    found = []
    for row in rows:
        rank, snippet, whole = row[-3:]
        had = set(search.likeness_words(whole, limit=None))
        likeness = sum(weights[word] for word in words if word in had) / sum(weights.values())
        session = shelf.record(row)
        found.append(SimilarSession(session, -rank, likeness, " ".join(snippet.split())))
    found.sort(key=lambda one: _closeness(one, company), reverse=True)
    return tuple(found[:limit])


def _closeness(one: SimilarSession, company: str) -> tuple[float, float]:
    same = bool(company) and one.session.company.casefold() == company.casefold()
    return one.likeness * (_SAME_COMPANY if same else 1.0), one.relevance


def _word_weights(connection: Connection, words: Sequence[str]) -> dict[str, float]:
    """Return how telling each word is: the rarer among all sessions, the more."""
    total = connection.execute(select(func.count()).select_from(t.sessions)).scalar_one()
    weights = {}
    for word in words:
        having = connection.execute(
            text("SELECT count(*) FROM session_texts WHERE session_texts MATCH :expression"),
            {"expression": search.any_of([word])},
        ).scalar_one()
        weights[word] = math.log1p((total + 1) / (having + 1))
    return weights
