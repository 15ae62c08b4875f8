"""Which ticketing systems there are, and how an adapter for one is made.

A provider is one line in `PROVIDERS`. Its module is imported when it is first asked for, so that a
start without a PSA pays for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import cast

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.ports import Clock, Psa
from flowpilot_desktop.core.ticket import PsaConnection


@dataclass(frozen=True, slots=True, repr=False)
class PsaKeys:
    """The two halves of an API key. They come from the keyring and are held in memory only."""

    public: str
    private: str

    def __repr__(self) -> str:
        return "<PsaKeys>"


@dataclass(frozen=True, slots=True)
class PsaOptions:
    """What the settings say about talking to a PSA; empty means the adapter's own default.

    ``api_version`` pins ConnectWise's models; ``state_file`` is where the practice company keeps
    what was pushed to it; ``latency`` makes the practice company as slow as a real one, in seconds;
    ``technician`` is the e-mail address of the one whom its keys belong to.
    """

    api_version: str = ""
    state_file: Path | None = None
    latency: float = 0.0
    technician: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """A ticketing system that FlowPilot can talk to. Its module has a function ``create``."""

    title: str
    module: str
    needs_keys: bool = True


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "connectwise": Provider("ConnectWise PSA", "flowpilot_desktop.psa.connectwise"),
        "practice": Provider(
            "Practice company", "flowpilot_desktop.psa.practice", needs_keys=False
        ),
    }
)


def create(
    connection: PsaConnection,
    keys: PsaKeys | None,
    clock: Clock,
    options: PsaOptions | None = None,
) -> Psa:
    """Make the adapter for a connection; nothing is sent before its first call.

    Raises InvalidInput for a provider that is not in the registry or keys that are missing.
    """
    provider = PROVIDERS.get(connection.provider)
    if provider is None:
        raise InvalidInput(
            f"FlowPilot knows no ticketing system called “{connection.provider}”.",
            hint="Choose one in Settings → Integrations.",
        )
    if provider.needs_keys and keys is None:
        raise InvalidInput(
            f"The keys for {provider.title} are missing.",
            hint="Enter the public and the private key in Settings → Integrations.",
        )
    module = import_module(provider.module)
    return cast("Psa", module.create(connection, keys, clock, options or PsaOptions()))
