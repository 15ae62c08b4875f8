"""`flowpilot-queue`: for whoever runs the Postgres that a team's desktops share.

Connects as a superuser, or, on a managed service, as the role that owns the database and may
create roles: with `--dsn`, with FLOWPILOT_QUEUE_DSN, or with the PG… variables that psql knows.

    flowpilot-queue init                     once, in an empty database
    flowpilot-queue add-team "Helpdesk"
    flowpilot-queue add-engineer TEAM "Ann Other" --host db.example.com
    flowpilot-queue doctor
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from sync.administration import Administration, AdministrationError, Credentials
from sync.doctor import Doctor
from sync.errors import InvitationError
from sync.invitation import Invitation, is_local

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG = 1
UNREACHABLE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status (0 done, 1 wrong, 2 usage, 3 unreachable)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an old code page lacks some of our signs
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        with psycopg.connect(options.dsn, application_name="flowpilot-queue") as connection:
            status: int = options.command(Administration(connection), options)
            return status
    except (AdministrationError, InvitationError) as error:
        return _complain(str(error), WRONG)
    except psycopg.errors.InsufficientPrivilege as error:
        return _complain(
            f"{_first_line(error)}. Connect as a superuser, or as the role that owns the database "
            "and may create roles.",
            WRONG,
        )
    except psycopg.OperationalError as error:
        return _complain(f"Postgres can't be reached: {_first_line(error)}", UNREACHABLE)
    except psycopg.Error as error:
        return _complain(f"Postgres refused: {_first_line(error)}", WRONG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowpilot-queue",
        description="Set up and look after the Postgres database that a team's desktops share.",
    )
    parser.add_argument(
        "--dsn",
        default=os.environ.get("FLOWPILOT_QUEUE_DSN", ""),
        help="connection string of the administrator (default: FLOWPILOT_QUEUE_DSN, PG… variables)",
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: object, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("init", _init, "install the queue in an empty database; safe to repeat")
    migrate = add("migrate", _migrate, "bring the schema to this program's version")
    migrate.add_argument(
        "--require-write-api", type=int, metavar="N", help="make older desktops read-only"
    )
    migrate.add_argument("--require-read-api", type=int, metavar="N", help="turn older ones away")
    team = add("add-team", _add_team, "create a team")
    team.add_argument("name")
    engineer = add("add-engineer", _add_engineer, "create an engineer and print an invitation")
    engineer.add_argument("team", type=UUID, help="the team's id, as “list” shows it")
    engineer.add_argument("name", help="the name teammates see")
    rotate = add("rotate", _rotate, "give an engineer a new password and print an invitation")
    rotate.add_argument("engineer", type=UUID)
    for sub in (engineer, rotate):
        sub.add_argument("--host", help="what desktops connect to (default: as this program did)")
        sub.add_argument("--port", type=int, help="the same for the port (a pooler's, perhaps)")
        sub.add_argument("--ca", type=Path, help="PEM file of a private certificate authority")
        sub.add_argument(
            "--plain", action="store_true", help="without TLS: desktops on this computer only"
        )
    add("list", _list, "list teams and engineers")
    disable = add("disable-engineer", _disable, "shut an engineer out at once")
    disable.add_argument("engineer", type=UUID)
    prune = add("prune", _prune, "expire what is overdue and remove what ended long ago")
    prune.add_argument("--keep-days", type=int, default=365, help="default 365, at least 31")
    prune.add_argument("--keep-packages-days", type=int, default=30, help="default 30")
    add("reap", _reap, "end engineers' transactions left open for a minute (also part of prune)")
    add("restore-epoch", _restore, "after restoring a backup: desktops offer their work again")
    add("status", _status, "show sizes, the oldest waiting and the connections")
    add("doctor", _doctor, "look for what would let somebody in, lose work or run out")
    return parser


# --- commands --------------------------------------------------------------------------------


def _init(administration: Administration, _: argparse.Namespace) -> int:
    missed = administration.init()
    _say(f"The queue is installed in “{administration.database}”.")
    for why in missed:
        _say(f"  Could not be done with these rights: {why}")
    _say("Next: add-team, then add-engineer. “doctor” shows what to look after.")
    return 0


def _migrate(administration: Administration, options: argparse.Namespace) -> int:
    applied = administration.migrate()
    for migration in applied:
        _say(f"Applied {migration.number:04} {migration.name}.")
    if not applied:
        _say("Nothing to apply.")
    if options.require_write_api or options.require_read_api:
        administration.require_api(read=options.require_read_api, write=options.require_write_api)
        _say("Older desktops are turned away as asked.")
    return 0


def _add_team(administration: Administration, options: argparse.Namespace) -> int:
    _say(str(administration.add_team(options.name)))
    return 0


def _add_engineer(administration: Administration, options: argparse.Namespace) -> int:
    authority = _authority(options)
    made = administration.add_engineer(options.team, options.name)
    return _invite(administration, options, made, authority)


def _rotate(administration: Administration, options: argparse.Namespace) -> int:
    authority = _authority(options)
    return _invite(administration, options, administration.rotate(options.engineer), authority)


def _list(administration: Administration, _: argparse.Namespace) -> int:
    engineers = administration.engineer_list()
    known = {engineer.team_id for engineer in engineers}
    for team in administration.status().teams:
        _say(f"{team.team_id}  {team.name}")
        for engineer in engineers:
            if engineer.team_id == team.team_id:
                shut = "" if engineer.active else "  (disabled)"
                seen = _ago(engineer.last_seen) if engineer.last_seen else "never seen"
                _say(f"    {engineer.engineer_id}  {engineer.display_name}{shut}  {seen}")
        if team.team_id not in known:
            _say("    (nobody yet)")
    return 0


def _disable(administration: Administration, options: argparse.Namespace) -> int:
    ended = administration.disable_engineer(options.engineer)
    _say(f"Shut out; {ended} open connections were ended.")
    return 0


def _prune(administration: Administration, options: argparse.Namespace) -> int:
    pruned = administration.prune(
        keep_days=options.keep_days, keep_packages_days=options.keep_packages_days
    )
    for field in fields(pruned):
        _say(f"{field.name:>12}  {getattr(pruned, field.name):,}")
    return 0


def _reap(administration: Administration, _: argparse.Namespace) -> int:
    _say(f"{administration.reap()} connections with an open transaction were ended.")
    return 0


def _restore(administration: Administration, _: argparse.Namespace) -> int:
    _say(f"New epoch {administration.restore_epoch()}: desktops will offer their work again.")
    return 0


def _status(administration: Administration, _: argparse.Namespace) -> int:
    status = administration.status()
    _say(f"Postgres {status.server_version}, schema {status.schema_version}, epoch {status.epoch}")
    _say(f"{status.connections} of {status.connections_allowed} connections in this database")
    _say(f"{status.database_size} in all")
    for table, size in status.table_sizes.items():
        _say(f"    {table:<12} {size}")
    for team in status.teams:
        oldest = _ago(team.oldest_waiting) if team.oldest_waiting else "nothing waits"
        _say(
            f"{team.name}: {team.engineers} engineers, {team.open} open, {team.claimed} picked up, "
            f"{team.ended} ended; oldest waiting: {oldest}"
        )
    return 0


def _doctor(administration: Administration, _: argparse.Namespace) -> int:
    findings = Doctor(administration).findings()
    for finding in findings:
        _say(f"{'ok  ' if finding.good else 'LOOK'}  {finding.text}")
        if not finding.good and finding.advice:
            _say(f"        {finding.advice}")
    _say(
        "After restoring a backup run “restore-epoch” before anybody connects; a cron line for "
        "“prune” once a night keeps the tables small."
    )
    return 0 if all(finding.good for finding in findings) else WRONG


# --- invitations -----------------------------------------------------------------------------


def _authority(options: argparse.Namespace) -> str:
    """Read the authority before anything is changed."""
    if options.ca is None:
        return ""
    try:
        text: str = options.ca.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise AdministrationError(f"{options.ca} can't be read: {error}") from None
    if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
        raise AdministrationError(f"{options.ca} is not a PEM file of certificates alone.")
    return text


def _invite(
    administration: Administration, options: argparse.Namespace, made: Credentials, authority: str
) -> int:
    host, port = administration.address()
    host = options.host or host
    invitation = Invitation(
        host=host,
        port=options.port or port,
        database=administration.database,
        role=made.role,
        password=made.password,
        team_id=made.team_id,
        engineer_id=made.engineer_id,
        ca_certificate=authority,
        plain=options.plain,
    )
    if is_local(host) and not options.plain:
        _note("Note: this invitation only works on this computer; use --host for others.")
    _note("The invitation below is shown once and holds the password: hand it over safely.")
    _say(invitation.token())
    return 0


# --- the terminal ----------------------------------------------------------------------------


def _ago(then: datetime) -> str:
    seconds = (datetime.now(UTC) - then).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def _complain(text: str, status: int) -> int:
    _note(f"flowpilot-queue: {text}")
    return status


if __name__ == "__main__":
    sys.exit(main())
