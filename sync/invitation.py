"""The one token that lets one engineer's desktop into the team queue.

    fpq1.<base64url of zlib-packed JSON>.<first 8 hex digits of its SHA-256>

Printable, one line, safe to paste from a mail that wrapped it. Whoever holds it holds the
password in it: it belongs into the keyring, and after the first connection the desktop should
change the password (`QueueClient.change_password`), which makes the pasted text worthless.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import re
import zlib
from dataclasses import dataclass, field, replace
from uuid import UUID

from sync.errors import InvitationError

PREFIX = "fpq1"
_LARGEST = 65_536
"""Octets of the unpacked JSON; a certificate chain has room, a bomb has not."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where the queue is and who we are there."""

    host: str
    port: int
    database: str
    role: str
    password: str = field(repr=False)
    team_id: UUID
    engineer_id: UUID
    ca_certificate: str = ""
    """PEM of a private authority; empty: the system's authorities."""
    plain: bool = False
    """Without TLS: only on loopback or a local socket."""

    def __post_init__(self) -> None:
        if self.plain and not is_local(self.host):
            raise InvitationError(
                "This invitation asks for an unencrypted connection to another computer.",
                hint="FlowPilot only does that on this computer itself. Ask for a new invitation.",
            )
        if not self.host or not self.database or not self.role or not self.password:
            raise InvitationError("The invitation lacks its host, database, role or password.")
        if not 0 < self.port < 65_536:  # noqa: PLR2004  # the range of ports
            raise InvitationError("The invitation's port is not between 1 and 65535.")

    def with_password(self, password: str) -> Invitation:
        """Return the same invitation with another password."""
        return replace(self, password=password)

    def token(self) -> str:
        """Return the printable form."""
        content = {
            "host": self.host,
            "port": self.port,
            "db": self.database,
            "role": self.role,
            "pw": self.password,
            "team": str(self.team_id),
            "me": str(self.engineer_id),
        }
        if self.ca_certificate:
            content["ca"] = self.ca_certificate
        if self.plain:
            content["plain"] = True
        packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)
        body = base64.urlsafe_b64encode(packed).decode().rstrip("=")
        return f"{PREFIX}.{body}.{_checksum(body)}"

    @staticmethod
    def parse(text: str) -> Invitation:
        """Read a pasted token; spaces, line breaks, quotes and soft hyphens don't matter.

        Raises InvitationError, which says what is wrong and never repeats the token.
        """
        token = re.sub(r"[\s\u00ad\u200b-\u200d\ufeff\"'<>`>|]+", "", text)
        if not token:
            raise InvitationError("There is no invitation here.")
        if not token.startswith(PREFIX + "."):
            if re.match(r"fpq\d+\.", token):
                raise InvitationError(
                    "This invitation was made for a newer FlowPilot.",
                    hint="Update FlowPilot, then paste it again.",
                )
            raise InvitationError("An invitation begins with “fpq1.”; this text does not.")
        parts = token.split(".")
        if len(parts) != 3:  # noqa: PLR2004  # prefix, body, checksum
            raise InvitationError("A part of the invitation is missing.")
        body, checksum = parts[1], parts[2]
        if checksum != _checksum(body):
            raise InvitationError("The invitation is incomplete or was changed on its way.")
        return _unpack(body)


def _checksum(body: str) -> str:
    return hashlib.sha256(f"{PREFIX}.{body}".encode()).hexdigest()[:8]


def _unpack(body: str) -> Invitation:
    try:
        packed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(packed, _LARGEST)
        if unpacker.unconsumed_tail:
            raise InvitationError("The invitation is larger than any invitation.")
        content = json.loads(raw)
        return Invitation(
            host=_text(content["host"]),
            port=int(content["port"]),
            database=_text(content["db"]),
            role=_text(content["role"]),
            password=_text(content["pw"]),
            team_id=UUID(content["team"]),
            engineer_id=UUID(content["me"]),
            ca_certificate=_text(content.get("ca", "")),
            plain=content.get("plain") is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, zlib.error) as error:
        # Not chained: the cause may quote parts of the secret.
        raise InvitationError(f"The invitation can't be read ({type(error).__name__}).") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def is_local(host: str) -> bool:
    """Whether a host is this computer: a socket folder, localhost or a loopback address."""
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
