"""Claude, through the vendor's SDK.

``request`` says what is sent, so that the cached prefix stays whole; ``reply`` takes the stream of
events apart; ``failures`` turns everything that can go wrong into our errors, once; ``adapter``
joins them to a ``core.ports.Model``. The SDK is the slowest import of the app and is loaded on
first use, or by ``load`` in an idle moment.
"""

from __future__ import annotations

from flowpilot_desktop.core.ports import Model
from flowpilot_desktop.llm.claude.adapter import Claude, load
from flowpilot_desktop.llm.registry import ModelSettings

__all__ = ["Claude", "create", "load"]


def create(settings: ModelSettings, key: str) -> Model:
    """Return Claude with these settings and this key, not yet connected."""
    return Claude(settings, key)
