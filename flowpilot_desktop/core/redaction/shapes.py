"""Secrets that are known by their own form."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowpilot_desktop.core.redaction.reading import Reading

_JWT = re.compile(r"\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?")
_PEM = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^-]{0,20000}(?:-----END [A-Z ]{0,40}-----)?"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:([^\s/@]{1,200})@")


def found(reading: Reading) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each secret."""
    for pattern, kind in ((_JWT, "token"), (_PEM, "private key")):
        for match in pattern.finditer(reading.plain):
            yield *match.span(), kind
    for match in _URL.finditer(reading.folded):
        yield *match.span(1), "password"
