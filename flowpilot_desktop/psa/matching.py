"""What a ticket search means, in code.

A server's filter is never trusted: ConnectWise has been seen to ignore one silently and return
everything. Whatever a server answered goes through here again.
"""

from __future__ import annotations

from flowpilot_desktop.core.ticket import Ticket, TicketQuery, TicketScope, cleaned

WORD_LIMIT = 6
"""Words of a search that count; more never narrows a ticket list usefully."""

_TEXT_LIMIT = 200


def search_words(text: str) -> tuple[str, ...]:
    """Return the words of a search, without a leading # of a ticket number."""
    words = (word.removeprefix("#") for word in cleaned(text, _TEXT_LIMIT).split())
    return tuple(word for word in words if word)[:WORD_LIMIT]


def is_found(ticket: Ticket, query: TicketQuery) -> bool:
    """Tell whether a ticket answers a search: each word is in number, summary, company or contact.

    Whose tickets ``MINE`` means is not decided here: a ticket carries its owner's name only.
    """
    if query.scope is not TicketScope.ALL and ticket.is_closed:
        return False
    if query.board and ticket.board.name.casefold() != query.board.casefold():
        return False
    if query.status and ticket.status.name.casefold() != query.status.casefold():
        return False
    haystack = f"{ticket.summary}\n{ticket.company.name}\n{ticket.contact.name}".casefold()
    return all(
        word == ticket.id or word.casefold() in haystack for word in search_words(query.text)
    )
