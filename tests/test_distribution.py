"""The wheel holds everything that runs and nothing else, and its commands start from it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


PACKAGES = ("flowpilot_desktop", "sync", "resources")


def _files(root: Path, *folders: str) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what goes into the wheel, beside a folder that does not."""
    root = tmp_path_factory.mktemp("source")
    for folder in (*PACKAGES, "build"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, root)
    (root / "README.md").write_text("# FlowPilot\n")  # nothing here reads it
    return root


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The project's wheel, built offline."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (path,) = (source / "dist").glob("flowpilot_desktop-*.whl")
    return path


def test_the_wheel_holds_what_runs_and_nothing_else(source, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    resources = {f"flowpilot_desktop/{path}" for path in _files(source, "resources")}
    held = {name for name in names if ".dist-info/" not in name}
    assert held == _files(source, "flowpilot_desktop", "sync") | resources
    assert any(name.endswith("/licenses/LICENSE") for name in names)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, with its commands in bin/."""
    folder = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", folder, wheel], check=True, capture_output=True)
    return folder


def _run(installed: Path, *command: str | Path) -> str:
    answer = subprocess.run(
        command,
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_installed_application_finds_its_resources(installed):
    script = "from flowpilot_desktop import assets; print(assets.root())"
    found = Path(_run(installed, sys.executable, "-c", script).strip())
    assert found == installed / "flowpilot_desktop" / "resources"


@pytest.mark.parametrize("command", ["flowpilot", "flowpilot-queue"])
def test_an_installed_command_explains_itself(installed, command):
    assert f"usage: {command} " in _run(installed, installed / "bin" / command, "--help")
