"""What the program can say about itself: its log, its crashes, its surroundings.

The log is a small rotating file in the profile folder. Every record passes the redaction gateway
before a handler sees it, and no module logs texts of tickets, teammates or models at all. A bug is
logged with its traceback and shown once per kind (``crash_kind``); the report that a technician can
copy is redacted too. Of a fault in a library, which no log survives, the interpreter itself writes
down where each thread was: places in the code, no words.
"""

from __future__ import annotations

import faulthandler
import hashlib
import locale
import logging
import platform
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from flowpilot_desktop import __version__
from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.private_folder import make_private

if TYPE_CHECKING:
    from flowpilot_desktop.core.redaction import RedactingFilter

log = logging.getLogger(__name__)

LOG_BYTES = 1_000_000
LOG_FILES = 5
FAULTS = "faults.log"
_CHATTY = (
    "alembic",
    "anthropic",
    "apscheduler",
    "asyncio",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "qasync",
)
_LIBRARIES = (
    "PySide6-Essentials",
    "qasync",
    "httpx",
    "anthropic",
    "SQLAlchemy",
    "keyring",
    "APScheduler",
    "psycopg",
)


class RedactingLate(logging.Filter):
    """The redaction gateway for a handler, imported with the first record that comes.

    The window need not wait for it. Without the gateway nothing passes but that something was said.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gateway: RedactingFilter | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place and let it pass."""
        if self._gateway is None:
            try:
                from flowpilot_desktop.core.redaction import RedactingFilter  # noqa: PLC0415 - when needed
            except ImportError:
                record.msg, record.args = "This could not be redacted and is left out", None
                record.exc_info = record.exc_text = record.stack_info = None
                return True
            self._gateway = RedactingFilter()
        return self._gateway.filter(record)


def start_logging(folder: Path, level: str = "info") -> Path:
    """Log to ``flowpilot.log`` in the folder, redacted; return the file."""
    make_private(folder)
    logging.raiseExceptions = False  # a full disk is told in the window, not on the terminal
    path = folder / "flowpilot.log"
    handler = RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", errors="replace"
    )
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(RedactingLate())
    logging.getLogger().addHandler(handler)
    set_log_level(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return path


def note_faults(folder: Path) -> None:
    """Have faults of the process noted in the folder of the logs, as long as it runs."""
    # Never closed: the handle is what is left to write with when all else is lost.
    faulthandler.enable((folder / FAULTS).open("ab"))


def last_fault(folder: Path) -> datetime | None:
    """Return when a fault was last noted in the folder of the logs, or None."""
    try:
        noted = (folder / FAULTS).stat()
    except OSError:
        return None
    return datetime.fromtimestamp(noted.st_mtime).astimezone() if noted.st_size else None


def set_log_level(level: str) -> None:
    """Log from now on what is at least this important: debug, info or warning."""
    logging.getLogger().setLevel(level.upper())


@dataclass(frozen=True, slots=True)
class Crash:
    """A bug that came to the surface: its kind (same traceback, same kind) and a safe report."""

    kind: str
    headline: str
    report: str


def crash_of(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> Crash:
    """Return what can be told of a bug; the report is redacted and holds no local variable."""
    frames = traceback.extract_tb(trace)
    places = "|".join(f"{frame.filename}:{frame.name}:{frame.lineno}" for frame in frames)
    digest = hashlib.sha256(f"{kind.__name__}|{places}".encode()).hexdigest()[:12]
    text = "".join(traceback.format_exception(kind, error, trace))
    facts = "\n".join(f"{name}: {value}" for name, value in versions().items())
    from flowpilot_desktop.core.redaction import Redactor  # noqa: PLC0415 - not before the window

    report = Redactor().redact(f"{text}\n{facts}").text
    return Crash(digest, f"{kind.__name__} in {frames[-1].name if frames else '?'}", report)


def watch_for_bugs(shown: Callable[[Crash], None]) -> Callable[[], None]:
    """Log every uncaught error and show each kind of bug once; return what ends the watch."""
    seen: set[str] = set()
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            before(kind, error, trace)
            return
        log.error("An unexpected error came to the surface", exc_info=(kind, error, trace))
        if isinstance(error, FlowPilotError):
            return
        crash = crash_of(kind, error, trace)
        if crash.kind not in seen:
            seen.add(crash.kind)
            shown(crash)

    def end() -> None:
        if sys.excepthook is hook:
            sys.excepthook = before

    sys.excepthook = hook
    return end


def versions() -> dict[str, str]:
    """Return the versions that matter when something is odd."""
    import sqlite3  # noqa: PLC0415 - not before the window
    from importlib import metadata  # noqa: PLC0415

    facts = {
        "FlowPilot": __version__,
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "SQLite": sqlite3.sqlite_version,
        "Locale": locale.getlocale()[0] or "C",
        "Time zone": "/".join(time.tzname),
    }
    for name in _LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "not found"
    return facts
