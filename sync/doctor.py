"""Looks at a server and its queue for what would let somebody in, lose work or run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from sync.administration import OPEN_FUNCTIONS, migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sync.administration import Administration

FLOOR = {14: 19, 15: 14, 16: 10, 17: 6}
"""Oldest minor version of each major one that is free of known faults that matter here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is well, and what to do if not."""

    good: bool
    text: str
    advice: str = ""


class Doctor:
    """Examines, and changes nothing."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._connection = administration.connection
        self._one = administration.one

    def findings(self) -> list[Finding]:
        """Return everything looked at, good or not."""
        return [
            self._check_version(),
            self._check_schema(),
            *self._check_walls(),
            *self._check_server(),
        ]

    def _check_version(self) -> Finding:
        major, minor = divmod(self._connection.info.server_version, 10_000)
        return Finding(
            minor >= FLOOR.get(major, 0) and major >= min(FLOOR),
            f"Postgres {major}.{minor}",
            f"Update to {major}.{FLOOR.get(major, 0)} or newer: older ones have known faults.",
        )

    def _check_schema(self) -> Finding:
        newest, present = migrations()[-1].number, self._administration.schema_version()
        return Finding(present == newest, f"Schema version {present} of {newest}", "Run “migrate”.")

    def _check_walls(self) -> Iterator[Finding]:
        yield Finding(
            not self._one(
                "select has_database_privilege('public', current_database(), 'CONNECT')"
                " or has_database_privilege('public', current_database(), 'TEMP')"
            ),
            "Only engineers may connect to this database",
            "Run “init” again as the database's owner.",
        )
        open_tables = self._connection.execute(
            "select c.relname from pg_class c where c.relnamespace = to_regnamespace('fp')"
            " and c.relkind = 'r' and c.relname <> 'meta'"
            " and not (c.relrowsecurity and c.relforcerowsecurity)"
        ).fetchall()
        yield Finding(
            not open_tables,
            "Row-level security is forced on every table",
            f"It is missing on {', '.join(row[0] for row in open_tables)}: run “migrate”.",
        )
        loose = int(self._one(sql.SQL("select count(*) from ({}) f").format(OPEN_FUNCTIONS)))
        yield Finding(
            loose == 0,
            "Large objects, advisory locks and raw messages are closed to engineers",
            f"{loose} functions stay open; only a superuser can close them (“init”). They reach no "
            "row of the queue, but an engineer can fill the disk with large objects.",
        )

    def _check_server(self) -> Iterator[Finding]:
        yield Finding(
            self._one("select current_setting('ssl')") == "on",
            "The server speaks TLS",
            "Turn ssl on and allow only “hostssl … scram-sha-256” in pg_hba.conf; desktops refuse "
            "anything else.",
        )
        yield Finding(
            self._one("select current_setting('password_encryption')") == "scram-sha-256",
            "Passwords are stored as SCRAM",
            "Set password_encryption to scram-sha-256.",
        )
        yield Finding(
            self._one("select current_setting('fsync')") == "on"
            and self._one("select current_setting('synchronous_commit')") != "off",
            "A committed escalation survives a power cut",
            "Set fsync and synchronous_commit to on.",
        )
        allowed = int(self._one("select current_setting('max_connections')::int"))
        people = len(
            [engineer for engineer in self._administration.engineer_list() if engineer.active]
        )
        yield Finding(
            allowed >= people * 2 + 10,
            f"{allowed} connections for {people} engineers (two each: polling and nudges)",
            "Raise max_connections, or put PgBouncer 1.21 or newer before it (transaction mode).",
        )
        rules = self._plain_rules()
        if rules is not None:
            yield Finding(
                not rules,
                "pg_hba.conf lets nobody in from elsewhere without TLS",
                f"Lines {', '.join(map(str, rules))} allow “host” or “hostnossl” connections: use "
                "“hostssl”.",
            )

    def _plain_rules(self) -> list[int] | None:
        try:
            rows = self._connection.execute(
                "select line_number from pg_hba_file_rules where type in ('host', 'hostnossl')"
                " and auth_method <> 'reject' and coalesce(address, '') not in"
                " ('127.0.0.1', '::1', 'localhost', 'samehost')"
                " and (database && array['all', current_database()::text])"
            ).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            return None
        return [row[0] for row in rows]
