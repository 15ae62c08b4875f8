"""ConnectWise's little query language, as far as a client of ours speaks it.

``summary contains "vpn" and (closedFlag = False or status/id in (1,2))`` becomes a predicate over
a record. Strings compare without regard to case, as the server's database does. There is no escape
inside a literal. ``like`` is accepted and ignored, because that is what a real tenant was seen to
do: a client that relies on it gets everything.
"""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]
Predicate = Callable[[Record], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"[^"]*"|'[^']*')
      | (?P<date>\[[^\]]*\])
      | (?P<number>-?\d+(?:\.\d+)?(?![\w/]))
      | (?P<operator><=|>=|!=|=|<|>)
      | (?P<mark>[(),])
      | (?P<word>[A-Za-z_][\w/]*)
    )""",
    re.VERBOSE,
)


class ConditionError(Exception):
    """The condition can't be understood; the server answers 400 ApiFindCondition."""


def parse_conditions(text: str, fields: Collection[str]) -> Predicate:
    """Return the predicate of a condition; fields that are not in `fields` are refused."""
    parser = _Parser(_tokens(text), frozenset(fields))
    predicate = parser.either()
    parser.expect_end()
    return predicate


def value_at(record: Record, path: str) -> Any:
    """Return what stands at ``board/name`` in a record, None where the way breaks off."""
    value: Any = record
    for part in path.split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ConditionError(f"Unexpected text at {position}")
        kind = match.lastgroup or ""
        tokens.append((kind, match.group(kind)))
        position = match.end()
    return tokens


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).astimezone(UTC) if "T" in value else value.lower()
        except ValueError:
            return value.lower()
    return value


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], fields: frozenset[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._fields = fields

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._word("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda record: any(part(record) for part in parts)

    def expect_end(self) -> None:
        if self._at != len(self._tokens):
            raise ConditionError(f"Unexpected {self._tokens[self._at][1]}")

    def _both(self) -> Predicate:
        parts = [self._single()]
        while self._word("and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda record: all(part(record) for part in parts)

    def _single(self) -> Predicate:
        if self._word("not"):
            inner = self._single()
            return lambda record: not inner(record)
        if self._mark("("):
            inner = self.either()
            if not self._mark(")"):
                raise ConditionError("A parenthesis is not closed")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        kind, path = self._next()
        if kind != "word" or path.split("/")[0] not in self._fields:
            raise ConditionError(f"Unknown field {path}")
        negated = self._word("not")
        predicate = self._operation(path)
        return (lambda record: not predicate(record)) if negated else predicate

    def _operation(self, path: str) -> Predicate:
        if self._word("contains"):
            wanted = str(self._literal()).lower()
            return lambda record: wanted in str(value_at(record, path) or "").lower()
        if self._word("like"):
            self._literal()
            return lambda _record: True
        if self._word("in"):
            choices = self._choices()
            return lambda record: _comparable(value_at(record, path)) in choices
        kind, operator = self._next()
        if kind != "operator":
            raise ConditionError(f"Unknown operator {operator}")
        wanted_value = _comparable(self._literal())
        return _compared(path, operator, wanted_value)

    def _choices(self) -> list[Any]:
        if not self._mark("("):
            raise ConditionError("A list begins with a parenthesis")
        choices = [_comparable(self._literal())]
        while self._mark(","):
            choices.append(_comparable(self._literal()))
        if not self._mark(")"):
            raise ConditionError("A list is not closed")
        return choices

    def _literal(self) -> Any:
        kind, text = self._next()
        if kind == "string":
            return text[1:-1]
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "date":
            try:
                moment = datetime.fromisoformat(text[1:-1])
            except ValueError as error:
                raise ConditionError(f"Not a date: {text}") from error
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
        if kind == "word" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise ConditionError(f"Not a value: {text}")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise ConditionError("The condition ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self, word: str) -> bool:
        return self._take("word", word)

    def _mark(self, mark: str) -> bool:
        return self._take("mark", mark)

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens):
            found_kind, found = self._tokens[self._at]
            if found_kind == kind and found.lower() == text:
                self._at += 1
                return True
        return False


def _compared(path: str, operator: str, wanted: Any) -> Predicate:
    if operator == "=":
        return lambda record: bool(_comparable(value_at(record, path)) == wanted)
    if operator == "!=":
        return lambda record: bool(_comparable(value_at(record, path)) != wanted)
    orders: dict[str, Callable[[Any, Any], bool]] = {
        "<": lambda left, right: left < right,
        "<=": lambda left, right: left <= right,
        ">": lambda left, right: left > right,
        ">=": lambda left, right: left >= right,
    }
    order = orders[operator]

    def predicate(record: Record) -> bool:
        value = _comparable(value_at(record, path))
        try:
            return value is not None and order(value, wanted)
        except TypeError as error:
            raise ConditionError(f"{path} can't be compared with this value") from error

    return predicate
