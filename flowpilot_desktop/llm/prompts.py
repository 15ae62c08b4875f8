"""The instructions, as files in ``resources/prompts``, each known by a hash of its content.

A step keeps the version of the prompt that made it, so that it can be told later which words led
to which cards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from flowpilot_desktop.assets import path


@dataclass(frozen=True, slots=True)
class Prompt:
    """One file of instructions. ``version`` is its name and eight digits of its content's hash."""

    name: str
    text: str
    version: str


@cache
def prompt(name: str) -> Prompt:
    """Return the prompt of that name; FileNotFoundError when the installation lacks it."""
    text = path("prompts", f"{name}.md").read_text(encoding="utf-8").replace("\r\n", "\n").strip()
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:8]
    return Prompt(name, text, f"{name}-{digest}")
