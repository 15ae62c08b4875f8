"""The two lock files pin, with hashes, what pyproject.toml asks for, on every system."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = METADATA["dependencies"]
EXTRAS = [line for extra in METADATA["optional-dependencies"].values() for line in extra]
SYSTEMS = ("win32", "darwin", "linux")


@dataclass(frozen=True)
class Pin:
    """One locked release: the requirement with its marker, the version and its hashes."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def version(self) -> Version:
        """The only version that it allows."""
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return Version(specifier.version)

    def holds_on(self, system: str) -> bool:
        """Whether the release is installed on a system, for CPython 3.11."""
        environment = {
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "python_full_version": "3.11.0",
            "sys_platform": system,
        }
        marker = self.requirement.marker
        return marker is None or marker.evaluate(environment)


def _pins(name: str) -> dict[str, Pin]:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    pins: dict[str, Pin] = {}
    for line in text.splitlines():
        words, *hashes = re.split(r"\s+--hash=", line.strip())
        pin = Pin(Requirement(words), tuple(hashes))
        pins[canonicalize_name(pin.requirement.name)] = pin
    return pins


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("requirements.txt", RUNTIME), ("requirements-dev.txt", RUNTIME + EXTRAS)],
)
def test_a_lock_holds_what_the_project_asks_for(lock, wanted):
    """Whoever changes pyproject.toml runs `python3 build/dev.py lock`."""
    pins = _pins(lock)
    for requirement in map(Requirement, wanted):
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), f"{requirement}, locked {pin.version}"
        for system in SYSTEMS:
            marker = requirement.marker
            if marker is None or marker.evaluate({"sys_platform": system}):
                assert pin.holds_on(system), f"{requirement} is not locked for {system}"


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_hashes_and_no_address(lock):
    assert _pins(lock)
    for pin in _pins(lock).values():
        assert pin.requirement.url is None
        assert pin.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in pin.hashes)


def test_users_run_what_developers_tested():
    """Each runtime pin stands in the developers' lock too, word for word."""
    developers = _pins("requirements-dev.txt")
    for name, pin in _pins("requirements.txt").items():
        assert developers[name] == pin


def test_each_system_has_its_keyring():
    """One lock file serves all three: what only one of them needs is marked, not left out."""
    pins = _pins("requirements.txt")
    only = {"pywin32-ctypes": "win32", "secretstorage": "linux", "winrt-runtime": "win32"}
    for name, system in only.items():
        assert [other for other in SYSTEMS if pins[name].holds_on(other)] == [system]
