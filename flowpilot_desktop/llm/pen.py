"""Writes what a model is told: our words as they are, everybody else's in blocks, all redacted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flowpilot_desktop.core.redaction import JsonValue, RedactedText, Redactor
from flowpilot_desktop.llm.fence import block_parts, harmless, parted


@dataclass(frozen=True, slots=True)
class Block:
    """A text from a person, to be fenced."""

    label: str
    text: str
    limit: int = 12_000


class Pen:
    """Writes pieces as one redacted text whose blocks of data are whole."""

    def __init__(self, redactor: Redactor, mark: str) -> None:
        self._redactor = redactor
        self._mark = mark

    def write(self, pieces: Iterable[str | Block]) -> RedactedText:
        """Return the pieces as one text; a block that is not whole after redaction is left out."""
        pieces = list(pieces)
        blocks = sum(isinstance(piece, Block) and bool(piece.text.strip()) for piece in pieces)
        sealed = self._redactor.redact_parts(self._parts(pieces))
        if self._has_whole_blocks(sealed.text, blocks):
            return sealed
        words = [piece for piece in pieces if isinstance(piece, str)]
        return self._redactor.redact_parts([*words, "(A text was left out: it can't be masked.)\n"])

    def _parts(self, pieces: Iterable[str | Block]) -> Iterator[str]:
        for piece in pieces:
            if isinstance(piece, str):
                # A block begins with a line of its own, whatever is masked before it.
                words = piece.rstrip("\n")
                yield words.replace(self._mark, "[…]")
                yield piece[len(words) :]
            elif text := harmless(piece.text, piece.limit):
                yield from block_parts(piece.label, text, self._mark)

    def _has_whole_blocks(self, text: str, count: int) -> bool:
        outside, inside = parted(text)
        lines = [inside.count(f"<<<{word} {self._mark}") for word in ("DATA", "END")]
        return self._mark not in outside and max(lines) <= count and lines[0] == lines[1]

    def write_json(self, value: JsonValue) -> RedactedText:
        """Return a structure as JSON whose every text was redacted by itself."""
        return self._redactor.redact_json(value)
