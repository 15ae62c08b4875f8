"""The redactor: finds, numbers and replaces secrets, and is the only maker of `RedactedText`."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass
from typing import TypeAlias

from flowpilot_desktop.core.redaction import prose, shapes, values
from flowpilot_desktop.core.redaction.names import secret_name
from flowpilot_desktop.core.redaction.reading import PLACEHOLDER, Span, read

JsonValue: TypeAlias = (
    "Mapping[str, JsonValue] | Sequence[JsonValue] | str | int | float | bool | None"
)

_SEAL = object()
_PASSES = 8
_REPEAT_LENGTH = 6
"""Shorter secrets are not looked for outside the place that gave them away."""


@dataclass(frozen=True, slots=True)
class Masked:
    """One masked place, for the screen: what kind, and where, never what was there.

    `start` and `end` are positions in the redacted text, `line` counts from 1.
    """

    kind: str
    placeholder: str
    start: int
    end: int
    line: int

    @property
    def where(self) -> str:
        """The place in words."""
        return f"line {self.line}"


@dataclass(frozen=True, slots=True, repr=False)
class RedactedText:
    """A text that went through the gateway. Only `Redactor` makes it; adapters take nothing else.

    A stored text becomes a `RedactedText` again by redacting it again, which changes nothing.
    """

    text: str
    masked: tuple[Masked, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("Only the redaction gateway makes a RedactedText: Redactor.redact().")

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self.text)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return f"<RedactedText of {len(self.text)} characters, {len(self.masked)} masked>"


class Redactor:
    """Redacts everything that leaves one session, with one set of placeholders.

    The same value has the same placeholder as long as the redactor lives, numbered by kind in the
    order of first appearance. Values are remembered as keyed digests; the key dies with the
    redactor. May be used from several threads.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._placeholders: dict[bytes, str] = {}
        self._taken: dict[str, set[int]] = {}
        self._own: set[str] = set()
        self._repeat_lengths: set[int] = set()
        self._lock = threading.RLock()

    def redact(self, text: str) -> RedactedText:
        """Return the text with every secret that is recognised replaced by a placeholder."""
        with self._lock:
            self._reserve(text)
            spans = self._found(text)
            for _ in range(_PASSES):
                if not spans:
                    break
                text, places = self._replaced(text, spans)
                # A placeholder can bring words together that were apart: look around it again.
                spans = self._found_near(text, places)
            return RedactedText(text, self._masked(text), _SEAL)

    def redact_values(self, value: JsonValue) -> JsonValue:
        """Return a structure with every text in it redacted, keys included.

        What stands under a key such as ``password`` or ``api_key`` is masked whole, and so is the
        value of ``{"name": "password", "value": …}``.
        """
        if isinstance(value, str):
            return self.redact(value).text
        if isinstance(value, Mapping):
            named = secret_name(str(value.get("name") or value.get("key") or ""))
            return {
                self.redact(str(key)).text: self._redacted_under(str(key), item, named)
                for key, item in value.items()
            }
        if isinstance(value, Sequence):
            return [self.redact_values(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = self.redact(str(value)).text
            return value if shown == str(value) else shown
        return value

    def redact_json(self, value: JsonValue) -> RedactedText:
        """Return a structure as redacted JSON text."""
        text = json.dumps(self.redact_values(value), ensure_ascii=False)
        return RedactedText(text, self._masked(text), _SEAL)

    def redact_parts(self, parts: Iterable[str]) -> RedactedText:
        """Return parts as one text, each redacted by itself.

        No secret is looked for across the edge of a part, so a text that ends in "the password
        is" can't take away what follows. A value that a later part gives away is masked in all.
        """
        with self._lock:
            known = len(self._placeholders)
            texts = [self.redact(part).text for part in parts]
            if len(self._placeholders) > known and len(texts) > 1:
                texts = [self.redact(text).text for text in texts]
            text = "".join(texts)
            return RedactedText(text, self._masked(text), _SEAL)

    # How it is done

    def _redacted_under(self, key: str, value: JsonValue, named: str | None) -> JsonValue:
        kind = secret_name(key) or (named if key.lower() == "value" else None)
        if kind and isinstance(value, str | int | float) and not isinstance(value, bool):
            text = str(value)
            if values.is_talk(text):
                return self.redact_values(value)
            with self._lock:
                self._reserve(text)
                return self._placeholder(kind, text)
        if kind and isinstance(value, Sequence) and not isinstance(value, str):
            return [self._redacted_under(key, item, named) for item in value]
        return self.redact_values(value)

    def _found(self, text: str) -> list[Span]:
        """Return disjoint spans of the text, in order."""
        return self._settled([*_detected(text), *self._repeated(text)], text)

    def _found_near(self, text: str, places: Sequence[int]) -> list[Span]:
        """Return disjoint spans, in order: new ones near the places, known values anywhere."""
        spans: list[Span] = []
        for low, high in _neighbourhoods(text, places):
            spans += (
                (low + start, low + end, kind) for start, end, kind in _detected(text[low:high])
            )
        near = [span for span in spans if _is_near(span, places)]
        return self._settled([*near, *self._repeated(text)], text)

    def _settled(self, spans: list[Span], text: str) -> list[Span]:
        if not spans:
            return []
        kept = [match.span() for match in PLACEHOLDER.finditer(text)]
        return list(_apart(_joined(spans), kept, text))

    def _repeated(self, text: str) -> Iterator[Span]:
        """Yield places where a value already known as a secret stands again, without a label."""
        if not self._repeat_lengths:
            return
        shortest, longest = min(self._repeat_lengths), max(self._repeat_lengths)
        for match in _WORD.finditer(text):
            word = match[0]
            if len(word) < shortest or word.isalpha() or len(word) > longest + 8:
                continue
            for start, end in _cores(match, longest):
                if end - start not in self._repeat_lengths:
                    continue
                placeholder = self._placeholders.get(self._digest(text[start:end]))
                if placeholder is not None:
                    yield start, end, placeholder[1 : placeholder.rindex(" ")]
                    break

    def _replaced(self, text: str, spans: Iterable[Span]) -> tuple[str, list[int]]:
        """Return the text with placeholders, and where they stand."""
        pieces: list[str] = []
        places: list[int] = []
        position = length = 0
        for start, end, kind in spans:
            placeholder = self._placeholder(kind, text[start:end])
            length += start - position
            places.append(length)
            length += len(placeholder)
            pieces += (text[position:start], placeholder)
            position = end
        return "".join((*pieces, text[position:])), places

    def _placeholder(self, kind: str, value: str) -> str:
        digest = self._digest(value)
        known = self._placeholders.get(digest)
        if known is not None:
            return known
        taken = self._taken.setdefault(kind, set())
        number = next(number for number in range(1, len(taken) + 2) if number not in taken)
        taken.add(number)
        placeholder = f"[{kind} {number}]"
        self._placeholders[digest] = placeholder
        self._own.add(placeholder)
        if len(value) >= _REPEAT_LENGTH and _looks_strong(value) and not _SPACE.search(value):
            self._repeat_lengths.add(len(value))
        return placeholder

    def _digest(self, value: str) -> bytes:
        value = value.strip()
        if _GROUPED_DIGITS.fullmatch(value):
            value = re.sub(r"\D", "", value)
        return hashlib.blake2b(
            value.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16
        ).digest()

    def _reserve(self, text: str) -> None:
        """Keep numbers that stand in the text already from being given to another value."""
        for match in PLACEHOLDER.finditer(text):
            if match[0] not in self._own:
                self._taken.setdefault(match[1], set()).add(int(match[2]))

    def _masked(self, text: str) -> tuple[Masked, ...]:
        masked: list[Masked] = []
        line, counted = 1, 0
        for match in PLACEHOLDER.finditer(text):
            if match[0] in self._own:
                line += text.count("\n", counted, match.start())
                counted = match.start()
                masked.append(Masked(match[1], match[0], match.start(), match.end(), line))
        return tuple(masked)


def _detected(text: str) -> Iterator[Span]:
    """Yield what the detectors find, in positions of the text."""
    reading = read(text)
    for finder in (shapes.found, prose.found):
        for start, end, kind in finder(reading):
            if end > start:
                yield reading.original(start), reading.original(end - 1) + 1, kind


_REACH = 600
"""How far from its secret a detector looks, generously."""


def _neighbourhoods(text: str, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield disjoint stretches around the places, twice as wide as detectors look."""
    low = high = -1
    for place in places:
        if high < 0 or place - 2 * _REACH > high:
            if high >= 0:
                yield low, high
            low = max(0, place - 2 * _REACH)
        high = min(len(text), place + 2 * _REACH)
    if high >= 0:
        yield low, high


def _is_near(span: Span, places: Sequence[int]) -> bool:
    after = bisect_left(places, span[0])
    return any(
        abs(places[index] - span[0]) <= _REACH
        for index in (after - 1, after)
        if 0 <= index < len(places)
    )


_WORD = re.compile(r"[^\s]{6,256}")
_SPACE = re.compile(r"\s")
_GROUPED_DIGITS = re.compile(r"[\d \-\u2010-\u2015]{8,}")
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT_OR_SIGN = re.compile(r"[\W\d_]")
_OPENING = "\"'([{<`\u2018\u201c\u201e\u00ab"
_CLOSING = "\"')]}>`.,;:!?\u2019\u201d\u00bb"


def _looks_strong(word: str) -> bool:
    """Tell a mixture from a word or a number, which stand in many texts by chance."""
    return bool(_LETTER.search(word) and _DIGIT_OR_SIGN.search(word.strip(_OPENING + _CLOSING)))


def _cores(match: re.Match[str], longest: int) -> Iterable[tuple[int, int]]:
    """Yield a word and what is left of it without quotes and punctuation around it."""
    word, start, end = match[0], match.start(), match.end()
    first = len(word) - len(word.lstrip(_OPENING))
    last = len(word.rstrip(_CLOSING))
    for begin in {0, first}:
        for stop in range(len(word), max(last, len(word) - 4) - 1, -1):
            if 0 < stop - begin <= longest:
                yield start + begin, end - (len(word) - stop)


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Join overlapping spans; the longer one says the kind."""
    joined: list[Span] = []
    longest = 0
    for start, end, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        if joined and start < joined[-1][1]:
            first, last, known = joined[-1]
            if end - start > longest:
                longest, known = end - start, kind
            joined[-1] = (first, max(last, end), known)
        else:
            joined.append((start, end, kind))
            longest = end - start
    return joined


def _apart(spans: Iterable[Span], kept: Sequence[tuple[int, int]], text: str) -> Iterable[Span]:
    """Yield the spans without the placeholders inside them; bare punctuation is left alone."""
    index = 0
    for start, end, kind in spans:
        while index < len(kept) and kept[index][1] <= start:
            index += 1
        position, ahead = start, index
        while ahead < len(kept) and kept[ahead][0] < end:
            if _has_substance(text, position, kept[ahead][0]):
                yield position, kept[ahead][0], kind
            position = max(position, kept[ahead][1])
            ahead += 1
        if _has_substance(text, position, end):
            yield position, end, kind


def _has_substance(text: str, start: int, end: int) -> bool:
    return any(character.isalnum() for character in text[start:end])
