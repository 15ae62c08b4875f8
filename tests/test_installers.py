"""What people download: the archive is unpacked and run; the scripts agree with what is frozen."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from flowpilot_desktop import __version__
from flowpilot_desktop.profile import default_profile
from flowpilot_desktop.ui import autostart

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SCRIPT = (BUILD / "flowpilot.iss").read_text(encoding="utf-8")

# Stand in for the systems' own programs: they note what they were asked, look at what they were
# given, and leave the file that they were to make.
ISCC = """#!/bin/sh
for word; do echo "$word" >> "$NOTES/iscc"; done
test -f "$ICON" && : > "$MADE"
"""
HDIUTIL = """#!/bin/sh
for word; do echo "$word" >> "$NOTES/hdiutil"; last="$word"; done
ls -l "$5" > "$NOTES/image"
: > "$last"
"""


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch):
    """The modules of build/."""
    monkeypatch.syspath_prepend(BUILD)
    import installers
    import product

    yield installers, product
    for name in ("installers", "product"):
        sys.modules.pop(name, None)


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """What PyInstaller leaves, in small: a program, a library and a link to it."""
    dist = tmp_path / "dist"
    inside = dist / "FlowPilot" / "_internal"
    inside.mkdir(parents=True)
    program = dist / "FlowPilot" / "flowpilot"
    program.write_text('#!/bin/sh\ncat "$(dirname "$0")/_internal/link"\n')
    program.chmod(0o755)
    (inside / "library.so.1").write_text("from the library\n")
    (inside / "link").symlink_to("library.so.1")
    return dist


def _tool(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tools").mkdir(exist_ok=True)
    tool = folder / "tools" / name
    tool.write_text(script)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(folder))


# --- names -----------------------------------------------------------------------------------


def test_the_version_stands_in_one_place(packing: tuple[ModuleType, ModuleType]):
    _, product = packing
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert product.version() == __version__ == project["version"]
    assert {product.COMMAND, product.QUEUE_COMMAND} == set(project["scripts"])


@pytest.mark.parametrize("file", ["flowpilot.spec", "flowpilot.iss"])
def test_the_scripts_have_names_and_version_from_there(
    packing: tuple[ModuleType, ModuleType], file: str
):
    _, product = packing
    text = (BUILD / file).read_text(encoding="utf-8")
    words = "\n".join(re.findall(r'"[^"\n]*"|^\w+=.*$', text, re.MULTILINE))
    for name in (product.version(), product.WINDOWED, product.PUBLISHER, product.IDENTIFIER):
        assert name not in words, f"{file} repeats {name}"


# --- Windows ---------------------------------------------------------------------------------


def _written(given: dict[str, str], text: str = SCRIPT) -> str:
    """The script as Inno Setup reads it: what is given stands for its name."""
    return re.sub(r"\{#(\w+)\}", lambda match: given[match[1]], text)


@pytest.fixture
def told(
    packing: tuple[ModuleType, ModuleType], dist: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What the compiler is told when a signed Setup program is made."""
    installers, _ = packing
    icon = dist.parent / "flowpilot.ico"
    icon.touch()
    made = dist / f"{installers.file_name('windows')}.exe"
    monkeypatch.setenv("ICON", str(icon))
    monkeypatch.setenv("MADE", str(made))
    _tool(dist.parent, "iscc", ISCC, monkeypatch)
    command = '"C:\\Kits\\signtool.exe" sign /fd sha256 /a'
    assert installers.setup(dist, icon, command) == made
    assert made.exists()
    words = (dist.parent / "iscc").read_text().splitlines()
    assert words[0] == "/Qp"
    assert words[-1] == str(BUILD / "flowpilot.iss")
    assert "/DSigned" in words
    assert "/Sflowpilot=$qC:\\Kits\\signtool.exe$q sign /fd sha256 /a $f" in words
    return dict(word[2:].split("=", 1) for word in words if re.match(r"/D\w+=", word))


def test_setup_is_given_all_that_its_script_asks_for(told: dict[str, str], dist: Path):
    assert set(re.findall(r"\{#(\w+)\}", SCRIPT)) == set(told)
    assert told["Source"] == str(dist / "FlowPilot")
    assert f"AppVersion={__version__}" in _written(told)
    sections = re.findall(r"^\[(\w+)\]$", SCRIPT, re.MULTILINE)
    assert len(sections) == len(set(sections))


