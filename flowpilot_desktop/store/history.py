"""Sessions and cached tickets as lists and searches show them, and what reads like the present one.

The full-text index is brought up to date just before it is asked: triggers note in the
transaction of every change what it lags behind. So a commit stays small, nothing is ever searched
that was not committed, and a crash loses no entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    and_,
    delete,
    func,
    literal_column,
    select,
    text,
)

from flowpilot_desktop.core.history import (
    Narrowing,
    SessionFilter,
    SessionListing,
    SimilarSession,
    TicketListing,
)
from flowpilot_desktop.core.session import Session, SessionStatus, Step
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.store import search
from flowpilot_desktop.store import tables as t

INDEX_BATCH = 500
"""Records indexed in one transaction; an import of thousands does not hold the writer long."""

_SNIPPET_WORDS = 14
_SNIPPET_LETTERS = 160
_CANDIDATES = 40
_SAME_COMPANY = 1.15
_SOLVED = (SessionStatus.RESOLVED, SessionStatus.ESCALATED)


@dataclass(frozen=True, slots=True)
class _Index:
    """One full-text table: what it is of, what lags behind, what it holds."""

    name: str
    of: Table
    stale: Table
    columns: tuple[str, ...]
    compared: tuple[str, ...]

    @property
    def rank(self) -> str:
        weights = ", ".join(str(search.WEIGHTS[name]) for name in self.columns)
        return f"bm25({self.name}, {weights})"

    @property
    def snippet(self) -> str:
        return f"snippet({self.name}, -1, '', '', '…', {_SNIPPET_WORDS})"

    @property
    def whole(self) -> str:
        """What the likeness is told by."""
        return " || char(10) || ".join(f"{self.name}.{name}" for name in self.compared)

    @property
    def matching(self) -> str:
        return f"{self.name} MATCH :expression"


_SESSIONS = _Index(
    "session_texts", t.sessions, t.stale_texts, search.COLUMNS, ("problem", "ticket", "steps")
)
_TICKETS = _Index(
    "ticket_texts",
    t.ticket_contexts,
    t.stale_tickets,
    search.TICKET_COLUMNS,
    ("problem", "ticket", "resolution"),
)

# Keeping the index


def index_stale(connection: Connection) -> int:
    """Bring one batch into the full-text index; return how many were still stale."""
    return _index_sessions(connection) + _index_tickets(connection)


def _index_sessions(connection: Connection) -> int:
    stale = _stale(connection, _SESSIONS)
    if not stale:
        return 0
    shelf, contexts = t.SHELVES[Session], t.ticket_contexts
    about = and_(
        contexts.c.ticket_id == t.sessions.c.ticket_id,
        contexts.c.connection_id == t.sessions.c.connection_id,
    )
    rows = connection.execute(
        select(*shelf.columns, t.sessions.c.number, contexts.c.context)
        .join(contexts, about, isouter=True)
        .where(t.sessions.c.number.in_(stale))
    ).all()
    found = [(row.number, shelf.record(row), row.context) for row in rows]
    steps = _steps_of(connection, [session.id for _, session, _ in found])
    _index(
        connection,
        _SESSIONS,
        stale,
        (
            (number, search.texts(session, steps.get(session.id, []), context))
            for number, session, context in found
        ),
    )
    return len(stale)


def _index_tickets(connection: Connection) -> int:
    stale = _stale(connection, _TICKETS)
    if stale:
        table = t.ticket_contexts
        rows = connection.execute(
            select(table.c.number, table.c.context).where(table.c.number.in_(stale))
        )
        entries = ((number, search.ticket_texts(context)) for number, context in rows.all())
        _index(connection, _TICKETS, stale, entries)
    return len(stale)


def _stale(connection: Connection, index: _Index) -> Sequence[int]:
    return connection.execute(select(index.stale.c.number).limit(INDEX_BATCH)).scalars().all()


def _index(
    connection: Connection,
    index: _Index,
    stale: Sequence[int],
    entries: Iterable[tuple[int, dict[str, str]]],
) -> None:
    """Replace what the index holds of these numbers."""
    one_by_one = [{"number": number} for number in stale]
    connection.execute(text(f"DELETE FROM {index.name} WHERE rowid = :number"), one_by_one)  # noqa: S608 - a table of ours
    rows = [{"number": number, **words} for number, words in entries]
    if rows:
        names, values = ", ".join(index.columns), ", ".join(f":{name}" for name in index.columns)
        connection.execute(
            text(f"INSERT INTO {index.name} (rowid, {names}) VALUES (:number, {values})"),  # noqa: S608 - names of ours
            rows,
        )
    connection.execute(delete(index.stale).where(index.stale.c.number.in_(stale)))


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


# Lists


def listings(
    connection: Connection,
    which: SessionFilter,
    searched: str,
    narrowing: Narrowing,
    *,
    limit: int,
    offset: int,
) -> tuple[SessionListing, ...]:
    """Return sessions that pass the filter and contain every word, newest first."""
    if search.asks_nothing(searched, narrowing):
        return ()
    expression = search.narrowed(searched, narrowing)
    count = (
        select(func.count())
        .where(t.steps.c.session_id == t.sessions.c.id)
        .correlate(t.sessions)
        .scalar_subquery()
    )
    statement: Select[*tuple[Any, ...]]
    statement = select(*t.SHELVES[Session].columns, count, t.sessions.c.number)
    statement = _only_matching(statement, _SESSIONS, expression)
    if which is not SessionFilter.ALL:
        statement = statement.where(t.sessions.c.status.in_(sorted(which.statuses)))
    if narrowing.client.strip():
        statement = statement.where(t.sessions.c.company == narrowing.client)
    statement = (
        statement.order_by(t.sessions.c.updated_at.desc(), t.sessions.c.number.desc())
        .limit(max(0, limit))
        .offset(max(0, offset))
    )
    rows = connection.execute(statement, {"expression": expression} if expression else {}).all()
    found = _snippets(connection, _SESSIONS, expression, [row[-1] for row in rows])
    return tuple(_listing(row, found.get(row[-1], "")) for row in rows)


def ticket_listings(
    connection: Connection, searched: str, narrowing: Narrowing, limit: int
) -> tuple[TicketListing, ...]:
    """Return cached tickets that contain every word, the latest first; none when nothing is asked.

    The words may stand in its number, summary, description, notes, client, contact or devices.
    """
    if search.asks_nothing(searched, narrowing) or not (searched.strip() or narrowing):
        return ()
    expression = search.narrowed(searched, narrowing, search.TICKET_COLUMNS)
    table = t.ticket_contexts
    statement: Select[*tuple[Any, ...]]
    statement = select(table.c.ticket, table.c.fetched_at, table.c.connection_id, table.c.number)
    statement = _only_matching(statement, _TICKETS, expression)
    if narrowing.client.strip():
        statement = statement.where(table.c.company == narrowing.client)
    statement = statement.order_by(table.c.fetched_at.desc(), table.c.number).limit(max(0, limit))
    rows = connection.execute(statement, {"expression": expression} if expression else {}).all()
    found = _snippets(connection, _TICKETS, expression, [row[-1] for row in rows])
    return tuple(
        TicketListing(
            row[0],
            row[1],
            found.get(row[3], "") or _first_line(row[0].description),
            connection_id=row[2],
        )
        for row in rows
    )


def clients(connection: Connection) -> tuple[str, ...]:
    """Return the companies that sessions and cached tickets are about, by name."""
    names = select(t.sessions.c.company).union(select(t.ticket_contexts.c.company))
    found = connection.execute(names).scalars()
    return tuple(sorted(filter(None, found), key=lambda name: (search.plain(name), name)))


def _only_matching(
    statement: Select[*tuple[Any, ...]], index: _Index, expression: str
) -> Select[*tuple[Any, ...]]:
    """Join what matches, by number: only the page is put together afterwards."""
    if not expression:
        return statement
    matching = text(f"SELECT rowid AS number FROM {index.name} WHERE {index.matching}")  # noqa: S608 - names of ours
    matches = matching.columns(index.of.c.number).subquery("matches")
    return statement.join(matches, matches.c.number == index.of.c.number)


def _listing(row: Row[*tuple[Any, ...]], snippet: str) -> SessionListing:
    session = t.SHELVES[Session].record(row)
    problem = session.problem_summary or session.intake.text
    return SessionListing(session, row[-2], snippet or _first_line(problem))


def _first_line(words: str) -> str:
    line = words.strip().partition("\n")[0]
    return line if len(line) <= _SNIPPET_LETTERS else f"{line[: _SNIPPET_LETTERS - 1]}…"


def _snippets(
    connection: Connection, index: _Index, expression: str, numbers: Sequence[int]
) -> dict[int, str]:
    """Return where the expression matched in each of these."""
    if not expression or not numbers:
        return {}
    statement: Select[int, str] = (
        select(literal_column("rowid"), literal_column(index.snippet))
        .select_from(text(index.name))
        .where(text(index.matching), literal_column("rowid").in_(numbers))
    )
    rows = connection.execute(statement, {"expression": expression})
    return {number: " ".join(snippet.split()) for number, snippet in rows}


# Solved before


def similar(
    connection: Connection, asked: str, limit: int, company: str
) -> tuple[SimilarSession, ...]:
    """Return solved sessions that share telling words with the text, the likest first."""
    solved: Select[*tuple[Any, ...]] = select(*t.SHELVES[Session].columns)
    solved = solved.where(t.sessions.c.status.in_(_SOLVED))
    found = []
    for row, rank, snippet, likeness in _alike(connection, _SESSIONS, solved, asked, limit):
        session = t.SHELVES[Session].record(row)
        weight = _closeness(likeness, session.company, company)
        found.append((weight, SimilarSession(session, rank, likeness, snippet)))
    found.sort(key=lambda one: (one[0], one[1].relevance), reverse=True)
    return tuple(one for _, one in found[:limit])


def similar_tickets(
    connection: Connection, asked: str, limit: int, company: str
) -> tuple[TicketListing, ...]:
    """Return cached tickets whose solution is told and that read like the text, the likest first.

    The snippet is the solution's first line.
    """
    table = t.ticket_contexts
    told: Select[*tuple[Any, ...]] = select(table.c.context).where(
        literal_column(f"{_TICKETS.name}.resolution") != ""
    )
    found = []
    for row, _, _, likeness in _alike(connection, _TICKETS, told, asked, limit):
        context: TicketContext = row[0]
        weight = _closeness(likeness, context.ticket.company.name, company)
        solution = _first_line(search.resolution_of(context))
        found.append(
            (
                weight,
                TicketListing(
                    context.ticket, context.fetched_at, solution, likeness, context.connection_id
                ),
            )
        )
    found.sort(key=lambda one: one[0], reverse=True)
    return tuple(one for _, one in found[:limit])


def _alike(
    connection: Connection,
    index: _Index,
    among: Select[*tuple[Any, ...]],
    asked: str,
    limit: int,
) -> list[tuple[Row[*tuple[Any, ...]], float, str, float]]:
    """Return the best-ranked rows with rank, snippet, and the share of the words they have."""
    words = search.likeness_words(asked)
    if not words or limit <= 0:
        return []
    statement = (
        among.add_columns(
            literal_column(index.rank), literal_column(index.snippet), literal_column(index.whole)
        )
        .select_from(text(index.name))
        .join(index.of, index.of.c.number == literal_column(f"{index.name}.rowid"))
        .where(text(index.matching))
        .order_by(literal_column(index.rank))
        .limit(_CANDIDATES)
    )
    rows = connection.execute(statement, {"expression": search.any_of(words)}).all()
    weights = _word_weights(connection, index, words) if rows else {}
    found = []
    for row in rows:
        rank, snippet, whole = row[-3:]
        had = set(search.likeness_words(whole, limit=None))
        likeness = sum(weights[word] for word in words if word in had) / sum(weights.values())
        found.append((row, -rank, " ".join(snippet.split()), likeness))
    return found


def _closeness(likeness: float, theirs: str, company: str) -> float:
    same = bool(company) and theirs.casefold() == company.casefold()
    return likeness * (_SAME_COMPANY if same else 1.0)


def _word_weights(connection: Connection, index: _Index, words: Sequence[str]) -> dict[str, float]:
    """Return how telling each word is: the rarer among all, the more."""
    total = connection.execute(select(func.count()).select_from(index.of)).scalar_one()
    weights = {}
    for word in words:
        having = connection.execute(
            text(f"SELECT count(*) FROM {index.name} WHERE {index.matching}"),  # noqa: S608 - names of ours
            {"expression": search.any_of([word])},
        ).scalar_one()
        weights[word] = math.log1p((total + 1) / (having + 1))
    return weights
