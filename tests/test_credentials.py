"""Secrets: kept by a real secret service, refused by anything less, never waited for too long."""

import asyncio
import contextlib
import gc
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import pytest
import secretstorage
from keyring.backend import KeyringBackend

from flowpilot_desktop import credentials
from flowpilot_desktop.core.errors import CredentialsUnavailable, InvalidInput
from flowpilot_desktop.credentials import Keyring, SessionOnlySecrets, open_secrets

PROGRAMS = ("dbus-daemon", "gnome-keyring-daemon")
SECRET = "clé-ключ-鍵-🔑 'quoted\"\n"


# No folder of services: nothing on this bus is started by its name, neither a window that asks nor
# another keyring, locked, in the place of ours.
BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir={folder}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


class SecretService:
    """A session bus of its own with a gnome-keyring on it, unlocked or not."""

    def __init__(self, home: Path, *, unlocked: bool) -> None:
        self.home = home
        run = home / "run"
        run.mkdir(mode=0o700)
        config = home / "bus.conf"
        config.write_text(BUS.format(folder=run))
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE,
            env=self._environment(),
            text=True,
        )
        assert self.bus.stdout is not None
        self.address = self.bus.stdout.readline().strip()
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        self.keyring = subprocess.Popen(
            [*command, "--unlock"] if unlocked else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment() | {"DBUS_SESSION_BUS_ADDRESS": self.address},
        )
        if unlocked:
            assert self.keyring.stdin is not None
            self.keyring.stdin.write(b"login password")
            self.keyring.stdin.close()
        try:
            self._wait_until_ready(unlocked=unlocked)
        except BaseException:
            self.stop()
            raise

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "LANG": "C.UTF-8",
        }

    def _wait_until_ready(self, *, unlocked: bool) -> None:
        """The name comes up first, the unlocked collection after it."""
        from jeepney.io.blocking import (  # type: ignore[import-untyped]  # ships no types
            open_dbus_connection,
        )

        until = time.monotonic() + 20
        while time.monotonic() < until:
            connection = open_dbus_connection(self.address)
            try:
                if secretstorage.check_service_availability(connection):
                    default = secretstorage.get_collection_by_alias(connection, "default")
                    if not (unlocked and default.is_locked()):
                        return
            except secretstorage.exceptions.SecretStorageException:
                if not unlocked:
                    return  # it has no collection yet, which is as locked as can be
            finally:
                connection.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.keyring.wait(0.02)
        pytest.fail("gnome-keyring did not come up within 20 seconds")

    def stop(self) -> None:
        for process in (self.keyring, self.bus):
            process.terminate()
            process.wait(10)
        for stream in (self.bus.stdout, self.keyring.stdin):
            if stream is not None:
                stream.close()


def _service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, unlocked: bool
) -> Iterator[SecretService]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    assert not missing, f"These tests need {missing}; install gnome-keyring and dbus."
    service = SecretService(tmp_path, unlocked=unlocked)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", service.address)
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    try:
        yield service
    finally:
        service.stop()
        gc.collect()


@pytest.fixture
def secret_service(tmp_path, monkeypatch):
    yield from _service(tmp_path, monkeypatch, unlocked=True)


@pytest.fixture
def locked_service(tmp_path, monkeypatch):
    yield from _service(tmp_path, monkeypatch, unlocked=False)


# --- a real secret service -------------------------------------------------------------------


async def test_a_secret_is_kept_returned_replaced_and_forgotten(secret_service):
    secrets = Keyring("default")
    assert await secrets.read("psa-1") is None
    await secrets.write("psa-1", SECRET)
    assert await secrets.read("psa-1") == SECRET
    await secrets.write("psa-1", "second")
    assert await secrets.read("psa-1") == "second"
    await secrets.delete("psa-1")
    await secrets.delete("psa-1")
    assert await secrets.read("psa-1") is None
    assert secrets.backend == "Secret Service"
    await secrets.aclose()


async def test_another_start_finds_it_and_another_profile_does_not(secret_service):
    first, again, other = Keyring("work"), Keyring("work"), Keyring("demo")
    await first.write("claude", "sk-1")
    assert await again.read("claude") == "sk-1"
    assert await other.read("claude") is None
    await other.delete("claude")
    assert await first.read("claude") == "sk-1"
    for secrets in (first, again, other):
        await secrets.aclose()


async def test_the_secret_is_in_no_file_that_can_be_read(secret_service):
    secrets = Keyring("work")
    await secrets.write("claude", "plain-words-of-the-key")
    await secrets.aclose()
    files = [path for path in secret_service.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".keyring" for path in files)
    assert not any(b"plain-words-of-the-key" in path.read_bytes() for path in files)


async def test_open_secrets_finds_the_keyring(secret_service):
    secrets = await open_secrets("work")
    assert isinstance(secrets, Keyring)
    await secrets.aclose()


# The backend leaves its socket to the garbage collector when it fails; the fixture collects it.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_locked_keyring_that_nobody_unlocks_is_told_in_time(locked_service):
    secrets = Keyring("work", read_seconds=3, write_seconds=3)
    with pytest.raises(CredentialsUnavailable) as refused:
        await secrets.write("claude", "sk-1")
    assert refused.value.retryable
    assert "sk-1" not in refused.value.message
    await secrets.aclose()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_keyring_that_dies_is_told(secret_service):
    secrets = Keyring("work", read_seconds=5)
    await secrets.write("claude", "sk-1")
    secret_service.keyring.terminate()
    secret_service.keyring.wait(10)
    with pytest.raises(CredentialsUnavailable):
        await secrets.read("claude")
    await secrets.aclose()


# --- no keyring, or a bad one ----------------------------------------------------------------


