"""What holds for every test: where it may reach, which loop it runs on, what it leaves behind.

**Isolation** happens while this module is imported, before Qt, keyring or any module of ours is:
the session gets a home of its own, the environment forgets every address, token and desktop of the
person who runs it, keyring refuses, Qt draws off screen, the clock stands in Chicago (so that a
forgotten time zone shows), and sockets reach no further than this machine. What a test wants on
top (a real secret service, a bus, an Xvfb) it starts for itself and hands to a subprocess.

**Event loops**: an async test runs on the real Qt loop (qasync) when it asks for `qapp`, directly
or through another fixture, or lives in one of `QT_FOLDERS`; on plain asyncio otherwise.

**What is left behind** fails the test that left it: a top-level widget, a running QTimer or
animation, a thread that is not a daemon, an attempt to reach the network, a warning, a Qt warning,
a log record of level ERROR. A test that provokes errors asks for `logged_errors` and looks at them.
"""

import asyncio
import gc
import ipaddress
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

gc.disable()  # see _garbage_on_this_thread_alone

if sys.platform == "win32":  # how build/processes.py asks for the failures so far
    signal.signal(signal.SIGBREAK, signal.default_int_handler)

QT_FOLDERS = frozenset({"app", "e2e", "ui", "viewmodels"})

_FORGOTTEN_PREFIXES = (
    "ANTHROPIC_",
    "CLAUDE_",
    "CONNECTWISE_",
    "CW_",
    "DBUS_",
    "FLOWPILOT_",
    "PG",
    "QML",
    "QSG_",
    "QT_",
    "XDG_",
)
_FORGOTTEN_NAMES = frozenset(
    {
        "ALL_PROXY",
        "DISPLAY",
        "FTP_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "WAYLAND_DISPLAY",
    }
)


def _isolated_environment(home: Path) -> None:
    """Makes the process forget whose machine this is; `home` becomes the only home it knows."""
    platform = os.environ.get("QT_QPA_PLATFORM", "offscreen")
    screen = {name: os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")}
    for name in list(os.environ):
        if name.startswith(_FORGOTTEN_PREFIXES) or name.upper() in _FORGOTTEN_NAMES:
            del os.environ[name]
    if platform != "offscreen":  # somebody wants to watch
        os.environ.update({name: value for name, value in screen.items() if value})
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home / "AppData" / "Roaming",
        "LOCALAPPDATA": home / "AppData" / "Local",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_RUNTIME_DIR": home / "run",
        "XDG_STATE_HOME": home / ".local" / "state",
    }
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(folder)
    folders["XDG_RUNTIME_DIR"].chmod(0o700)  # or Qt complains
    os.environ.update(
        LANG="C.UTF-8",
        LC_ALL="C.UTF-8",
        PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring",
        QT_QPA_PLATFORM=platform,
        TZ="America/Chicago",
    )
    if hasattr(time, "tzset"):
        time.tzset()


def _is_local(host: object) -> bool:
    """Whether a socket address stays on this machine; names count as local only by their text."""
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return text.endswith(".localhost") or text == socket.gethostname()
    return address.is_loopback or address.is_unspecified


class NetworkRefusedError(Exception):
    """A test tried to leave the machine; no OSError, lest somebody take it for being offline."""


_refused: list[str] = []


def _refuse_unless_local(host: object, doing: str) -> None:
    if not _is_local(host):
        _refused.append(f"{doing} {host!r}")
        raise NetworkRefusedError(
            f"{doing} {host!r} would leave this machine. Tests reach 127.0.0.1 only: use a "
            "simulator of tests/simulators, or a closed port of this machine to be offline."
        )