def test_setup_starts_what_is_frozen(told: dict[str, str], packing: tuple[ModuleType, ModuleType]):
    _, product = packing
    started = set(re.findall(r"\{app\}\\([^\"\\{}]+\.exe)", _written(told)))
    assert started == {f"{product.WINDOWED}.exe"}
    spec = (BUILD / "flowpilot.spec").read_text(encoding="utf-8")
    assert "product.WINDOWED if WINDOWS else product.COMMAND" in spec


def test_setup_needs_no_administrator_and_leaves_the_profile(
    told: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    text = _written(told)
    assert "PrivilegesRequired=lowest" in text
    assert r"DefaultDirName={autopf}\FlowPilot" in text  # for one user: %LOCALAPPDATA%\Programs
    assert default_profile().folder.parent.name == "FlowPilot"  # %LOCALAPPDATA%\FlowPilot\profile
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    assert not any("localappdata" in line.lower() or "userappdata" in line for line in lines)
    removed = [line for line in lines if line.startswith("Type: ")]
    assert removed == [r'Type: filesandordirs; Name: "{app}\_internal"']
    assert "HKLM" not in text


def test_setup_and_the_setting_start_it_at_sign_in_alike(told: dict[str, str]):
    keys = [line for line in _written(told).splitlines() if line.startswith("Root:")]
    values = [re.findall(r'(\w+): ("(?:[^"]|"")*"|[^;]+)', line) for line in keys]
    for told_of in map(dict, values):
        assert told_of["Subkey"] == f'"{autostart._RUN}"'
        assert told_of["ValueName"] == f'"{autostart._LABEL}"'
    written, removed = map(dict, values)
    assert written["ValueData"] == r'"""{app}\flowpilotw.exe"" --minimized"'
    assert written["Tasks"] == "startup"
    assert "uninsdeletevalue" in removed["Flags"]
    assert "Tasks" not in removed, "FlowPilot itself may have written it"


# --- macOS -----------------------------------------------------------------------------------


def test_the_disk_image_has_the_application_and_a_way_to_install_it(
    packing: tuple[ModuleType, ModuleType], dist: Path, monkeypatch: pytest.MonkeyPatch
):
    installers, _ = packing
    (dist / "FlowPilot.app" / "Contents").mkdir(parents=True)
    _tool(dist.parent, "hdiutil", HDIUTIL, monkeypatch)
    made = installers.disk_image(dist, "")
    assert made.name.startswith(f"FlowPilot-{__version__}-macos-")
    assert made.exists()
    image = (dist.parent / "image").read_text()
    assert re.search(r"^d.* FlowPilot\.app$", image, re.MULTILINE)
    assert re.search(r"^l.* Applications -> /Applications$", image, re.MULTILINE)
    assert not (dist / "image").exists()
    words = (dist.parent / "hdiutil").read_text().splitlines()
    assert words[:3] == ["create", "-volname", "FlowPilot"]


# --- Linux, and what is missing --------------------------------------------------------------


def test_the_archive_is_unpacked_and_runs(
    packing: tuple[ModuleType, ModuleType], dist: Path, tmp_path: Path
):
    installers, _ = packing
    made = installers.archive(dist)
    assert re.fullmatch(rf"FlowPilot-{re.escape(__version__)}-linux-\w+\.tar\.gz", made.name)
    there = tmp_path / "there"
    with tarfile.open(made) as packed:
        assert {(one.uid, one.gid, one.uname) for one in packed} == {(0, 0, "root")}
        packed.extractall(there, filter="data")
    (folder,) = there.iterdir()
    assert folder.name == made.name.removesuffix(".tar.gz")
    assert (folder / "_internal" / "link").is_symlink()
    done = subprocess.run([folder / "flowpilot"], capture_output=True, text=True, check=True)
    assert done.stdout == "from the library\n"


def test_a_missing_program_is_told_in_words(
    packing: tuple[ModuleType, ModuleType],
    dist: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    installers, _ = packing
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(installers.NoToolError, match="Inno Setup"):
        installers.setup(dist, tmp_path / "flowpilot.ico", "")
    with pytest.raises(installers.NoToolError, match="hdiutil"):
        installers.disk_image(dist, "")


def test_a_tool_that_fails_is_told(
    packing: tuple[ModuleType, ModuleType], dist: Path, monkeypatch: pytest.MonkeyPatch
):
    installers, _ = packing
    (dist / "FlowPilot.app").mkdir()
    _tool(dist.parent, "hdiutil", "#!/bin/sh\nexit 3\n", monkeypatch)
    with pytest.raises(installers.ToolFailedError, match="hdiutil ended with 3"):
        installers.disk_image(dist, "")
    assert not (dist / "image").exists()
