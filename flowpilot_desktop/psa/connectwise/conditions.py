"""ConnectWise's query language: what may be put into it, and how.

There is no escape inside a literal, so a value that has both quotes loses one kind. Texts are
searched with ``contains``; ``like`` was silently ignored on a real tenant and returned everything.
Source: ConnectWise Developer Network, "Conditions".
"""

from __future__ import annotations

from collections.abc import Iterable

from flowpilot_desktop.core.ticket import TicketQuery, TicketScope, cleaned
from flowpilot_desktop.psa.matching import search_words

_LARGEST_ID = 2**31 - 1


def quoted(value: str) -> str:
    """Return a string literal; a value with both quotes loses its double ones."""
    value = " ".join(cleaned(value, 200).split())
    if '"' not in value:
        return f'"{value}"'
    if "'" not in value:
        return f"'{value}'"
    return '"' + value.replace('"', "") + '"'


def one_of(field: str, ids: Iterable[int]) -> str:
    """Return a condition that a number is one of some."""
    return f"{field} in ({','.join(str(ident) for ident in ids)})"


def for_query(query: TicketQuery, member_identifier: str) -> str:
    """Return the conditions of a ticket search; `member_identifier` is whose ``MINE`` is."""
    parts = []
    if query.scope is not TicketScope.ALL:
        parts.append("closedFlag = False")
    if query.scope is TicketScope.MINE:
        me = quoted(member_identifier)
        parts.append(f"(owner/identifier = {me} or resources contains {me})")
    if query.board:
        parts.append(f"board/name = {quoted(query.board)}")
    if query.status:
        parts.append(f"status/name = {quoted(query.status)}")
    parts += [_holding(word) for word in search_words(query.text)]
    return " and ".join(parts)


def _holding(word: str) -> str:
    literal = quoted(word)
    places = [f"{name} contains {literal}" for name in ("summary", "company/name", "contactName")]
    if word.isascii() and word.isdigit() and int(word) <= _LARGEST_ID:
        places.insert(0, f"id = {int(word)}")
    return f"({' or '.join(places)})"
