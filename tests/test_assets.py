"""Resources are found in a checkout, in an installed wheel and in a frozen application."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowpilot_desktop import assets


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    assets.root.cache_clear()
    yield
    assets.root.cache_clear()


def test_a_checkout_has_them_at_its_root():
    checkout = Path(__file__).resolve().parent.parent
    assert assets.path("prompts") == checkout / "resources" / "prompts"


def test_an_installed_package_has_them_inside(tmp_path: Path):
    package = tmp_path / "flowpilot_desktop"
    (package / "resources" / "flows").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    shutil.copy(assets.__file__, package / "assets.py")
    found = subprocess.run(
        [sys.executable, "-c", "from flowpilot_desktop import assets; print(assets.path('flows'))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()) == (package / "resources" / "flows").resolve()


@pytest.mark.parametrize("inside", ["resources", "flowpilot_desktop/resources"])
def test_a_frozen_application_has_them_where_it_unpacked(
    inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / inside).mkdir(parents=True)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert assets.path("style") == tmp_path / inside / "style"
