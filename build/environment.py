"""Makes a machine ready: the virtual environment in `.venv` and the libraries Qt and tests lean on.

`prepare` is what every verb of dev.py calls first. When nothing changed it compares one stamp,
starts the environment's interpreter once and asks dpkg once. Otherwise, under a lock that a second
dev.py waits for:

1. system packages, on Debian and Ubuntu: installed by apt-get as root, else named in a command;
2. the environment, made anew when its interpreter is gone or of another version, or when it has no
   stamp: then there is none, or its making was interrupted;
3. the locked requirements with their hashes, and a .pth file that makes the project importable;
4. the stamp, last of all.

Standard library only: this runs before there is anything else.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
WORK = ROOT / ".work"
LOCKED = ROOT / "requirements-dev.txt"

_BIN = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = _BIN / ("python.exe" if sys.platform == "win32" else "python")
_STAMP = VENV / "flowpilot-ready"

# A package that got a second name in a later release stands with both.
QT_PACKAGES = (
    "libbrotli1",
    "libdbus-1-3",
    "libegl1",
    "libfontconfig1",
    "libfreetype6",
    "libgl1",
    "libglib2.0-0|libglib2.0-0t64",
    "libgssapi-krb5-2",
    "libx11-6",
    "libx11-xcb1",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-image0",
    "libxcb-keysyms1",
    "libxcb-randr0",
    "libxcb-render-util0",
    "libxcb-render0",
    "libxcb-shape0",
    "libxcb-shm0",
    "libxcb-sync1",
    "libxcb-util1",
    "libxcb-xfixes0",
    "libxcb-xkb1",
    "libxcb1",
    "libxkbcommon-x11-0",
    "libxkbcommon0",
)
TEST_PACKAGES = (*QT_PACKAGES, "dbus", "git", "gnome-keyring", "postgresql", "tzdata", "xvfb")


class NotReadyError(Exception):
    """The machine lacks something that only its owner can add; the message says what to type."""


def prepare(packages: Sequence[str] = ()) -> None:
    """Brings system packages and virtual environment up to date; quick when they are.

    Raises NotReadyError with the command to type where it may not or cannot help itself.
    """
    if not missing_packages(packages) and _is_ready():
        return
    with _alone():
        if missing := missing_packages(packages):
            _install_packages(missing)
        if not _is_ready():
            _install_environment()


# --- system packages -------------------------------------------------------------------------


def missing_packages(wanted: Sequence[str]) -> list[str]:
    """The wanted Debian packages that are not installed; none where there is no dpkg."""
    if not wanted or shutil.which("dpkg-query") is None:
        return []
    names = [name for entry in wanted for name in entry.split("|")]
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *names],
        capture_output=True,
        text=True,
        check=False,  # a name that dpkg never heard of makes it exit 1 and answer the others
    )
    installed = {
        line.split()[1] for line in answer.stdout.splitlines() if line.startswith("installed ")
    }
    return [entry for entry in wanted if installed.isdisjoint(entry.split("|"))]


def _install_packages(missing: Sequence[str]) -> None:
    names = [entry.split("|")[0] for entry in missing]
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if sys.platform == "win32" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotReadyError(
            "Some system packages are missing. Nothing was changed. Please type this once, then "
            "try again:\n\n  sudo apt-get update && sudo " + " ".join(command)
        )
    print(f"Installing system packages, once: {' '.join(names)}", flush=True)
    lists = Path("/var/lib/apt/lists")
    if not any(lists.glob("*_Packages*")):
        _apt(["apt-get", "update"])
    if not _apt(command):  # the lists may be older than the archive
        _apt(["apt-get", "update"])
        if not _apt(command):
            raise NotReadyError(
                "apt-get could not install the system packages; its own words are above. "
                "When it works again, try again or type:\n\n  " + " ".join(command)
            )


def _apt(command: Sequence[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with_wait = [command[0], "-q", "-o", "DPkg::Lock::Timeout=300", *command[1:]]
    return subprocess.run(with_wait, env=environment, check=False).returncode == 0


# --- virtual environment ---------------------------------------------------------------------


def _fingerprint() -> str:
    """What the environment depends on: the locks, the Python version, the place, this recipe."""
    parts = (
        LOCKED.read_bytes().replace(b"\r\n", b"\n"),
        "{}.{}".format(*sys.version_info).encode(),
        str(ROOT).encode(),
        b"recipe 1",
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is_ready() -> bool:
    try:
        stamp = _STAMP.read_text(encoding="ascii")
    except OSError:
        return False
    return stamp == _fingerprint() and _venv_version() == sys.version_info[:2]


def _venv_version() -> tuple[int, ...] | None:
    """The version that the environment's interpreter tells, None when it does not start."""
    script = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [PYTHON, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(int(part) for part in answer.stdout.split())


def _install_environment() -> None:
    if not _STAMP.exists() or _venv_version() != sys.version_info[:2]:
        print(f"Making a virtual environment in {VENV.name} …", flush=True)
        _make_venv()
    print("Installing the locked requirements; the first time takes a minute or two …", flush=True)
    _STAMP.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "PIP_USER"}}
    install = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    install += ["--require-hashes", "--only-binary", ":all:", "-r", str(LOCKED)]
    if not sys.stdout.isatty():  # a person likes to see it move
        install += ["-qq"]
    if subprocess.run(install, env=environment, check=False).returncode != 0:
        raise NotReadyError(
            "The requirements could not be installed; pip's own words are above. Nothing outside "
            "the project's .venv was changed. Check the connection and try again."
        )
    for site in VENV.glob("[Ll]ib/**/site-packages"):
        # The way there, not the place: Python before 3.13 does not read these files as UTF-8.
        way = os.path.relpath(ROOT, site)
        (site / "flowpilot-desktop.pth").write_text(f"{way}\n", encoding="ascii")
    _STAMP.write_text(_fingerprint(), encoding="ascii")


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        package = "python{}.{}-venv".format(*sys.version_info)
        if shutil.which("apt-get") is None:
            raise NotReadyError(
                "This Python was installed without the modules venv and ensurepip. Please install "
                "a complete Python 3.11 or newer, and try again."
            )
        _install_packages([package])
    # Not the interpreter of the environment that is about to be emptied.
    base = getattr(sys, "_base_executable", None) or sys.executable
    if subprocess.run([base, "-m", "venv", "--clear", VENV], check=False).returncode != 0:
        raise NotReadyError(f"{base} could not make a virtual environment; its words are above.")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Holds the lock that keeps a second dev.py from installing at the same time."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "environment.lock").open("a+", encoding="ascii") as file:
        if not _locked(file):
            print("Another dev.py is preparing the environment; waiting for it …", flush=True)
            while not _locked(file):
                time.sleep(0.2)
        yield  # closing the file, or dying, releases the lock


def _locked(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    return True
