"""Counted nouns: the one place that knows that there is one file and there are two files."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular for one: "1 file", "2,000 files".

    ``plural`` is needed only where an s does not make it.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
