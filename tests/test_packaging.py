"""What the frozen application shows of itself, and under which terms its parts may go along."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QImageReader

from flowpilot_desktop import assets

ROOT = Path(__file__).resolve().parent.parent
DRAWING = assets.path("style", "flowpilot.svg")


@pytest.fixture
def branding(monkeypatch):
    """The module of build/."""
    monkeypatch.syspath_prepend(ROOT / "build")
    import branding

    yield branding
    sys.modules.pop("branding", None)


# --- icon and version ------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["ico", "icns"])
def test_every_size_of_the_icon_is_a_picture(branding, tmp_path, container):
    file = tmp_path / f"flowpilot.{container}"
    file.write_bytes(getattr(branding, container)(DRAWING))
    sizes = {"ico": branding.WINDOWS_SIZES, "icns": branding.MACOS_SIZES.values()}[container]
    reader = QImageReader(str(file))
    assert reader.imageCount() == len(sizes)
    seen = []
    for number in range(reader.imageCount()):
        reader.jumpToImage(number)
        picture = reader.read()
        assert picture.pixelColor(0, 0).alpha() == 0
        middle = picture.pixelColor(picture.width() // 2, picture.height() // 8)
        assert middle.alpha() == 255
        seen.append(picture.width())
    assert sorted(seen) == sorted(sizes)


def test_the_version_resource_says_the_version(branding, tmp_path):
    class Noting(dict[str, Any]):
        """Takes PyInstaller's names for what they are called with."""

        def __missing__(self, name):
            return lambda *parts, **named: (name, parts, named)

    file = branding.version_file("flowpilotw", "FlowPilot", "1.20.3", tmp_path)
    _, _, resource = eval(file.read_text(encoding="utf-8"), Noting())
    assert resource["ffi"][2]["filevers"] == (1, 20, 3, 0)
    assert ("StringStruct", ("ProductVersion", "1.20.3"), {}) in str_structs(resource)


def str_structs(resource: dict[str, Any]) -> Any:
    """Return the texts of a version resource."""
    ((_, (((_, (_, texts), _),),), _), _) = resource["kids"]
    return texts


# --- licences --------------------------------------------------------------------------------

WELCOME = {
    "0BSD",
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "LGPL-3.0-only",  # linked dynamically: the folder's own libraries can be exchanged
    "MIT",
    "MIT License",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
}
ELSEWHERE = {  # of other systems, so not installed here
    "httpx2-jsfetch": "BSD-3-Clause",
    "pywin32-ctypes": "BSD-3-Clause",
    "rubicon-objc": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "winrt-": "MIT",
}


def _terms(name: str) -> set[str]:
    """Return the licences among which whoever passes the package on may choose."""
    try:
        facts = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        (terms,) = [terms for known, terms in ELSEWHERE.items() if name.startswith(known)]
        return {terms}
    # `importlib_metadata`, once something has loaded it, answers a missing field with KeyError.
    fields = [field for field in ("License-Expression", "License") if field in facts]
    expression = next((words for field in fields if (words := facts[field])), "")
    if expression:
        return {choice.strip() for choice in expression.split(" OR ")}
    return {
        one.rpartition(" :: ")[2]
        for one in facts.get_all("Classifier") or ()
        if one.startswith("License ::")
    }


def _locked() -> set[str]:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))


def test_nothing_that_goes_along_forbids_how_it_goes_along():
    assert len(_locked()) > 40
    assert {name: terms for name in _locked() if not (terms := _terms(name)) & WELCOME} == {}


def test_the_licence_of_every_part_goes_along(branding):
    """The frozen folder takes the metadata, licence texts included, of what this names."""
    left_out = _locked() - set(branding.installed(ROOT / "requirements.txt"))
    assert [name for name in left_out if not name.startswith(tuple(ELSEWHERE))] == []
