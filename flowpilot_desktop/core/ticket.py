"""Tickets and everything that is pulled along with one.

All text here comes from strangers. ``cleaned`` is applied to every piece of it at the entry: it
keeps letters and line breaks, makes NUL visible and drops what could reorder or hide text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

TEXT_LIMIT = 200_000
"""Characters kept of one text from outside; what is cut is said at its end."""

# Zero-width, bidirectional and other format characters that can hide or reorder text. ZWNJ and
# ZWJ stay: scripts and emoji need them.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def cleaned(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Return text from outside, fit to store and to show.

    NUL becomes U+2400, lone surrogates U+FFFD, other control characters and invisible or
    reordering ones go, line ends become ``\\n``; more than ``limit`` characters are cut and the
    cut is said.
    """
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\u2400")
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _CONTROL.sub("", text)))
    text = unicodedata.normalize("NFC", text)
    return f"{text}\n[… {cut:,} more characters were cut]" if cut > 0 else text


class RecordKind(StrEnum):
    """Which table of the PSA a ticket lives in."""

    SERVICE = "service"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Reference:
    """Something with an id and a name."""

    id: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket's own fields. Times are aware UTC; empty strings and id 0 mean unknown."""

    id: str
    summary: str
    kind: RecordKind = RecordKind.SERVICE
    description: str = ""
    status: Reference = Reference()
    board: Reference = Reference()
    priority: Reference = Reference()
    company: Reference = Reference()
    site: Reference = Reference()
    contact: Reference = Reference()
    contact_phone: str = ""
    contact_email: str = ""
    owner: str = ""
    resources: str = ""
    type: str = ""
    subtype: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    required_at: datetime | None = None
    sla_status: str = ""
    is_closed: bool = False
    merged_into: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A device or service of the company that the ticket names."""

    id: int
    name: str
    type: str = ""
    model: str = ""
    serial_number: str = ""
    operating_system: str = ""
    ip_address: str = ""
    mac_address: str = ""
    last_login: str = ""
    notes: str = ""
    warranty_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TicketNote:
    """A note on a ticket; ``is_internal`` tells the team's notes from the discussion."""

    id: int
    text: str
    author: str = ""
    created_at: datetime | None = None
    is_internal: bool = False
    is_description: bool = False
    is_resolution: bool = False


@dataclass(frozen=True, slots=True)
class Company:
    """The client."""

    id: int = 0
    name: str = ""
    identifier: str = ""
    phone: str = ""
    website: str = ""
    city: str = ""
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    """The person who has the problem."""

    id: int = 0
    name: str = ""
    title: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the problem is."""

    id: int = 0
    name: str = ""
    address: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class RelatedTicket:
    """Another ticket of the same company or configuration, with its resolution when closed."""

    id: str
    summary: str
    status: str = ""
    closed: bool = False
    created_at: datetime | None = None
    resolution: str = ""
    why_related: str = ""


@dataclass(frozen=True, slots=True)
class TicketContext:
    """All that was pulled for a ticket. ``missing`` names the parts that could not be had."""

    connection_id: str
    ticket: Ticket
    fetched_at: datetime
    company: Company = Company()
    contact: Contact = Contact()
    site: Site = Site()
    configurations: tuple[Configuration, ...] = ()
    notes: tuple[TicketNote, ...] = ()
    related: tuple[RelatedTicket, ...] = ()
    missing: tuple[str, ...] = ()


class TicketScope(StrEnum):
    """Which tickets the picker lists."""

    MINE = "mine"
    ALL_OPEN = "all_open"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class TicketQuery:
    """A search for tickets. ``text`` matches number, summary, company and contact.

    ``member_identifier`` says whose tickets ``MINE`` means; empty is the member of the keys.
    """

    text: str = ""
    scope: TicketScope = TicketScope.ALL_OPEN
    board: str = ""
    status: str = ""
    page: int = 1
    page_size: int = 50
    member_identifier: str = ""


@dataclass(frozen=True, slots=True)
class TicketPage:
    """One page of found tickets; ``has_more`` says whether another follows."""

    tickets: tuple[Ticket, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class TicketStatus:
    """A status that a ticket's own board offers."""

    id: int
    name: str
    sort_order: int = 0
    is_closed: bool = False
    time_entry_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """An engineer as the PSA knows them."""

    id: int
    identifier: str
    name: str = ""
    email: str = ""
    time_zone: str = ""
    work_role: Reference = Reference()
    work_type: Reference = Reference()
    is_api_only: bool = False


@dataclass(frozen=True, slots=True)
class PsaConnection:
    """How to reach the MSP's one PSA. Keys live in the keyring, never here.

    ``provider`` is a name in the registry; ``site`` a host name; ``ca_file`` a bundle for a
    private certificate authority; ``client_id`` overrides the one that FlowPilot ships.
    """

    id: str
    provider: str
    site: str = ""
    company_id: str = ""
    client_id: str = ""
    ca_file: str = ""
    name: str = ""

    def is_same_site(self, other: PsaConnection) -> bool:
        """Return whether both lead to the same company on the same server."""
        return (self.provider, self.site.casefold(), self.company_id.casefold()) == (
            other.provider,
            other.site.casefold(),
            other.company_id.casefold(),
        )


@dataclass(frozen=True, slots=True)
class MemberMapping:
    """Engineer → PSA member. ``how`` is own_keys, email or by_hand."""

    connection_id: str
    engineer_id: str
    member_id: int
    member_identifier: str
    member_name: str = ""
    how: str = "own_keys"


@dataclass(frozen=True, slots=True)
class PermissionCheck:
    """One finding of the connection's self-test: what was tried, and which right it needs."""

    what: str
    passed: bool
    fix: str = ""


@dataclass(frozen=True, slots=True)
class PsaSelfTest:
    """What a test of the connection found."""

    member: Member | None
    server: str
    version: str
    clock_skew_seconds: float | None = None
    checks: tuple[PermissionCheck, ...] = field(default=())
