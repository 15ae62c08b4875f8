"""Secrets that are known by what is said around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowpilot_desktop.core.redaction.reading import Reading

_LABELLED = re.compile(
    r"(?:password|passwort|passwd|pwd|\bpw|\bpass)\s{0,4}(?:[:=]|is)\s{0,4}(\S{1,200})"
)
_NAME = re.compile(r"pass(?:word|wd)|secret|api_?key|token")


def found(reading: Reading) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each secret."""
    for match in _LABELLED.finditer(reading.folded):
        if is_secret_value(match[1]):
            yield *match.span(1), "password"


def secret_name(name: str) -> str | None:
    """Return the kind of secret that a field of this name holds, or None."""
    return "password" if _NAME.search(name.lower()) else None


def is_secret_value(value: str) -> bool:
    """Tell whether what stands under a secret's name is a value at all."""
    return value.strip().lower() not in {"", "expired", "incorrect", "none", "null"}
