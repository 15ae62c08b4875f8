"""A computer's place in the team's queue: its invitation, kept and made unusable for others.

An invitation comes by mail or chat and is a secret as long as it works. Joining replaces its
password by one that nobody has seen; afterwards the pasted text lets nobody in::

    tried ─▶ successor in the keyring ─▶ invitation in the keyring ─▶ server changes ─▶ settled

Both lie in the keyring while the server changes, so whatever ends FlowPilot in between leaves one
that works: at the next contact the successor is tried first, then the invitation, and the change
is finished. A keyring that forgets at the end of the session gets no change: the invitation has to
work again tomorrow.

Certificates of an authority are no secret and too long for some keyrings (Windows keeps 2,560
bytes an item): they lie in the store, and are put back when the invitation is read.
"""

from __future__ import annotations

import asyncio
import secrets as randomness
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from flowpilot_desktop.core.errors import CredentialsUnavailable, InvalidInput, QueueNotOpen
from flowpilot_desktop.core.ports import Secrets
from sync.errors import InvitationError
from sync.invitation import Invitation

INVITATION_NAME = "team-queue"
"""The name under which the invitation lies in the keyring."""
SUCCESSOR_NAME = "team-queue-next"
"""The name of what takes the invitation's place, until the server is known to have changed."""
_AUTHORITY = "queue.authority"
_KEYRING_PAUSE = 60.0
"""Seconds until a keyring that refused is asked again."""
_PASSWORD_BYTES = 24
_AUTHORITY_BYTES = 32_768


class Memory(Protocol):
    """Where small things that are no secret are kept: the store."""

    async def remember(self, key: str, value: str) -> None:
        """Keep a value."""
        ...

    async def remembered(self, key: str) -> str | None:
        """Return it, or None."""
        ...


class Membership:
    """What is kept of an invitation. Raises QueueNotOpen where the keyring refuses."""

    def __init__(self, secrets: Secrets, memory: Memory) -> None:
        self._secrets = secrets
        self._memory = memory
        self._read: tuple[str, str] | None = None
        self._refused: tuple[float, QueueNotOpen] | None = None

    async def kept(self) -> tuple[str, str]:
        """Return the invitation and its successor, each empty when there is none.

        The keyring is asked once, and rarely while it refuses.
        """
        now = asyncio.get_running_loop().time()
        if self._read is not None:
            return self._read
        if self._refused is not None and now - self._refused[0] < _KEYRING_PAUSE:
            raise self._refused[1]
        try:
            token = await self._secrets.read(INVITATION_NAME) or ""
            following = await self._secrets.read(SUCCESSOR_NAME) or "" if token else ""
        except CredentialsUnavailable as error:
            refused = QueueNotOpen(error.message, why="keyring", hint=error.hint)
            self._refused = now, refused
            raise refused from error
        if following and not _belongs(following, token):
            following = ""
        self._read = await self._whole(token), await self._whole(following)
        return self._read

    async def bare(self) -> str:
        """Return the invitation without an authority that was not in it."""
        invitation = _parsed((await self.kept())[0])
        return "" if invitation is None else _bare(invitation)

    async def prepare(self, token: str) -> str:
        """Keep an invitation that works, and what is to follow it; return the latter.

        Empty when nothing follows: the practice company's, or a keyring that forgets.
        """
        invitation = _parsed(token)
        if invitation is None or not self._secrets.is_lasting:
            await self._take(token)
            return ""
        password = randomness.token_urlsafe(_PASSWORD_BYTES)
        following = invitation.with_password(password)
        await self._secrets.write(SUCCESSOR_NAME, _bare(following))
        await self._take(token, is_alone=False)
        return following.token()

    async def settle(self, token: str) -> None:
        """Keep this one alone: it is the one that works."""
        await self._take(token)

    async def forget(self) -> None:
        """Keep nothing."""
        invitation = _parsed((await self.kept())[0])
        await self._secrets.delete(INVITATION_NAME)
        await self._secrets.delete(SUCCESSOR_NAME)
        if invitation is not None:
            await self._memory.remember(_place(invitation), "")
        self.read_again()

    def read_again(self) -> None:
        """Ask the keyring at the next look."""
        self._read = self._refused = None

    # Inside

    async def _take(self, token: str, *, is_alone: bool = True) -> None:
        self.read_again()
        invitation = _parsed(token)
        if invitation is not None:
            if invitation.ca_certificate:
                await self._memory.remember(_place(invitation), invitation.ca_certificate)
            token = _bare(invitation)
        await self._secrets.write(INVITATION_NAME, token)
        if is_alone:
            await self._secrets.delete(SUCCESSOR_NAME)

    async def _whole(self, token: str) -> str:
        """Return a kept invitation with its authority put back."""
        invitation = _parsed(token)
        if invitation is None or invitation.plain or invitation.ca_certificate:
            return token
        pem = await self._memory.remembered(_place(invitation)) or ""
        return replace(invitation, ca_certificate=pem).token() if pem else token


def with_authority(token: str, pem: str) -> str:
    """Return an invitation that trusts this authority; without one it is returned as it is."""
    invitation = _parsed(token)
    if invitation is None or not pem or invitation.plain:
        return token
    return replace(invitation, ca_certificate=pem).token()


def lacks_authority(token: str) -> bool:
    """Return whether an invitation leaves it to the computer whom to trust."""
    invitation = _parsed(token)
    return invitation is not None and not invitation.plain and not invitation.ca_certificate


def password(token: str) -> str:
    """Return the password of an invitation."""
    return Invitation.parse(token).password


def authority(path: Path) -> str:
    """Read a certificate authority's file, PEM or DER, as PEM. Raises InvalidInput."""
    hint = "Ask for the certificate of the authority alone: a .pem, .crt or .cer file."
    try:
        if path.stat().st_size > _AUTHORITY_BYTES:
            raise InvalidInput(f"{path.name} is too large for a certificate.", hint=hint)
        content = path.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InvalidInput(f"{path.name} can't be read: {why}.") from error
    if b"PRIVATE KEY" in content:
        raise InvalidInput(f"{path.name} contains a private key. It was not taken.", hint=hint)
    try:
        is_text = b"-----BEGIN CERTIFICATE-----" in content
        pem = content.decode("ascii") if is_text else ssl.DER_cert_to_PEM_cert(content)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(f"{path.name} is no certificate.", hint=hint) from error
    return pem


def _parsed(token: str) -> Invitation | None:
    try:
        return Invitation.parse(token)
    except InvitationError:
        return None


def _bare(invitation: Invitation) -> str:
    return replace(invitation, ca_certificate="").token()


def _place(invitation: Invitation) -> str:
    return f"{_AUTHORITY}.{invitation.engineer_id}"


def _belongs(following: str, token: str) -> bool:
    one, other = _parsed(following), _parsed(token)
    return (
        one is not None and other is not None and (one.role, one.host) == (other.role, other.host)
    )