def _cut_off_network() -> None:
    """Lets sockets and name look-ups reach this machine and nothing else, for the whole process."""
    originals = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}

    def guarded(name: str) -> Callable[..., Any]:
        original = originals[name]

        def method(sock: socket.socket, *args: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                try:
                    _refuse_unless_local(args[-1][0], name)
                except NetworkRefusedError:
                    sock.close()  # libraries close it for an OSError only
                    raise
            return original(sock, *args)

        return method

    for name in originals:
        setattr(socket.socket, name, guarded(name))

    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            ipaddress.ip_address(host)  # a literal: nothing is asked; connecting is refused above
        except ValueError:
            _refuse_unless_local(host, "looking up")
        return look_up(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


_home = Path(tempfile.mkdtemp(prefix="flowpilot-"))
_home.chmod(0o711)  # a database server started for another user walks through it
_isolated_environment(_home)
_cut_off_network()

hypothesis.settings.register_profile(
    "ci", derandomize=True, max_examples=50, deadline=None, database=None, print_blob=True
)
hypothesis.settings.register_profile("dev", max_examples=100, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_unconfigure() -> None:
    """Removes the session's home."""
    shutil.rmtree(_home, ignore_errors=True)


# --- event loops -----------------------------------------------------------------------------


def _qt_loop() -> asyncio.AbstractEventLoop:
    """Returns a new qasync loop on the one QApplication, which it makes if nobody has yet."""
    import qasync
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication(["flowpilot-tests"])
    loop: asyncio.AbstractEventLoop = qasync.QEventLoop(app)
    return loop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Chooses the loop of an async test: qasync if it needs Qt, plain asyncio otherwise."""
    if QT_FOLDERS.intersection(item.path.parts[len(ROOT.parts) :]) or "qapp" in getattr(
        item, "fixturenames", ()
    ):
        return {"qt": _qt_loop}
    return {"asyncio": asyncio.new_event_loop}


# --- what is left behind ---------------------------------------------------------------------


class _ErrorRecords(logging.Handler):
    """Keeps the log records of level ERROR and above that pass the root logger."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def _error_records(request: pytest.FixtureRequest) -> Iterator[list[logging.LogRecord]]:
    handler = _ErrorRecords()
    logging.getLogger().addHandler(handler)
    yield handler.records
    logging.getLogger().removeHandler(handler)
    if handler.records and "logged_errors" not in request.fixturenames:
        lines = "\n".join(f"  {r.name}: {r.getMessage()}" for r in handler.records)
        pytest.fail(
            f"The test logged errors that nobody expected:\n{lines}\n"
            "Mend the cause, or ask for the fixture `logged_errors` and assert what it holds.",
            pytrace=False,
        )


@pytest.fixture
def logged_errors(_error_records: list[logging.LogRecord]) -> list[logging.LogRecord]:
    """The ERROR records of this test so far; whoever asks for it looks at them himself."""
    return _error_records


_started: weakref.WeakSet[Any] = weakref.WeakSet()


def _remember_what_runs() -> None:
    """Notes every QTimer and animation that is started, so that what still runs can be found."""
    from PySide6.QtCore import QAbstractAnimation, QTimer

    def noting(original: Callable[..., Any]) -> Callable[..., Any]:
        def start(self: Any, *args: Any, **kwargs: Any) -> Any:
            _started.add(self)
            return original(self, *args, **kwargs)

        return start

    for kind in (QTimer, QAbstractAnimation):
        kind.start = noting(kind.start)  # type: ignore[method-assign]  # the only place to see it


def _left_running() -> list[str]:
    import shiboken6
    from PySide6.QtCore import QTimer

    def runs(thing: Any) -> bool:
        if not shiboken6.isValid(thing):
            return False
        if isinstance(thing, QTimer):
            return thing.isActive()
        return bool(thing.state() == thing.State.Running)

    return [repr(thing) for thing in list(_started) if runs(thing)]


def _delete_what_waits() -> None:
    from PySide6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def _windows() -> list[Any]:
    widgets = sys.modules.get("PySide6.QtWidgets")
    if widgets is None or widgets.QApplication.instance() is None:
        return []
    return [
        w for w in widgets.QApplication.topLevelWidgets() if w.objectName() != "qt_tooltip_label"
    ]


def _left_over(threads: set[threading.Thread], windows: set[int], running: set[str]) -> list[str]:
    """Names what lives now and did not live before; gives threads a second to end."""
    found = []
    for thread in set(threading.enumerate()) - threads:
        if not thread.daemon:
            thread.join(1)
            if thread.is_alive():
                found.append(f"thread {thread.name!r} is alive; join it, or make it a daemon")
    if any(id(window) not in windows for window in _windows()) or set(_left_running()) - running:
        _delete_what_waits()
        gc.collect()  # a cycle of Python references may be all that holds them
        _delete_what_waits()
    found += [
        f"window {window!r} is alive; qtbot.addWidget it, or delete its owner"
        for window in _windows()
        if id(window) not in windows
    ]
    found += [
        f"{thing} runs; give it a parent that dies, or stop it"
        for thing in set(_left_running()) - running
    ]
    return found


_COLLECT_EVERY = 40
_uncollected = [0]


@pytest.fixture(autouse=True)
def _garbage_on_this_thread_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collects garbage between tests, here: a collection on a worker could destroy a widget there.

    After every test of a window, for the next one must not meet what is left of it; after some of
    the others.
    """
    yield
    gc.disable()
    _uncollected[0] += 1
    is_window = bool({"app", "e2e", "ui"}.intersection(request.path.parts[len(ROOT.parts) :]))
    if is_window or _uncollected[0] >= _COLLECT_EVERY:
        _uncollected[0] = 0
        if is_window:
            _delete_what_waits()
        gc.collect()
        if is_window:
            _delete_what_waits()


@pytest.fixture(autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    threads = set(threading.enumerate())
    kept = _windows()  # the references keep the ids from being used again
    windows = {id(window) for window in kept}
    running = set(_left_running())
    _refused.clear()
    yield
    found = _left_over(threads, windows, running)
    found += [f"it tried to leave the machine: {attempt}" for attempt in _refused]
    if found:
        pytest.fail("The test left something behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(autouse=True, scope="session")
def _noted_timers() -> None:
    _remember_what_runs()