async def test_without_a_keyring_every_call_says_so():
    """The tests' own environment names keyring's backend that always fails."""
    secrets = Keyring("work")
    for call in (secrets.read("a"), secrets.write("a", "b"), secrets.delete("a")):
        with pytest.raises(CredentialsUnavailable, match="no system keyring") as refused:
            await call
        assert not refused.value.retryable
    await secrets.aclose()


async def test_without_a_keyring_secrets_live_for_the_session_and_it_is_said():
    secrets = await open_secrets("work")
    assert isinstance(secrets, SessionOnlySecrets)
    assert "memory only" in secrets.words
    assert "no system keyring" in secrets.words
    await secrets.write("claude", SECRET)
    assert await secrets.read("claude") == SECRET
    assert SECRET not in repr(secrets)
    await secrets.delete("claude")
    await secrets.delete("claude")
    assert await secrets.read("claude") is None
    await secrets.aclose()


async def test_a_keyring_that_throws_secrets_away_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    secrets = Keyring("work")
    with pytest.raises(CredentialsUnavailable, match=r"keyring\.backends\.null\.Keyring"):
        await secrets.write("claude", "sk-1")
    await secrets.aclose()


PLAIN = '''
from keyring.backend import KeyringBackend

class PlaintextKeyring(KeyringBackend):
    """Stands where the real one of that name would be installed."""
    priority = 9
    kept = {}
    def get_password(self, service, username): return self.kept.get(username)
    def set_password(self, service, username, password): self.kept[username] = password
    def delete_password(self, service, username): del self.kept[username]
'''


@pytest.fixture
def plaintext_backend(tmp_path, monkeypatch):
    folder = tmp_path / "keyrings" / "alt"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "file.py").write_text(PLAIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    known = set(KeyringBackend._classes)
    yield
    KeyringBackend._classes &= known


async def test_a_keyring_that_keeps_plain_text_is_refused_by_name(plaintext_backend):
    import keyrings.alt.file  # type: ignore[import-not-found]  # made by the fixture

    secrets = await open_secrets("work")
    assert isinstance(secrets, SessionOnlySecrets)
    assert "keyrings.alt.file.PlaintextKeyring" in secrets.reason
    await secrets.write("claude", "sk-1")
    assert keyrings.alt.file.PlaintextKeyring.kept == {}


async def test_a_chain_is_taken_apart_and_its_bad_links_refused(monkeypatch):
    class Chain(keyring.backends.chainer.ChainerBackend):
        priority = 10
        backends = tuple(
            one() for one in (keyring.backends.null.Keyring, keyring.backends.fail.Keyring)
        )

    monkeypatch.setattr(keyring.core, "load_env", Chain)
    with pytest.raises(CredentialsUnavailable, match=r"null\.Keyring, which does not keep"):
        credentials._chosen_backend()
    KeyringBackend._classes.discard(Chain)


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "empty"),
        ("x" * 1281, "1,281"),
        ("🔑" * 641, "at most"),
        ("a\x00b", "NUL"),
        ("\ud800", "no text"),
    ],
)
async def test_what_some_keyring_cannot_keep_is_refused_everywhere(secret, words):
    for secrets in (Keyring("work"), SessionOnlySecrets()):
        with pytest.raises(InvalidInput, match=words):
            await secrets.write("claude", secret)
        await secrets.aclose()


async def test_the_longest_secret_fits(secret_service):
    secrets = Keyring("work")
    await secrets.write("claude", "x" * 1280)
    assert await secrets.read("claude") == "x" * 1280
    await secrets.aclose()


class SlowBackend(KeyringBackend):
    """Waits in every read until it is let go, as a prompt that nobody answers does."""

    priority = 0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's own
        self.go = threading.Event()
        self.written: list[str] = []

    def get_password(self, service, username):
        self.go.wait(30)
        return "late"

    def set_password(self, service, username, password):
        self.written.append(username)


@pytest.fixture
def slow(monkeypatch):
    backend = SlowBackend()
    monkeypatch.setattr(credentials, "_chosen_backend", lambda: backend)
    yield backend
    backend.go.set()
    KeyringBackend._classes.discard(SlowBackend)


async def test_a_keyring_that_hangs_gives_up_in_time_and_recovers(slow):
    secrets = Keyring("work", read_seconds=0.2, write_seconds=0.2)
    with pytest.raises(CredentialsUnavailable, match="did not answer") as refused:
        await secrets.read("claude")
    assert refused.value.retryable
    with pytest.raises(CredentialsUnavailable):
        await secrets.write("given up", "sk-1")
    slow.go.set()
    assert await Keyring.read(secrets, "claude") == "late"
    assert slow.written == [], "a write that was given up before it began must not happen later"
    await secrets.aclose()


async def test_the_loop_goes_on_while_the_keyring_hangs(slow):
    secrets = Keyring("work", read_seconds=20)
    reading = asyncio.create_task(secrets.read("claude"))
    turns = 0
    while turns < 100:
        await asyncio.sleep(0)
        turns += 1
    assert not reading.done()
    slow.go.set()
    assert await reading == "late"
    await secrets.aclose()


async def test_a_backends_words_are_not_repeated(monkeypatch):
    class Talkative(KeyringBackend):
        priority = 0

        def get_password(self, service, username):
            return None

        def set_password(self, service, username, password):
            raise ValueError(f"can't store {password}")

    monkeypatch.setattr(credentials, "_chosen_backend", Talkative)
    secrets = Keyring("work")
    with pytest.raises(CredentialsUnavailable) as refused:
        await secrets.write("claude", "sk-1")
    assert "sk-1" not in f"{refused.value.message} {refused.value.hint}"
    await secrets.aclose()
    KeyringBackend._classes.discard(Talkative)
