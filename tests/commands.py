"""``flowpilot`` as somebody in a terminal meets it: a process, its words, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 90.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def arguments_of(profile: Path, *arguments: str, demo: bool = False) -> list[str]:
    """Return the command line that starts FlowPilot on a profile."""
    options = ["--profile", str(profile), *(["--demo"] if demo else [])]
    return [sys.executable, "-m", "flowpilot_desktop", *options, *arguments]


def flowpilot(
    profile: Path, *arguments: str, demo: bool = False, guard: tuple[str, ...] = ()
) -> Outcome:
    """Run a command to its end; ``guard`` is a program that starts it."""
    done = subprocess.run(
        [*guard, *arguments_of(profile, *arguments, demo=demo)],
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
