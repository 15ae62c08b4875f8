"""ConnectWise PSA (Manage) over its REST interface.

``site`` finds the API, ``wire`` carries requests and knows what every failure means, ``reading``
turns records into our nouns, ``conditions`` writes searches, ``permissions`` names the missing row
of a security role, and ``adapter`` puts them together as a `Psa`: tolerant in what it reads, strict
in what it sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowpilot_desktop.psa.connectwise.adapter import ConnectWisePsa

if TYPE_CHECKING:
    from flowpilot_desktop.core.ports import Clock, Psa
    from flowpilot_desktop.core.ticket import PsaConnection
    from flowpilot_desktop.psa.registry import PsaKeys, PsaOptions

__all__ = ["ConnectWisePsa", "create"]


def create(connection: PsaConnection, keys: PsaKeys, clock: Clock, options: PsaOptions) -> Psa:
    """Make an adapter; nothing is sent before its first call."""
    return ConnectWisePsa(connection, keys, clock, api_version=options.api_version)
