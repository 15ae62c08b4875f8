"""What people download: a Setup program for Windows, a disk image for macOS, an archive for Linux.

Each is made of the folder or the application that PyInstaller left in `.work/dist`, and lies beside
it. Windows and macOS need a program of the system's; where it is missing, `NoToolError` says which.
Standard library only.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import product

_INNO_FOLDERS = (r"C:\Program Files (x86)\Inno Setup 6", r"C:\Program Files\Inno Setup 6")
_MACHINES = {"amd64": "x86_64", "aarch64": "arm64"}


class NoToolError(Exception):
    """What makes the installer is not on this computer; the message says what to do."""


class ToolFailedError(Exception):
    """What makes the installer ended with an error; its own words were printed."""


def installer(dist: Path, icons: Path) -> Path:
    """Makes this system's installer of what lies in `dist` and returns it.

    `icons` is where the frozen application's icon was drawn.
    """
    if sys.platform == "win32":
        return setup(dist, icons / "flowpilot.ico", os.environ.get("FLOWPILOT_SIGN_COMMAND", ""))
    if sys.platform == "darwin":
        return disk_image(dist, os.environ.get("FLOWPILOT_SIGNING_IDENTITY", ""))
    return archive(dist)


def file_name(system: str, machine: str = "") -> str:
    """Returns what a download is called, without its ending."""
    machine = (machine or platform.machine()).lower()
    return f"{product.NAME}-{product.version()}-{system}-{_MACHINES.get(machine, machine)}"


def archive(dist: Path) -> Path:
    """Packs the frozen folder for Linux, in a folder of the version's own name."""
    name = file_name("linux")
    path = dist / f"{name}.tar.gz"

    def of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        return member

    with tarfile.open(path, "w:gz", compresslevel=6) as packed:
        packed.add(dist / product.NAME, arcname=name, filter=of_nobody)
    return path


def disk_image(dist: Path, identity: str) -> Path:
    """Makes the disk image: the application, and beside it the folder where it is dragged to."""
    if shutil.which("hdiutil") is None:
        raise NoToolError("The disk image is made by hdiutil, which is part of macOS.")
    path = dist / f"{file_name('macos')}.dmg"
    stage = dist / "image"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        application = f"{product.NAME}.app"
        shutil.copytree(dist / application, stage / application, symlinks=True)
        (stage / "Applications").symlink_to("/Applications")
        form = ["-format", "UDZO", "-ov"]
        _run(["hdiutil", "create", "-volname", product.NAME, "-srcfolder", stage, *form, path])
    finally:
        shutil.rmtree(stage)
    if identity:
        _run(["codesign", "--sign", identity, "--timestamp", path])
    return path


def setup(dist: Path, icon: Path, sign: str) -> Path:
    """Compiles the Setup program; `sign` is the command that signs programs, or empty."""
    compiler = shutil.which("iscc", path=os.pathsep.join([os.environ["PATH"], *_INNO_FOLDERS]))
    if compiler is None:
        raise NoToolError(
            "The Setup program is made by Inno Setup 6, which is not installed here: get it from "
            "jrsoftware.org, then try again."
        )
    name = file_name("windows")
    given = {
        "Name": product.NAME,
        "Version": product.version(),
        "Publisher": product.PUBLISHER,
        "WindowsId": product.WINDOWS_ID,
        "Windowed": product.WINDOWED,
        "Source": dist / product.NAME,
        "Output": dist,
        "FileName": name,
        "Icon": icon,
    }
    words: list[str | Path] = [compiler, "/Qp", *(f"/D{key}={told}" for key, told in given.items())]
    if sign:
        # $f is the file, $q a quotation mark.
        words += ["/DSigned", "/Sflowpilot={} $f".format(sign.replace('"', "$q"))]
    _run([*words, product.ROOT / "build" / "flowpilot.iss"])
    return dist / f"{name}.exe"


def _run(command: list[str | Path]) -> None:
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ToolFailedError(f"{Path(command[0]).name} ended with {code}; its words are above.")
