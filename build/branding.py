"""What makes the frozen application recognisable: its icon, its version resource, its licences.

The icon is drawn from the one SVG into the containers that Windows and macOS want. Both hold PNG
files: https://learn.microsoft.com/windows/win32/menurc/icondir describes the one,
https://en.wikipedia.org/wiki/Apple_Icon_Image_format the other.
"""

from __future__ import annotations

import re
import struct
import sys
from importlib import metadata
from pathlib import Path

import product
from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

WINDOWS_SIZES = (16, 20, 24, 32, 40, 48, 64, 128, 256)
MACOS_SIZES = {b"icp4": 16, b"icp5": 32, b"ic07": 128, b"ic08": 256, b"ic09": 512, b"ic10": 1024}


def icon(drawing: Path, folder: Path) -> Path:
    """Writes the icon that this system wants into a folder; returns the file."""
    ending, content = ("icns", icns(drawing)) if sys.platform == "darwin" else ("ico", ico(drawing))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"flowpilot.{ending}"
    path.write_bytes(content)
    return path


def ico(drawing: Path) -> bytes:
    """Returns a Windows icon with every size that its shell shows."""
    pictures = [(size, _png(drawing, size)) for size in WINDOWS_SIZES]
    head = struct.pack("<HHH", 0, 1, len(pictures))
    place = len(head) + 16 * len(pictures)
    entries = b""
    for size, png in pictures:
        side = size % 256  # 0 stands for 256
        entries += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(png), place)
        place += len(png)
    return head + entries + b"".join(png for _, png in pictures)


def icns(drawing: Path) -> bytes:
    """Returns a macOS icon."""
    entries = b""
    for kind, size in MACOS_SIZES.items():
        png = _png(drawing, size)
        entries += kind + struct.pack(">I", len(png) + 8) + png
    return b"icns" + struct.pack(">I", len(entries) + 8) + entries


def _png(drawing: Path, size: int) -> bytes:
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(drawing)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stub wants bytes, Qt wants text
    return bytes(buffer.data().data())


def version_file(name: str, told: str, version: str, folder: Path) -> Path:
    """Writes the version resource of a Windows program, in PyInstaller's words for it."""
    numbers = (*map(int, re.findall(r"\d+", version)[:3]), 0, 0, 0)[:4]
    words = {
        "CompanyName": product.PUBLISHER,
        "FileDescription": told,
        "FileVersion": version,
        "InternalName": name,
        "LegalCopyright": "Apache License 2.0",
        "OriginalFilename": f"{name}.exe",
        "ProductName": product.NAME,
        "ProductVersion": version,
    }
    strings = ", ".join(f"StringStruct({key!r}, {value!r})" for key, value in words.items())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.version.txt"
    path.write_text(
        "VSVersionInfo(\n"
        f"  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0,\n"
        "    OS=0x40004, fileType=1, subtype=0, date=(0, 0)),\n"
        f"  kids=[StringFileInfo([StringTable('040904B0', [{strings}])]),\n"
        "    VarFileInfo([VarStruct('Translation', [0x409, 1200])])],\n"
        ")\n",
        encoding="utf-8",
    )
    return path


def installed(lock: Path) -> list[str]:
    """Returns the names of a lock file's packages that are installed on this system."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    here = {
        re.sub(r"[._-]+", "-", one.name).lower() for one in metadata.distributions() if one.name
    }
    return [name for name in names if re.sub(r"[._-]+", "-", name).lower() in here]
