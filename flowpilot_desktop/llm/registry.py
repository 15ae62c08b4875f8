"""The providers of language models by name, and what a technician can set about one.

Nothing of a provider is imported before it is asked for: ``warm_up`` brings the slowest import of
the app forward to an idle moment, on a thread of its own. A new provider is one module with a
``create`` and one line in ``PROVIDERS``.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.ports import Model

CLAUDE = "claude"
PROVIDERS: Mapping[str, str] = {CLAUDE: "flowpilot_desktop.llm.claude"}

MODEL = "claude-sonnet-5-5"
FAST_MODEL = "claude-haiku-5-5"
EFFORTS = ("", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two signs of life, for a whole answer, for a fast call."""

    connect: float = 10.0
    stall: float = 60.0
    whole: float = 240.0
    fast: float = 30.0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What can be set about a provider.

    An empty ``base_url`` is the vendor's own; an empty ``effort`` the model's own. ``cache_ttl`` is
    ``5m`` or ``1h``: people take minutes for a step, so an hour pays. ``patience`` is how many
    seconds a server may ask to wait before the technician is told instead.
    """

    model: str = MODEL
    fast_model: str = FAST_MODEL
    base_url: str = ""
    effort: str = "medium"
    max_tokens: int = 12_000
    cache_ttl: str = "1h"
    patience: float = 8.0
    timeouts: Timeouts = Timeouts()


class _Provider(Protocol):
    def create(self, settings: ModelSettings, key: str) -> Model: ...
    def load(self) -> None: ...


def create(settings: ModelSettings, key: str, provider: str = CLAUDE) -> Model:
    """Return the provider's model; nothing is imported or connected before its first use."""
    return _provider(provider).create(settings, key)


def warm_up(provider: str = CLAUDE) -> threading.Thread:
    """Import the provider's library on a daemon thread and return the thread."""
    thread = threading.Thread(
        target=lambda: _provider(provider).load(), name=f"warm-up-{provider}", daemon=True
    )
    thread.start()
    return thread


def _provider(name: str) -> _Provider:
    module = PROVIDERS.get(name)
    if module is None:
        raise InvalidInput(f"There is no provider of models called {name!r}.")
    return cast("_Provider", importlib.import_module(module))
