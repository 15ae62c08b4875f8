"""A text as the detectors see it: disguises undone, placeholders blanked, positions kept."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

KINDS = (
    "password",
    "passphrase",
    "PIN",
    "password hash",
    "API key",
    "token",
    "secret",
    "cookie",
    "private key",
    "connection key",
    "recovery key",
    "Wi-Fi key",
    "SNMP community",
    "licence key",
    "one-time seed",
    "one-time code",
    "card number",
    "card code",
    "social security number",
    "bank account",
)
"""Every kind of secret there is a placeholder for."""

PLACEHOLDER = re.compile(
    r"\[(" + "|".join(sorted(map(re.escape, KINDS), key=len, reverse=True)) + r") (\d{1,4})\]"
)
Span: TypeAlias = tuple[int, int, str]
"""Start, end and kind of a secret."""

BLANK = "\x00"
"""What stands for each character of a placeholder while detectors read."""

# Characters that show nothing and can split a key word in two.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef]+"
)
_SAME_LENGTH = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},  # full-width forms
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), "-"),
    **dict.fromkeys((0x2018, 0x2019, 0x201A, 0x201B, 0x2032), "'"),
    **dict.fromkeys((0x201C, 0x201D, 0x201E, 0x201F, 0x2033, 0xAB, 0xBB), '"'),
    0x2028: "\n",
    0x2029: "\n",
    0x85: "\n",
    0x130: "i",  # its lower case is two characters, and positions must hold
}


@dataclass(frozen=True, slots=True)
class Reading:
    """`plain` keeps upper and lower case, `folded` is lower case; both have equal positions.

    `original` returns the position in the text that was read, for a position in the reading.
    """

    plain: str
    folded: str
    original: Callable[[int], int]

    def windows(
        self, literals: Iterable[str], before: int, after: int
    ) -> Iterator[tuple[int, int]]:
        """Yield disjoint stretches around the places where a literal stands, in order.

        Looking for a literal is a hundred times faster than trying a pattern everywhere.
        """
        folded = self.folded
        near: list[tuple[int, int]] = []
        for literal in literals:
            place = folded.find(literal)
            while place >= 0:
                # Where a literal is frequent, one step covers all of a stretch.
                last = folded.rfind(literal, place, place + after)
                near.append((place - before, last + after))
                place = folded.find(literal, last + len(literal))
        near.sort()
        low, high = 0, -1
        for start, end in near:
            if start > high:
                if high >= 0:
                    yield low, high
                low = max(0, start)
            high = max(high, end)
        if high >= 0:
            yield low, min(high, len(folded))


def read(text: str) -> Reading:
    """Read a text. Linear in its length; plain ASCII costs one copy."""
    # A NUL of the text's own must not pass for a placeholder.
    plain = text.replace(BLANK, "\ufffd")
    if "[" in plain:
        plain = PLACEHOLDER.sub(lambda match: BLANK * len(match[0]), plain)
    if plain.isascii():
        return Reading(plain, plain.lower(), int)
    plain = plain.translate(_SAME_LENGTH)
    removed = list(_INVISIBLE.finditer(plain))
    if not removed:
        return Reading(plain, plain.lower(), int)
    kept_starts: list[int] = [0]
    shifts: list[int] = [0]
    gone = 0
    for match in removed:
        gone += match.end() - match.start()
        kept_starts.append(match.end() - gone)
        shifts.append(gone)
    plain = _INVISIBLE.sub("", plain)

    def original(position: int) -> int:
        return position + shifts[bisect_right(kept_starts, position) - 1]

    return Reading(plain, plain.lower(), original)
