"""What FlowPilot is called wherever it is packed: names, version, programs; no library needed."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

NAME = "FlowPilot"
PUBLISHER = "ResolutionFlow"
IDENTIFIER = "com.resolutionflow.flowpilot"
"""What macOS knows the application by."""
WINDOWS_ID = "B5F0C6B4-6C0E-4C43-9A53-6E8C1D0E3A57"
"""What the Windows installer recognises an earlier installation by: it never changes."""

COMMAND = "flowpilot"
QUEUE_COMMAND = "flowpilot-queue"
WINDOWED = "flowpilotw"
"""Windows only: the program that opens the window and has no terminal."""


def version() -> str:
    """Returns the version, which stands in the package and nowhere else in the source."""
    source = (ROOT / "flowpilot_desktop" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    assert found is not None
    return found[1]
