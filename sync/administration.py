"""What whoever runs Postgres does: install, invite, disable, tidy up, look.

Three roles per database, none of which logs in: the *owner* of schema and functions, the
*engineer* group that may execute the functions, and the *administration* that may read and
tidy the tables. The person at the command line connects as a superuser, or, on a managed
service, as the role that owns the database and may create roles; what then can't be done is
reported, not hidden.

Each engineer of a team gets a login role with an opaque name, because every role of a server
can read the names of all others.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from sync import wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

OLDEST = 14
"""Major version of Postgres."""
OPERATIONS_KEPT = 60
"""Days; desktops offer operations again for 30."""
_PRUNE_BATCH = 5_000
CONNECTIONS = 8
"""An engineer's connections: two desktops with two each, and as many that the network lost."""
SESSION = {
    "idle_session_timeout": "3min",
    "idle_in_transaction_session_timeout": "30s",
    "statement_timeout": "15s",
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""What rids the server of desktops that vanished; polls and nudges keep a living one awake.

An engineer may change these for themselves: they are a courtesy, `reap` is the rule."""


class AdministrationError(Exception):
    """Something the person at the command line has to know."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations/`."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """Return all migrations in their order."""
    found = [
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in resources.files("sync").joinpath("migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A new login: shown once, stored nowhere."""

    team_id: UUID
    engineer_id: UUID
    role: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Engineer:
    """One row of `list`."""

    team_id: UUID
    team: str
    engineer_id: UUID
    display_name: str
    role: str
    active: bool
    last_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `prune` did."""

    expired: int
    escalations: int
    packages: int
    operations: int
    reaped: int


@dataclass(frozen=True, slots=True)
class TeamStatus:
    """One team of `status`."""

    team_id: UUID
    name: str
    engineers: int
    open: int
    claimed: int
    ended: int
    oldest_waiting: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` shows."""

    server_version: str
    schema_version: int
    epoch: UUID
    database_size: str
    table_sizes: dict[str, str]
    connections: int
    connections_allowed: int
    teams: list[TeamStatus]


class Administration:
    """The administration of the queue in the database that `connection` is connected to."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        connection.autocommit = True
        self.database = connection.info.dbname
        stem = self.database[:50]
        self.owner = f"{stem}_owner"
        self.engineers = f"{stem}_engineer"
        self.administration = f"{stem}_admin"

    def address(self) -> tuple[str, int]:
        """Return the host and port this connection was made to."""
        return self.connection.info.host, self.connection.info.port

    # --- schema -----------------------------------------------------------------------

    def init(self, *, to: int | None = None) -> list[str]:
        """Prepare an empty database; repeatable. Return what could not be done, and why."""
        version = self.connection.info.server_version // 10_000
        if version < OLDEST:
            raise AdministrationError(f"Postgres {version} is too old; {OLDEST} is needed.")
        for role in (self.owner, self.engineers, self.administration):
            self._create_group(role)
        missed = self._close_database()
        self.migrate(to=to)
        return missed + self._close_catalogue()

    def migrate(self, *, to: int | None = None) -> list[Migration]:
        """Bring the schema to the newest version (or `to`); return what was applied."""
        applied = []
        present = self.schema_version()
        known = migrations()
        if present > known[-1].number:
            raise AdministrationError(
                f"The schema has version {present}; this flowpilot-queue knows {known[-1].number}. "
                "Use a newer one."
            )
        for migration in known:
            if migration.number <= present or (to is not None and migration.number > to):
                continue
            with self._as(self.owner):
                self.connection.execute(self._text(migration))
            applied.append(migration)
        return applied

    def schema_version(self) -> int:
        """Return the schema's version; 0 when there is none."""
        row = self.connection.execute("select to_regnamespace('fp')").fetchone()
        if row is None or row[0] is None:
            return 0
        with self._as(self.administration):
            return int(self.one("select schema_version from fp.meta"))

    def require_api(self, *, read: int | None = None, write: int | None = None) -> None:
        """Turn clients that speak older functions away, or make them read-only."""
        with self._as(self.administration):
            self.connection.execute(
                "update fp.meta set min_api = coalesce(%s, min_api),"
                " min_api_write = coalesce(%s, min_api_write)",
                (read, write),
            )

    def restore_epoch(self) -> UUID:
        """Say that the database came back from a backup: desktops then offer their work again."""
        with self._as(self.administration):
            return UUID(
                str(self.one("update fp.meta set epoch = gen_random_uuid() returning epoch"))
            )

    # --- people -----------------------------------------------------------------------

    def add_team(self, name: str) -> UUID:
        """Create a team and return its id."""
        clean = wire.display_name(name)
        if not clean:
            raise AdministrationError("A team needs a name.")
        team = uuid4()
        with self._as(self.administration):
            self.connection.execute(
                "insert into fp.team (id, name, channel) values (%s, %s, %s)",
                (team, clean, f"fp_{secrets.token_hex(12)}"),
            )
        return team

    def add_engineer(self, team: UUID, name: str) -> Credentials:
        """Create an engineer and their login."""
        clean = wire.display_name(name)
        if not clean:
            raise AdministrationError("An engineer needs a name that can be shown.")
        made = Credentials(team, uuid4(), f"fp_{secrets.token_hex(10)}", secrets.token_urlsafe(24))
        with self.connection.transaction():
            self.connection.execute(
                sql.SQL("create role {} login connection limit {} in role {} password {}").format(
                    sql.Identifier(made.role),
                    sql.Literal(CONNECTIONS),
                    sql.Identifier(self.engineers),
                    sql.Literal(self._secret(made.role, made.password)),
                )
            )
            session = dict(SESSION)
            if self.connection.info.server_version >= 170_000:  # noqa: PLR2004  # Postgres 17
                session["transaction_timeout"] = "30s"
            for setting, value in session.items():
                self.connection.execute(
                    sql.SQL("alter role {} set {} = {}").format(
                        sql.Identifier(made.role), sql.Identifier(setting), sql.Literal(value)
                    )
                )
            with self._as(self.administration):
                if not self.connection.execute(
                    "select 1 from fp.team where id = %s for no key update", (team,)
                ).fetchone():
                    raise AdministrationError(f"There is no team {team}.")
                self.connection.execute(
                    "insert into fp.member (team_id, engineer_id, display) values (%s, %s, %s)",
                    (team, made.engineer_id, clean),
                )
                self.connection.execute(
                    "insert into fp.login (role_name, team_id, engineer_id) values (%s, %s, %s)",
                    (made.role, team, made.engineer_id),
                )
        return made

    def rotate(self, engineer: UUID) -> Credentials:
        """Give an engineer a new password; open connections of the old one end."""
        team, role = self._login(engineer)
        password = secrets.token_urlsafe(24)
        self.connection.execute(
            sql.SQL("alter role {} login password {}").format(
                sql.Identifier(role), sql.Literal(self._secret(role, password))
            )
        )
        with self._as(self.administration):
            self._set_active(team, engineer, active=True)
        self._terminate(role)
        return Credentials(team, engineer, role, password)

    def disable_engineer(self, engineer: UUID) -> int:
        """Shut an engineer out at once; return how many open connections were ended.

        Their name stays readable in the history. Functions refuse them from this moment even
        where the connections can't be ended.
        """
        team, role = self._login(engineer)
        with self._as(self.administration):
            self._set_active(team, engineer, active=False)
        self.connection.execute(
            sql.SQL("alter role {} nologin password null").format(sql.Identifier(role))
        )
        return self._terminate(role)

    def engineer_list(self) -> list[Engineer]:
        """Return everybody, by team and name."""
        with self._as(self.administration):
            seen = sql.SQL(
                "(select p.last_seen from fp.presence p where p.team_id = m.team_id"
                " and p.engineer_id = m.engineer_id)"
                if self._has_presence()
                else "null::timestamptz"
            )
            rows = self.connection.execute(
                sql.SQL(
                    "select t.id, t.name, m.engineer_id, m.display, l.role_name,"
                    " m.active and l.active, {} from fp.team t"
                    " join fp.member m on m.team_id = t.id join fp.login l"
                    " on l.team_id = m.team_id and l.engineer_id = m.engineer_id"
                    " order by lower(t.name), t.id, lower(m.display), m.engineer_id"
                ).format(seen)
            ).fetchall()
        return [Engineer(*row) for row in rows]

    # --- upkeep -----------------------------------------------------------------------

    def prune(self, *, keep_days: int = 365, keep_packages_days: int = 30) -> Pruned:
        """Expire what is overdue and remove what has ended long ago.

        Cursors below what was removed are told to resync. Ended escalations lose packages and
        steps after `keep_packages_days`, everything after `keep_days`.
        """
        if keep_days < 31 or keep_packages_days < 1:  # noqa: PLR2004  # desktops look back 30 days
            raise AdministrationError("Ended escalations are kept for at least 31 days.")
        expired = escalations = packages = 0
        with self._as(self.administration):
            teams = [row[0] for row in self.connection.execute("select id from fp.team")]
        for team in teams:
            expired += self._expire(team)
            while gone := self._remove(team, keep_days):
                escalations += gone
            packages += self._empty(team, keep_packages_days)
        with self._as(self.administration):
            operations = self.connection.execute(
                "delete from fp.op where at < clock_timestamp() - make_interval(days => %s)",
                (OPERATIONS_KEPT,),
            ).rowcount
        return Pruned(expired, escalations, packages, operations, self.reap())

    def reap(self, *, idle_seconds: int = 60) -> int:
        """End engineers' transactions that were left open; they may hold their team's lock."""
        rows = self.connection.execute(
            "select pg_terminate_backend(a.pid) from pg_stat_activity a"
            " where a.datname = current_database()"
            " and a.xact_start < clock_timestamp() - make_interval(secs => %s)"
            " and pg_has_role(a.usename, %s, 'member') and a.pid <> pg_backend_pid()"
            " and not (select r.rolsuper from pg_roles r where r.rolname = a.usename)",
            (idle_seconds, self.engineers),
        ).fetchall()
        return sum(1 for row in rows if row[0])

    def status(self) -> Status:
        """Return sizes, the oldest waiting and the connections."""
        info = self.connection.info.server_version
        with self._as(self.administration):
            teams = [
                TeamStatus(*row)
                for row in self.connection.execute(
                    "select t.id, t.name,"
                    " (select count(*) from fp.member m where m.team_id = t.id and m.active),"
                    " count(e.id) filter (where e.state = 'open'),"
                    " count(e.id) filter (where e.state = 'claimed'),"
                    " count(e.id) filter (where e.ended_at is not null),"
                    " min(e.raised_at) filter (where e.state = 'open')"
                    " from fp.team t left join fp.escalation e on e.team_id = t.id"
                    " group by t.id, t.name order by lower(t.name), t.id"
                )
            ]
            meta = self.connection.execute("select schema_version, epoch from fp.meta").fetchone()
        assert meta is not None
        sizes = self.connection.execute(
            "select c.relname, pg_size_pretty(pg_total_relation_size(c.oid)) from pg_class c"
            " where c.relnamespace = 'fp'::regnamespace and c.relkind = 'r'"
            " order by pg_total_relation_size(c.oid) desc"
        ).fetchall()
        return Status(
            server_version=f"{info // 10_000}.{info % 10_000}",
            schema_version=meta[0],
            epoch=meta[1],
            database_size=str(
                self.one("select pg_size_pretty(pg_database_size(current_database()))")
            ),
            table_sizes=dict(sizes),
            connections=int(
                self.one("select count(*) from pg_stat_activity where datname = current_database()")
            ),
            connections_allowed=int(self.one("select current_setting('max_connections')::int")),
            teams=teams,
        )

    # --- init's parts -----------------------------------------------------------------

    def _create_group(self, role: str) -> None:
        name = sql.Identifier(role)
        if not self.connection.execute(
            "select 1 from pg_roles where rolname = %s", (role,)
        ).fetchone():
            self.connection.execute(sql.SQL("create role {} nologin").format(name))
        if role != self.engineers and not self.one(
            "select usesuper from pg_user where usename = current_user"
        ):
            # Without being a superuser we must be a member to act as the role.
            self.connection.execute(sql.SQL("grant {} to current_user").format(name))

    def _close_database(self) -> list[str]:
        database = sql.Identifier(self.database)
        missed = []
        for statement, why in (
            (
                sql.SQL("revoke all on database {} from public").format(database),
                "Other roles of this server may still connect to this database.",
            ),
            (
                sql.SQL("grant connect on database {} to {}").format(
                    database, sql.Identifier(self.engineers)
                ),
                "Engineers may not be able to connect.",
            ),
            (
                sql.SQL("grant connect, create on database {} to {}").format(
                    database, sql.Identifier(self.owner)
                ),
                "The schema can't be created.",
            ),
            (
                sql.SQL("revoke all on schema public from public"),
                "Engineers may still create things in the schema “public”.",
            ),
        ):
            if not self._try(statement):
                missed.append(why)
        return missed

    def _close_catalogue(self) -> list[str]:
        """Close built-in functions that a queue needs not; only a superuser can."""
        rows = self.connection.execute(sql.SQL("select f.name from ({}) f").format(OPEN_FUNCTIONS))
        closed = [
            self._try(sql.SQL("revoke execute on function {} from public").format(sql.SQL(row[0])))
            for row in rows.fetchall()
        ]
        self._try(
            sql.SQL("grant usage on language plpgsql to {}").format(sql.Identifier(self.owner))
        )
        self._try(sql.SQL("revoke usage on language plpgsql from public"))
        left = int(self.one(sql.SQL("select count(*) from ({}) f").format(OPEN_FUNCTIONS)))
        if not left and all(closed):
            return []
        return [
            (
                f"{left} built-in functions (large objects, advisory locks, raw messages) stay"
                " open to engineers: only a superuser can close them. They reach no row."
            )
        ]

    def _text(self, migration: Migration) -> bytes:
        text = migration.text
        for mark, role in (
            ("@owner@", self.owner),
            ("@engineer@", self.engineers),
            ("@admin@", self.administration),
        ):
            text = text.replace(mark, sql.Identifier(role).as_string(self.connection))
        return text.encode()

    # --- prune's parts ----------------------------------------------------------------

    def _expire(self, team: UUID) -> int:
        with self._as(self.administration):
            row = self.connection.execute(
                "select seq from fp.team where id = %s for no key update", (team,)
            ).fetchone()
            assert row is not None
            seq = row[0]
            due = self.connection.execute(
                "select id from fp.escalation where team_id = %s and state = 'open'"
                " and expires_at <= clock_timestamp() order by id for update",
                (team,),
            ).fetchall()
            for number, (escalation,) in enumerate(due, seq + 1):
                self.connection.execute(
                    "with e as (update fp.escalation set state = 'expired', fence = fence + 1,"
                    " version = version + 1, team_seq = %s, ended_at = clock_timestamp()"
                    " where team_id = %s and id = %s returning *), h as ("
                    " update fp.hop h set ended_at = e.ended_at, ended_how = 'expired' from e"
                    " where h.team_id = e.team_id and h.escalation_id = e.id"
                    " and h.number = e.hop_count)"
                    " insert into fp.event"
                    " (team_id, escalation_id, version, at, actor, kind, fence)"
                    " select e.team_id, e.id, e.version, e.ended_at, e.originator, 'expire',"
                    " e.fence from e",
                    (number, team, escalation),
                )
            self.connection.execute(
                "update fp.team set seq = %s where id = %s", (seq + len(due), team)
            )
        return len(due)

    def _remove(self, team: UUID, keep_days: int) -> int:
        with self._as(self.administration):
            self.connection.execute(
                "select 1 from fp.team where id = %s for no key update", (team,)
            )
            row = self.connection.execute(
                "with gone as (delete from fp.escalation where (team_id, id) in ("
                " select team_id, id from fp.escalation where team_id = %s"
                " and ended_at < clock_timestamp() - make_interval(days => %s) limit %s)"
                " returning team_seq) select count(*), max(team_seq) from gone",
                (team, keep_days, _PRUNE_BATCH),
            ).fetchone()
            assert row is not None
            if row[0]:
                # Who has not read past these may have missed how they ended.
                self.connection.execute(
                    "update fp.team set floor_seq = greatest(floor_seq, %s) where id = %s",
                    (row[1], team),
                )
        return int(row[0])

    def _empty(self, team: UUID, keep_days: int) -> int:
        old = sql.SQL(
            "select e.id from fp.escalation e where e.team_id = %s"
            " and e.ended_at < clock_timestamp() - make_interval(days => %s)"
        )
        with self._as(self.administration):
            packages = self.connection.execute(
                sql.SQL(
                    "update fp.hop set package = null, package_schema = null where team_id = %s"
                    " and package is not null and escalation_id in ({})"
                ).format(old),
                (team, team, keep_days),
            ).rowcount
            self.connection.execute(
                sql.SQL("delete from fp.step where team_id = %s and escalation_id in ({})").format(
                    old
                ),
                (team, team, keep_days),
            )
        return packages

    # --- plumbing ---------------------------------------------------------------------

    @contextmanager
    def _as(self, role: str) -> Iterator[None]:
        """Act as one of the three roles for one transaction."""
        with self.connection.transaction():
            before = self.one("select current_user")
            self.connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            yield
            self.connection.execute(
                sql.SQL("set local role {}").format(sql.Identifier(str(before)))
            )

    def one(self, query: LiteralString | sql.Composed) -> Any:
        """Return the first column of the first row."""
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return row[0]

    def _try(self, statement: sql.Composable) -> bool:
        """Run a statement that may be beyond our rights; True when it was carried out."""
        notices: list[str] = []

        def note(diagnostic: psycopg.errors.Diagnostic) -> None:
            notices.append(diagnostic.sqlstate or "")

        self.connection.add_notice_handler(note)
        try:
            with self.connection.transaction():
                self.connection.execute(sql.Composed([statement]))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject):
            return False
        finally:
            self.connection.remove_notice_handler(note)
        return not any(state in ("01006", "01007") for state in notices)

    def _secret(self, role: str, password: str) -> str:
        """Return the SCRAM verifier, so that the password itself reaches no server log."""
        return self.connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()

    def _login(self, engineer: UUID) -> tuple[UUID, str]:
        with self._as(self.administration):
            row = self.connection.execute(
                "select team_id, role_name from fp.login where engineer_id = %s", (engineer,)
            ).fetchone()
        if row is None:
            raise AdministrationError(f"There is no engineer {engineer}.")
        return row[0], row[1]

    def _set_active(self, team: UUID, engineer: UUID, *, active: bool) -> None:
        self.connection.execute("select 1 from fp.team where id = %s for no key update", (team,))
        for table in ("member", "login"):
            self.connection.execute(
                sql.SQL("update fp.{} set active = %s where engineer_id = %s").format(
                    sql.Identifier(table)
                ),
                (active, engineer),
            )

    def _terminate(self, role: str) -> int:
        try:
            rows = self.connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (role,)
            ).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            return 0
        return sum(1 for row in rows if row[0])

    def _has_presence(self) -> bool:
        return self.one("select to_regclass('fp.presence') is not null") is True


OPEN_FUNCTIONS = sql.SQL(
    "select p.oid::regprocedure::text as name from pg_proc p"
    " where p.pronamespace = 'pg_catalog'::regnamespace"
    " and (p.proname ~ '^lo_' or p.proname in ('lowrite', 'loread', 'pg_logical_emit_message')"
    " or p.proname ~ '^pg_(try_)?advisory_')"
    " and has_function_privilege('public', p.oid, 'execute')"
)
