"""What stands in the practice company's file, as our nouns.

``resources/practice/company.yaml`` ships with the product and is checked by tests, so it is read
without tolerance: a mistake in it is a mistake of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import yaml

from flowpilot_desktop import assets
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    Member,
    RecordKind,
    Reference,
    Site,
    TicketStatus,
)

Facts = Mapping[str, Any]

_AGE = re.compile(r"(\d+)\s*([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


def facts() -> Facts:
    """Return the file as it is."""
    text = assets.path("practice", "company.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: Facts = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are the safe one
    return loaded


def one(items: list[Facts], wanted: int | None) -> Facts:
    """Return the record with an id."""
    return next(item for item in items if item["id"] == wanted)


def reference(facts: Facts) -> Reference:
    """Return what other records say of this one."""
    return Reference(facts["id"], facts["name"])


def kind(facts: Facts) -> RecordKind:
    """Return the table that a ticket is in."""
    return RecordKind(facts.get("kind", "service"))


def span(words: str) -> timedelta:
    """Return "3d 4h" or "-40m" as a span."""
    span = sum((int(count) * _UNITS[unit] for count, unit in _AGE.findall(words)), timedelta())
    return -span if words.startswith("-") else span


def member(facts: Facts) -> Member:
    """Return a member."""
    return Member(
        id=facts["id"],
        identifier=facts["identifier"],
        name=facts["name"],
        email=facts["email"],
        time_zone=facts.get("time_zone", ""),
        work_role=reference(facts["work_role"]) if "work_role" in facts else Reference(),
        work_type=reference(facts["work_type"]) if "work_type" in facts else Reference(),
        is_api_only=bool(facts.get("api_only")),
    )


def status(facts: Facts) -> TicketStatus:
    """Return a status of a board."""
    return TicketStatus(
        id=facts["id"],
        name=facts["name"],
        sort_order=facts["sort"],
        is_closed=bool(facts.get("closed")),
        time_entry_allowed=not facts.get("no_time"),
    )


def company(facts: Facts) -> Company:
    """Return a client."""
    return Company(
        id=facts["id"],
        name=facts["name"],
        identifier=facts["identifier"],
        phone=facts["phone"],
        website=facts["website"],
        city=facts["city"],
        types=tuple(facts["types"]),
    )


def contact(facts: Facts) -> Contact:
    """Return a person at a client."""
    return Contact(
        id=facts["id"],
        name=facts["name"],
        title=facts["title"],
        phone=facts["phone"],
        email=facts["email"],
    )


def site(facts: Facts) -> Site:
    """Return a place of a client."""
    return Site(id=facts["id"], name=facts["name"], address=facts["address"], phone=facts["phone"])


def configuration(facts: Facts, began_at: datetime) -> Configuration:
    """Return a device."""
    return Configuration(
        id=facts["id"],
        name=facts["name"],
        type=facts["type"],
        model=facts["model"],
        serial_number=facts.get("serial", ""),
        operating_system=facts.get("os", ""),
        ip_address=facts.get("ip", ""),
        mac_address=facts.get("mac", ""),
        last_login=facts.get("last_login", ""),
        notes=facts.get("notes", ""),
        warranty_until=(began_at + span(facts["warranty_in"]) if "warranty_in" in facts else None),
    )
