"""Reading YAML that nobody vouches for.

The parser's events are put together here, not by PyYAML's composer: every value keeps its line,
aliases are refused (a few lines of them can unfold to gigabytes), depth and size are limited,
and every scalar stays the text that was written: ``no`` is the word no, ``1.10`` keeps its zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

SIZE_LIMIT: Final = 256 * 1024
DEPTH_LIMIT: Final = 12

_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text. ``plain`` says that it was written without quotes."""

    line: int
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    items: list[Value]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping; ``entries`` in the order written, ``lines`` of their keys."""

    line: int
    entries: dict[str, Value]
    lines: dict[str, int]


Value = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """The file is no document that a flow could be made of."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, and keys that were written twice."""

    root: Mapping
    repeated: tuple[tuple[int, str], ...]


def read(path: Path) -> Document:
    """Return the file's document, or raise Unreadable with the line and what is wrong."""
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise Unreadable(0, f"The file can't be read: {error.strerror or error}.") from error
    if len(raw) > SIZE_LIMIT:
        raise Unreadable(0, f"The file is larger than {SIZE_LIMIT // 1024} KB; split the flow.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Unreadable(line, "The file is not UTF-8; save it with that encoding.") from error
    return parse(text)


def parse(text: str) -> Document:
    """Return the document written in a text, or raise Unreadable."""
    if not text.strip():
        raise Unreadable(0, "The file is empty.")
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.YAMLError as error:
        raise Unreadable(_line_of(error), f"This is no YAML: {_problem_of(error, text)}") from error
    if builder.root is None:
        raise Unreadable(0, "The file has no content.")
    if not isinstance(builder.root, Mapping):
        raise Unreadable(builder.root.line, "A flow is a mapping of keys such as id, title, nodes.")
    return Document(builder.root, tuple(builder.repeated))


def _line_of(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark is not None else 0


def _problem_of(error: yaml.YAMLError, text: str) -> str:
    line = _line_of(error)
    lines = text.splitlines()
    if 0 < line <= len(lines):
        start = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
        if "\t" in start:
            return "indent with spaces, not with a tab."
    words = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    return f"{words}."


class _Builder:
    """Puts events together without recursion."""

    def __init__(self) -> None:
        self.root: Value | None = None
        self.repeated: list[tuple[int, str]] = []
        self._stack: list[Sequence | Mapping] = []
        self._keys: list[Scalar | None] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise Unreadable(line, f"Tags ({tag}) are not allowed; write plain text.")
        if isinstance(event, yaml.ScalarEvent):
            self._place(Scalar(line, event.value, plain=event.implicit[0]))
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(Mapping(line, {}, {}))
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(Sequence(line, []))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._stack.pop()
            self._keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise Unreadable(line, f"Aliases (*{event.anchor}) are not allowed; write it out.")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Unreadable(line, "A file holds one flow; this is a second document.")

    def _open(self, value: Sequence | Mapping) -> None:
        if len(self._stack) >= DEPTH_LIMIT:
            raise Unreadable(value.line, f"Nested deeper than {DEPTH_LIMIT} levels.")
        self._place(value)
        self._stack.append(value)
        self._keys.append(None)

    def _place(self, value: Value) -> None:
        if not self._stack:
            self.root = value
            return
        holder = self._stack[-1]
        if isinstance(holder, Sequence):
            holder.items.append(value)
            return
        key = self._keys[-1]
        if key is None:
            if not isinstance(value, Scalar):
                raise Unreadable(value.line, "A key must be a word.")
            self._keys[-1] = value
            return
        self._keys[-1] = None
        if key.text in holder.entries:
            self.repeated.append((key.line, key.text))
            return
        holder.entries[key.text] = value
        holder.lines[key.text] = key.line
