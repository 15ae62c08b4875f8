"""Where the files that are no code lie: flows, prompts, style, icons, translations.

Three arrangements, one function:

- a frozen application unpacks them beside itself (``sys._MEIPASS``);
- an installed wheel carries them inside the package, in ``flowpilot_desktop/resources``;
- a checkout has them at its root, in ``resources``.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

_FOLDER = "resources"


@cache
def root() -> Path:
    """Return the folder of all resources, which exists; FileNotFoundError for a broken install."""
    package = Path(__file__).resolve().parent
    frozen = getattr(sys, "_MEIPASS", None)
    candidates = [
        *([Path(frozen) / package.name / _FOLDER, Path(frozen) / _FOLDER] if frozen else []),
        package / _FOLDER,
        package.parent / _FOLDER,
    ]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"No folder {_FOLDER!r} was installed with FlowPilot near {package}")


def path(*parts: str) -> Path:
    """Return the path of a resource, such as ``path("prompts", "diagnosis.md")``."""
    return root().joinpath(*parts)
