"""Lists of ConnectWise, page by page.

Two ways to turn pages: by number (``page``), and forward-only (``pageId`` = every id above it),
which holds still while records are added. A page that is short, or that holds nothing new, is the
last one, unless the ``Link`` header names another. Whether a list is complete can decide whether a
note is posted again, so `rows_above` rather fails than leave something out.
Source: ConnectWise Developer Network, "Pagination".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowpilot_desktop.core.errors import PsaUnreachable
from flowpilot_desktop.psa.connectwise import reading
from flowpilot_desktop.psa.connectwise.failures import Answer
from flowpilot_desktop.psa.connectwise.reading import Record
from flowpilot_desktop.psa.connectwise.wire import Wire

PAGE_SIZE = 200
PAGE_LIMIT = 10

_ABOVE_PAGE_SIZE = 250
_ABOVE_PAGE_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Page:
    """One page of records; ``has_next`` is what the Link header says."""

    rows: list[Record]
    has_next: bool

    @classmethod
    def of(cls, answer: Answer) -> Page:
        """Read an answer as a page; raises PsaUnreachable if it is no list of records."""
        said = answer.understood()
        if not isinstance(said, list) or not all(isinstance(row, dict) for row in said):
            raise PsaUnreachable("ConnectWise answered with something else than a list.")
        return cls(said, 'rel="next"' in answer.headers.get("link", ""))

    def holds(self, ident: int) -> bool:
        """Tell whether a record with this number is on the page."""
        return any(reading.number(row.get("id")) == ident for row in self.rows)


async def all_rows(
    wire: Wire,
    path: str,
    params: dict[str, str],
    *,
    page_size: int = PAGE_SIZE,
    page_limit: int = PAGE_LIMIT,
) -> list[Record]:
    """Return the records of a list by page number, as far as the page limit."""
    found: dict[Any, Record] = {}
    for number in range(1, page_limit + 1):
        page = Page.of(
            await wire.read(path, {**params, "page": str(number), "pageSize": str(page_size)})
        )
        known = len(found)
        for row in page.rows:
            found.setdefault(_key(row, len(found)), row)
        if len(found) == known or (len(page.rows) < page_size and not page.has_next):
            break
    return list(found.values())


async def rows_above(wire: Wire, path: str, filters: list[str], watermark: int) -> list[Record]:
    """Return every record of a list with an id above the watermark, whatever filters do.

    Raises PsaUnreachable rather than return a part.
    """
    conditions = " and ".join([*filters, f"id > {watermark}"])
    found: dict[int, Record] = {}
    after = 0
    for _ in range(_ABOVE_PAGE_LIMIT):
        page = Page.of(
            await wire.read(
                path,
                {
                    "conditions": conditions,
                    "pageSize": str(_ABOVE_PAGE_SIZE),
                    "pageId": str(after),
                },
                pagination_type="forward-only",
            )
        )
        idents = _idents(page)
        is_last = len(idents) < _ABOVE_PAGE_SIZE and not page.has_next
        if not is_last and (idents != sorted(idents) or (idents and idents[-1] <= after)):
            # The server does not turn pages this way: by number, then.
            return await _by_number(wire, path, conditions, watermark)
        found.update(zip(idents, page.rows, strict=True))
        if is_last or not idents:
            return _above(found, watermark)
        after = idents[-1]
    raise _too_many()


async def _by_number(wire: Wire, path: str, conditions: str, watermark: int) -> list[Record]:
    found: dict[int, Record] = {}
    for number in range(1, _ABOVE_PAGE_LIMIT + 1):
        params = {
            "conditions": conditions,
            "orderBy": "id asc",
            "page": str(number),
            "pageSize": str(_ABOVE_PAGE_SIZE),
        }
        page = Page.of(await wire.read(path, params))
        known = len(found)
        found.update(zip(_idents(page), page.rows, strict=True))
        if len(page.rows) < _ABOVE_PAGE_SIZE and not page.has_next:
            return _above(found, watermark)
        if len(found) == known:
            break  # the same page again: nothing here turns pages
    raise _too_many()


def _idents(page: Page) -> list[int]:
    idents = [reading.number(row.get("id")) for row in page.rows]
    if not all(idents):
        raise PsaUnreachable("ConnectWise answered with records that have no number.")
    return idents


def _above(found: dict[int, Record], watermark: int) -> list[Record]:
    return [found[ident] for ident in sorted(found) if ident > watermark]


def _too_many() -> PsaUnreachable:
    return PsaUnreachable("The ticket has more records than could be looked through.")


def _key(row: Record, position: int) -> tuple[Any, int, int]:
    """Return what tells a record from the others; one without a number is only itself."""
    ident = reading.number(row.get("id"))
    return (str(row.get("noteType")), ident, 0 if ident else position)
