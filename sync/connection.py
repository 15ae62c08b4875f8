"""A connection to the queue's server that keeps its deadline, and the way to get one.

Nothing about a connection is left to the environment: which server, which authority vouches for
it, and that the password is proven rather than sent, all come from the invitation.
"""

from __future__ import annotations

import selectors
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from sync import authorities

if TYPE_CHECKING:
    from datetime import timedelta

    from psycopg.abc import PQGen
    from psycopg.rows import TupleRow

    from sync.invitation import Invitation

RV = TypeVar("RV")

SLICE = 0.1
"""Seconds between looks at the deadline and at `drop()` while waiting for the server."""
_COLUMNS = {
    "steps": ["number", "engineer_id", "at", "payload"],
    "package": ["package_schema", "payload"],
}
"""Of functions that answer a table; all others answer one column of their own name."""


class OutOfTimeError(psycopg.OperationalError):
    """The job's deadline passed, or its sockets were dropped."""


class GarbledError(psycopg.OperationalError):
    """What arrived is no answer to what was asked."""


class Connection(psycopg.Connection["TupleRow"]):
    """A connection that gives up at a deadline and when told to."""

    deadline = float("inf")
    abandoned: threading.Event | None = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # One message a statement. With the usual five, a network that fails between the fourth
        # and the last leaves a finished statement uncommitted, its team's lock held, and no
        # time limit of the server's running.
        self.cursor_factory = psycopg.ClientCursor

    def wait(self, gen: PQGen[RV], interval: float = SLICE, timeout: float | None = None) -> RV:  # noqa: ARG002  # the driver's signature
        """Run a conversation with the server, looking up every now and then."""
        limit = self.deadline
        if timeout is not None:
            limit = min(limit, time.monotonic() + timeout)
        try:
            wanted = next(gen)
            with selectors.DefaultSelector() as selector:
                selector.register(self.pgconn.socket, wanted)
                while True:
                    left = limit - time.monotonic()
                    ready = selector.select(timeout=max(0.0, min(SLICE, left)))
                    if ready:
                        now_wanted = gen.send(ready[0][1])
                        if now_wanted != wanted:
                            wanted = now_wanted
                            selector.modify(self.pgconn.socket, wanted)
                        continue
                    if time.monotonic() >= limit or (self.abandoned and self.abandoned.is_set()):
                        self.pgconn.finish()
                        raise OutOfTimeError("the connection was given up")
                    gen.send(0)
        except StopIteration as end:
            result: RV = end.value
            return result


@dataclass
class Session:
    """An open connection and what the server said when it opened."""

    connection: Connection
    api: int
    hello: dict[str, Any]
    skew: timedelta
    since: float

    def call(self, function: str, arguments: str, *values: object) -> list[TupleRow]:
        """Run one function of the version both sides speak and return its rows."""
        # Both parts are constants of this package; values travel apart from the statement.
        statement = f"select * from fp_v{self.api}.{function}({arguments})"  # noqa: S608
        cursor = self.connection.execute(statement.encode(), values)
        names = [column.name for column in cursor.description or ()]
        if names != _COLUMNS.get(function, [function]):
            raise GarbledError("the answer belongs to another question")
        return cursor.fetchall()

    def json(self, function: str, arguments: str = "", *values: object) -> Any:
        """Run a function that answers one JSON document."""
        rows = self.call(function, arguments, *values)
        if not rows:
            raise GarbledError("there is no answer")
        return rows[0][0]


class Dialer:
    """Knows where the server is and how it must prove itself."""

    def __init__(self, invitation: Invitation) -> None:
        self.invitation = invitation
        self._ca_file: Path | None = None
        self._lock = threading.Lock()  # two threads connect
        self._forgotten = False

    def connect(self, timeout: float) -> Connection:
        """Open a connection; a name look-up may take longer than the time-out, in seconds."""
        return Connection.connect(
            **self.parameters(),
            connect_timeout=max(1, round(timeout)),
            autocommit=True,
            prepare_threshold=None,  # a pooler may hand each statement to another backend
        )

    def parameters(self) -> dict[str, Any]:
        """Return the connection's parameters; nothing is left to the environment."""
        invitation = self.invitation
        parameters: dict[str, Any] = {
            "host": invitation.host,
            "port": invitation.port,
            "dbname": invitation.database,
            "user": invitation.role,
            "password": invitation.password,
            "application_name": "flowpilot",
            "client_encoding": "UTF8",
            "gssencmode": "disable",
            "require_auth": "scram-sha-256",
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "target_session_attrs": "any",
        }
        if invitation.plain:
            return parameters | {"sslmode": "disable", "channel_binding": "disable"}
        return parameters | {
            "sslmode": "verify-full",
            "sslrootcert": self._roots(),
            "channel_binding": "require",
            "ssl_min_protocol_version": "TLSv1.2",
            "sslcert": "",
            "sslkey": "",
            "sslcertmode": "disable",
        }

    def _roots(self) -> str:
        """Return a file of trusted authorities; the driver reads certificates from files only."""
        pem = self.invitation.ca_certificate
        if not pem and (known := authorities.file()) is not None:
            return known
        with self._lock:
            if self._forgotten:
                raise psycopg.OperationalError("the client was closed")
            if self._ca_file is None or not self._ca_file.exists():
                with tempfile.NamedTemporaryFile(
                    "w", prefix="flowpilot-ca-", suffix=".pem", delete=False, encoding="ascii"
                ) as file:
                    file.write(pem or authorities.pem())
                self._ca_file = Path(file.name)
            return str(self._ca_file)

    def forget(self) -> None:
        """Remove the authority's file, for good."""
        with self._lock:
            self._forgotten = True
            if self._ca_file is not None:
                self._ca_file.unlink(missing_ok=True)
                self._ca_file = None
