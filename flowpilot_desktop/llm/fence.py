"""Blocks of data: the only place where text from strangers stands in what a model reads.

Ticket text, notes, logs, file names, what a technician typed or pasted and what a teammate wrote
may all carry instructions that were meant for the model. Each such text goes into a block::

    <<<DATA 3f9a61c07b2e ticket>>>
    …
    <<<END 3f9a61c07b2e>>>

The instructions say that nothing between the two lines is an instruction. Three things keep a text
from breaking out: the boundary is derived from the session's random id, which no ticket author
knows, and is the same after every restart; the boundary and everything that looks like such a line
is defused inside; and characters that hide, reorder or smuggle text are removed before.
"""

from __future__ import annotations

import hashlib
import re

from flowpilot_desktop.core.ticket import cleaned

_OPENS = "<<<DATA"
_CLOSES = "<<<END"
# What ``cleaned`` keeps for scripts and emoji, but what can carry hidden text in long runs: fillers
# that draw nothing go; joiners and variation selectors may stand once after a visible character.
_FILLERS = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U000e0100-\U000e01ef]")
_JOINERS = re.compile("([\u200c\u200d\ufe00-\ufe0f])[\u200c\u200d\ufe00-\ufe0f]+")
_ANGLES = re.compile("[<\uff1c\ufe64\u2039\u00ab\u27e8\u3008\u276e]{3,}")
_CLOSING_ANGLES = re.compile("[>\uff1e\ufe65\u203a\u00bb\u27e9\u3009\u276f]{3,}")
_LABEL = re.compile(r"[^a-z0-9 ]+")
_BLOCK = re.compile(
    r"^<<<DATA (?P<boundary>[0-9a-f]{12}) [a-z0-9 ]+>>>\n.*?^<<<END (?P=boundary)>>>\n?",
    re.DOTALL | re.MULTILINE,
)


def boundary(session_id: str) -> str:
    """Return the boundary of a session's blocks: twelve hexadecimal digits, always the same."""
    return hashlib.sha256(f"data of {session_id}".encode()).hexdigest()[:12]


def _defused(text: str) -> str:
    text = _ANGLES.sub(lambda found: "\u2039" * len(found[0]), text)
    return _CLOSING_ANGLES.sub(lambda found: "\u203a" * len(found[0]), text)


def harmless(text: str, limit: int) -> str:
    """Return a text from a stranger without hidden characters and block edges, cut to a limit.

    The first two thirds and the last third are kept, since logs tell most at their ends.
    """
    text = _defused(_JOINERS.sub(r"\1", _FILLERS.sub("", cleaned(text, len(text))))).strip()
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[… {left_out:,} characters left out …]\n{text[-tail:]}"


def block_parts(label: str, text: str, session_boundary: str) -> tuple[str, str, str]:
    """Return a block's first line, its text with everything defused, and its last line.

    ``label`` says what it is, in lower-case letters, digits and spaces.
    """
    text = _defused(text.replace(session_boundary, "[…]"))
    label = _LABEL.sub(" ", label.lower()).strip() or "text"
    return (
        f"{_OPENS} {session_boundary} {label}>>>\n",
        text,
        f"\n{_CLOSES} {session_boundary}>>>\n",
    )


def fenced(label: str, text: str, session_boundary: str) -> str:
    """Return the text as a block of data; nothing for an empty text."""
    return "".join(block_parts(label, text, session_boundary)) if text else ""


def parted(text: str) -> tuple[str, str]:
    """Return what stands outside blocks of data, and the blocks, each in their order."""
    blocks = "".join(found[0] for found in _BLOCK.finditer(text))
    return _BLOCK.sub("", text).strip(), blocks.strip()
