"""What tokens cost, in one table, and the cost of a step in micro-dollars.

Prices are US dollars per million tokens, as the vendor publishes them; a technician whose contract
differs overrides them in the settings. A dollar per million tokens is a micro-dollar per token, so
the arithmetic stays in whole numbers until the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from flowpilot_desktop.core.session import Usage

MICRO = 1_000_000
"""Micro-dollars in a dollar."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens. ``cache_write`` is that of the one-hour cache."""

    input: float
    output: float
    cache_write: float
    cache_read: float


# https://platform.claude.com/docs/en/about-claude/pricing, one-hour cache writes.
PRICES: Mapping[str, Price] = {
    "claude-fable-5": Price(10.0, 50.0, 20.0, 1.0),
    "claude-fable-5-1": Price(10.0, 50.0, 20.0, 0.25),
    "claude-opus-5-5": Price(4.0, 20.0, 8.0, 0.20),
    "claude-opus-5": Price(5.0, 25.0, 10.0, 0.50),
    "claude-opus-4": Price(5.0, 25.0, 10.0, 0.50),
    "claude-sonnet-5-5": Price(2.0, 10.0, 4.0, 0.10),
    "claude-sonnet-5": Price(2.0, 10.0, 4.0, 0.20),
    "claude-sonnet-4": Price(3.0, 15.0, 6.0, 0.30),
    "claude-haiku-5-5": Price(0.10, 0.50, 0.20, 0.01),
    "claude-haiku-4-5": Price(1.0, 5.0, 2.0, 0.10),
}
_DEAREST = Price(10.0, 50.0, 20.0, 1.0)
_LONG_PROMPT = 100_000
_LONG_PROMPT_FACTORS: Mapping[str, float] = {"claude-haiku-5-5": 5.0}
"""Models whose every token costs more once the prompt is longer than ``_LONG_PROMPT`` tokens."""


def price_of(model: str, overrides: Mapping[str, Price] | None = None) -> Price | None:
    """Return the price of a model, by its longest known beginning, or None when unknown."""
    table = {**PRICES, **(overrides or {})}
    known = [name for name in table if model == name or model.startswith(f"{name}-")]
    return table[max(known, key=len)] if known else None


def cost_micros(model: str, usage: Usage, overrides: Mapping[str, Price] | None = None) -> int:
    """Return what a call cost in micro-dollars, rounded up.

    An unknown model counts as the dearest, so that a budget rather warns too early.
    """
    price = price_of(model, overrides) or _DEAREST
    is_ours = price_of(model) == price  # else a contract's, for prompts of any length
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    cost = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_write_tokens * price.cache_write
        + usage.cache_read_tokens * price.cache_read
    )
    if prompt > _LONG_PROMPT and is_ours:
        cost *= next((f for name, f in _LONG_PROMPT_FACTORS.items() if model.startswith(name)), 1.0)
    return math.ceil(round(cost, 6))


def parse_overrides(text: str) -> dict[str, Price]:
    """Return the prices that a setting's lines name: ``model input output write read``.

    Empty lines and lines that begin with ``#`` are left out; ValueError names the first bad line.
    """
    prices: dict[str, Price] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            figures = [float(word) for word in words[1:]]
            if any(not math.isfinite(figure) or figure < 0 for figure in figures):
                raise ValueError(line)  # noqa: TRY301 - one answer for every kind of bad line
            prices[words[0]] = Price(*figures)
        except (TypeError, ValueError):
            raise ValueError(
                f"Line {number} is not a price: model, then US dollars per million tokens for "
                "input, output, cache write and cache read."
            ) from None
    return prices
