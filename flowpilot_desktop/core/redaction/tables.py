"""Columns whose head says "password": exports, password lists, aligned listings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowpilot_desktop.core.redaction import values
from flowpilot_desktop.core.redaction.names import Name, is_name
from flowpilot_desktop.core.redaction.reading import Span

_DELIMITERS = {mark: re.compile(re.escape(mark)) for mark in "\t,;|"}
_ALIGNED = re.compile(r"[ \t]{2,}")
_CELL_END = re.compile(r"[\"']?[ \t\r]{0,20}(?:[\n,;|\t]|  )")
_NO_HEAD = re.compile(r"[:=]|\d{3}")
_DASHES = re.compile(r"-{2,}")
_RULER = re.compile(r"[ \t]{0,8}-{2,200}(?:[ \t]{1,200}-{2,200}){1,30}[ \t\r]*\n")
# What may stand before the name in its cell: "Temp Password", "Local admin password"
_ADJECTIVES = re.compile(
    r"(?:(?:temp(?:orary)?|initial|new|old|default|local|domain|admin|user|generated|start|web"
    r"|login|current|neues?|altes|tempor\w{3,5}|wifi|vpn|email|mail)[ _-]){1,3}"
)
_HEAD_LIMIT = 400
_ROW_LIMIT = 1600
_CELL_LIMIT = 40


def column(plain: str, folded: str, name: Name) -> Iterator[Span]:
    """Yield the cells below a name that is the whole head of a column."""
    line_start = folded.rfind("\n", max(0, name.start - _HEAD_LIMIT), name.start) + 1
    line_end = folded.find("\n", name.end, name.end + _HEAD_LIMIT)
    if line_end < 0 or (line_start == 0 and name.start > _HEAD_LIMIT):
        return
    head = folded[line_start:line_end]
    ruler = _RULER.match(plain, line_end + 1)
    if ruler is not None:
        yield from _ruled(plain, folded, (line_start, line_end), ruler, name)
        return
    if _CELL_END.match(folded, name.end) is None:
        return
    splitter = next((rule for mark, rule in _DELIMITERS.items() if mark in head), _ALIGNED)
    cells = _cells(splitter, head, line_start)
    place = next(
        (i for i, (start, end) in enumerate(cells) if start <= name.start and name.end <= end), None
    )
    if place is None or len(cells) == 1 or not _is_head(folded, cells, place, name):
        return
    position = line_end + 1
    while position < len(plain):
        stop = plain.find("\n", position, position + _ROW_LIMIT)
        stop = stop if stop >= 0 else min(len(plain), position + _ROW_LIMIT)
        row = _cells(splitter, plain[position:stop], position)
        if len(row) != len(cells):
            return
        start, end = row[place]
        text = plain[start:end].strip(" \t\"'\r")
        if is_name(text.lower()):
            return  # the head of the next table
        if text and not values.is_talk(text):
            start += plain[start:end].index(text)
            yield start, start + len(text), name.kind
        position = stop + 1


def _ruled(
    plain: str, folded: str, head: tuple[int, int], ruler: re.Match[str], name: Name
) -> Iterator[Span]:
    """Yield the cells below a name in a table whose columns a line of dashes rules."""
    columns = [dashes.start() for dashes in _DASHES.finditer(ruler[0])]
    low = name.start - head[0]
    high = next((column for column in columns if column > low), _ROW_LIMIT)
    cell = folded[name.start : min(head[0] + high, head[1])].strip()
    if low not in columns or cell != folded[name.start : name.end]:
        return
    position = ruler.end()
    while position < len(plain):
        stop = plain.find("\n", position, position + _ROW_LIMIT)
        stop = stop if stop >= 0 else min(len(plain), position + _ROW_LIMIT)
        row = plain[position:stop]
        if not row.strip():
            return
        text = row[low:high].strip()
        if text and not values.is_talk(text):
            start = position + row.index(text, low)
            yield start, start + len(text), name.kind
        position = stop + 1


def _is_head(folded: str, cells: list[tuple[int, int]], place: int, name: Name) -> bool:
    """Tell whether a line is a table's head and the name one whole cell of it."""
    start, end = cells[place]
    head = folded[start:end].strip(" \t\"'")
    before = head.removesuffix(folded[name.start : name.end])
    return (
        before != head
        and (not before or bool(_ADJECTIVES.fullmatch(before)))
        and not any(
            end - start > _CELL_LIMIT or _NO_HEAD.search(folded, start, end) for start, end in cells
        )
    )


def _cells(splitter: re.Pattern[str], line: str, offset: int) -> list[tuple[int, int]]:
    cells: list[tuple[int, int]] = []
    start = len(line) - len(line.lstrip())
    stripped = line.rstrip()
    for gap in splitter.finditer(stripped, start):
        cells.append((offset + start, offset + gap.start()))
        start = gap.end()
    cells.append((offset + start, offset + max(start, len(stripped))))
    return cells
