"""Secrets in the operating system's keyring, and nowhere else.

The keyring may ask a person for a password, may hang, may not be there. So every call runs on one
daemon thread of its own and whoever waits gives up after a time; a call that nobody waits for any
more and that has not begun is dropped. A keyring that keeps secrets readable in a file, or throws
them away, is refused by name: better no secret kept than one kept badly. Where there is no keyring,
``SessionOnlySecrets`` keeps what is entered until FlowPilot ends, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.errors import CredentialsUnavailable, InvalidInput

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)
T = TypeVar("T")

READ_SECONDS = 10.0
WRITE_SECONDS = 120.0
"""A write may ask a person to unlock or to make a keyring."""
SECRET_BYTES = 2560
"""What Windows keeps for one secret, in UTF-16; the same everywhere, so that profiles move."""

_TRUSTED = {
    "keyring.backends.Windows": "Windows Credential Manager",
    "keyring.backends.macOS": "macOS Keychain",
    "keyring.backends.SecretService": "Secret Service",
    "keyring.backends.libsecret": "Secret Service",
    "keyring.backends.kwallet": "KWallet",
}
_NONE_HINT = (
    "Nothing was written to disk. Set up the system keyring, or enter the key again each time "
    "FlowPilot starts."
)


class Keyring:
    """The operating system's keyring, as ``core.ports.Secrets``.

    Secrets of different profiles are apart. Every method raises CredentialsUnavailable.
    """

    is_lasting = True

    def __init__(
        self,
        profile: str,
        *,
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        self._service = f"FlowPilot Desktop ({profile})"
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds
        self._chosen: KeyringBackend | None = None
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def backend(self) -> str:
        """The keyring's name for people; empty until it was first used."""
        return _TRUSTED.get(type(self._chosen).__module__, "")

    async def open(self) -> None:
        """Find the keyring, or say why there is none."""
        await self._call(self._backend, self._read_seconds)

    async def read(self, name: str) -> str | None:
        """Return the secret, or None when there is none."""

        def read() -> str | None:
            return self._backend().get_password(self._service, name)

        return await self._call(read, self._read_seconds)

    async def write(self, name: str, secret: str) -> None:
        """Keep the secret; raises InvalidInput for one that no keyring can keep."""
        check_secret(secret)

        def write() -> None:
            self._backend().set_password(self._service, name, secret)

        await self._call(write, self._write_seconds)

    async def delete(self, name: str) -> None:
        """Forget the secret; absent is fine."""

        def delete() -> None:
            backend = self._backend()
            if backend.get_password(self._service, name) is not None:
                backend.delete_password(self._service, name)

        await self._call(delete, self._write_seconds)

    async def aclose(self) -> None:
        """End the thread when its last call ends; a call that hangs does not hold FlowPilot up."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread = None

    async def _call(self, call: Callable[[], T], seconds: float) -> T:
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                    future.set_exception(error)

        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._calls,), name="flowpilot-keyring", daemon=True
            )
            self._thread.start()
        self._calls.put(run)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            raise CredentialsUnavailable(
                f"The system keyring did not answer within {counted(round(seconds), 'second')}.",
                hint="It may be asking for its password in another window: answer there, then try "
                "again. Nothing was written to disk.",
            ) from error
        except CredentialsUnavailable:
            raise
        except Exception as error:
            # Backends raise what their system raises, far beyond keyring's own errors.
            raise _unavailable(error) from error

    def _backend(self) -> KeyringBackend:
        if self._chosen is None:
            self._chosen = _chosen_backend()
            log.info("Secrets are kept in %s", self.backend)
        return self._chosen


class SessionOnlySecrets:
    """Keeps secrets in memory until FlowPilot ends.

    ``reason`` says why there is no keyring; ``by_choice`` that none is wanted, as in practice.
    """

    backend = "This session's memory"
    is_lasting = False

    def __init__(self, reason: str = "", *, by_choice: bool = False) -> None:
        self.reason = reason
        self.by_choice = by_choice
        self._secrets: dict[str, str] = {}

    @property
    def words(self) -> str:
        """What the technician is told; nothing when no keyring is wanted."""
        if self.by_choice:
            return ""
        told = (
            "Keys are kept in memory only and are forgotten when FlowPilot ends, because there is "
            "no safe keyring on this computer."
        )
        return f"{told} {self.reason}".rstrip()

    def __repr__(self) -> str:
        return f"<SessionOnlySecrets of {len(self._secrets)} names>"

    async def read(self, name: str) -> str | None:
        """Return the secret, or None when there is none."""
        return self._secrets.get(name)

    async def write(self, name: str, secret: str) -> None:
        """Keep the secret until the end."""
        check_secret(secret)
        self._secrets[name] = secret

    async def delete(self, name: str) -> None:
        """Forget the secret; absent is fine."""
        self._secrets.pop(name, None)

    async def aclose(self) -> None:
        """Forget everything."""
        self._secrets.clear()


async def open_secrets(profile: str) -> Keyring | SessionOnlySecrets:
    """Return the keyring for a profile, or the memory and the reason when there is no safe one.

    A keyring that is there but locked or slow is returned: it may be unlocked later.
    """
    keyring = Keyring(profile)
    try:
        await keyring.open()
    except CredentialsUnavailable as error:
        if not error.retryable:
            await keyring.aclose()
            log.warning("There is no keyring: %s", error.message)
            return SessionOnlySecrets(error.message)
    return keyring


def check_secret(secret: str) -> None:
    """Raise InvalidInput for a secret that some system's keyring can't keep."""
    try:
        size = len(secret.encode("utf-16-le"))
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "The key contains characters that are no text. Copy it again."
        ) from error
    if "\x00" in secret:
        raise InvalidInput("The key contains a NUL character. Copy it again.")
    if not secret:
        raise InvalidInput("The key is empty.")
    if size > SECRET_BYTES:
        raise InvalidInput(
            f"The key has {len(secret):,} characters; a keyring keeps at most "
            f"{SECRET_BYTES // 2:,}.",
            hint="Check that only the key itself was pasted.",
        )


def _work(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()


def _chosen_backend() -> KeyringBackend:
    """Return the best keyring that is safe; one named in keyring's own settings comes first."""
    # Looks through everything installed and asks the bus: on the thread, when first needed.
    from keyring import backend, core  # noqa: PLC0415

    named = core.load_env() or core.load_config()
    found = _apart([named]) if named is not None else _apart(backend.get_all_keyring())
    safe = [one for one in found if type(one).__module__ in _TRUSTED]
    if safe:
        return max(safe, key=lambda one: float(one.priority))
    names = sorted({f"{type(one).__module__}.{type(one).__qualname__}" for one in found})
    refused = [name for name in names if not name.startswith("keyring.backends.fail.")]
    if refused:
        raise CredentialsUnavailable(
            f"The only keyring here is {', '.join(refused)}, which does not keep secrets safe.",
            hint=_NONE_HINT,
            retryable=False,
        )
    raise CredentialsUnavailable(
        "This computer has no system keyring that FlowPilot can use.",
        hint=_NONE_HINT,
        retryable=False,
    )


def _apart(backends: list[KeyringBackend]) -> list[KeyringBackend]:
    """Return the backends with every chain of several taken apart."""
    links: list[list[KeyringBackend]] = [
        getattr(one, "backends", None) or [one] for one in backends
    ]
    return [one for chain in links for one in chain]


def _unavailable(error: Exception) -> CredentialsUnavailable:
    # The words of a backend could quote what it was given: only the kind of error is told.
    kind = type(error).__name__
    if kind == "KeyringLocked":
        return CredentialsUnavailable("The system keyring is locked.")
    log.warning("The keyring failed with %s", kind)
    return CredentialsUnavailable(f"The system keyring refused ({kind}).")
