"""Named attempts of somebody with a valid login and psql.

Each is one statement, or a few, run as an engineer of another team and again as one whose access
was revoked while connected. What comes back is searched for anything that belongs to the victim
team; afterwards the victim's tables must be what they were. An attempt may fail, or succeed and
bring nothing.

Marks: `@v@` the newest functions' schema, `@id@` the victim's open escalation, `@claimed@` one
that is picked up, `@team@`, `@me@` (an engineer of the victim team), `@role@` (that engineer's
role), `@own@` an escalation of the attacker's own team, `@owner@`, `@admin@`, `@db@`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from tests.simulators.postgres import QueueDatabase

TABLES = ("meta", "team", "member", "login", "escalation", "hop", "step", "op", "event", "presence")
OP = "gen_random_uuid()"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Statements under a name; all run on one connection in autocommit."""

    name: str
    statements: tuple[str, ...]


def _of(name: str, *statements: str) -> Attempt:
    return Attempt(name, statements)


def attempts() -> list[Attempt]:
    """Return all attempts."""
    read = "select * from fp.escalation"
    found = []
    for table in TABLES:
        found += [
            _of(f"read table {table}", f"select * from fp.{table}"),
            _of(f"write table {table}", f"delete from fp.{table}", f"truncate fp.{table} cascade"),
            _of(f"copy table {table} out", f"copy fp.{table} to stdout"),
        ]
    found += [
        # direct changes
        _of("update escalation", "update fp.escalation set handler = null, state = 'open'"),
        _of("insert escalation", "insert into fp.escalation select * from fp.escalation"),
        _of("insert login", "insert into fp.login values (session_user, '@team@', '@me@', true)"),
        _of("move own login", "update fp.login set team_id = '@team@', engineer_id = '@me@'"),
        _of("copy table in", "copy fp.login from stdin"),
        _of("copy from program", "copy fp.login from program 'id'"),
        _of("copy query out", f"copy ({read}) to stdout"),
        _of("copy to file", f"copy ({read}) to '/tmp/stolen'"),
        _of("lock table", "lock table fp.team in access exclusive mode"),
        _of("merge", "merge into fp.team t using (select 1) s on true when matched then delete"),
        _of("select for update", f"{read} for update"),
        # DDL on what is not theirs
        _of("disable row security", "alter table fp.escalation disable row level security"),
        _of("unforce row security", "alter table fp.escalation no force row level security"),
        _of("own policy", "create policy mine on fp.escalation using (true)"),
        _of("drop policy", "drop policy own_team on fp.escalation"),
        _of("own trigger", "create trigger t after insert on fp.op execute function fp_v1.nudge()"),
        _of("own rule", "create rule r as on insert to fp.op do also select 1"),
        _of("replace my_team", "create or replace function fp.my_team() returns uuid language sql"
            " as $$ select '@team@'::uuid $$"),
        _of("replace api", "create or replace function @v@.hello() returns jsonb language sql"
            " as $$ select '{}'::jsonb $$"),
        _of("drop schema", "drop schema fp cascade"),
        _of("drop api", "drop schema @v@ cascade"),
        _of("rename schema", "alter schema fp rename to gone"),
        _of("own schema", "create schema evil"),
        _of("view in public", "create view public.v as select * from fp.escalation"),
        _of("table in public", "create table public.pg_proc (a int)"),
        _of("function in public", "create function public.sha256(bytea) returns bytea language sql"
            " as $$ select $1 $$"),
        _of("operator in public", "create function public.eq(uuid, uuid) returns boolean language"
            " sql as 'select true'", "create operator public.= (leftarg = uuid, rightarg = uuid,"
            " function = public.eq)"),
        _of("inherit table", "create table public.child () inherits (fp.escalation)"),
        _of("foreign key probe", "create table public.probe (t uuid, e uuid,"
            " foreign key (t, e) references fp.escalation)"),
        _of("temporary table", "create temporary table login as select 1"),
        _of("temporary function", "create function pg_temp.my_team() returns uuid language sql"
            " as $$ select '@team@'::uuid $$"),
        _of("temporary view", "create temporary view v as select * from fp.escalation"),
        _of("security label", "security label on table fp.escalation is 'x'"),
        _of("comment", "comment on table fp.escalation is 'x'"),
        _of("publication", "create publication p for table fp.escalation"),
        _of("subscription", "create subscription s connection '' publication p"),
        _of("event trigger", "create event trigger t on ddl_command_end execute function x()"),
        _of("extension", "create extension dblink", "create extension postgres_fdw"),
        _of("untrusted language", "create language plpython3u"),
        _of("anonymous block", "do $$ begin perform * from fp.escalation; end $$"),
        # roles
        _of("set role owner", "set role @owner@", read),
        _of("set role admin", "set role @admin@", read),
        _of("set role engineer", "set role @role@", "select @v@.snapshot(0, 100)"),
        _of("set role postgres", "set role postgres", read),
        _of("set session authorization", "set session authorization @role@",
            "select @v@.snapshot(0, 100)"),
        _of("set session authorization postgres", "set session authorization postgres", read),
        _of("grant owner", "grant @owner@ to current_user", read),
        _of("grant admin", "grant @admin@ to current_user", read),
        _of("grant execute", "grant execute on all functions in schema fp to public"),
        _of("grant table", "grant select on fp.escalation to public", read),
        _of("become superuser", "alter role current_user superuser"),
        _of("bypass row security", "alter role current_user bypassrls", read),
        _of("another's password", "alter role @role@ password 'known'"),
        _of("rename self", "alter role current_user rename to @role@"),
        _of("new role", "create role helper login in role @admin@"),
        _of("drop victim", "drop role @role@"),
        _of("reassign owned", "reassign owned by @owner@ to current_user"),
        _of("default privileges", "alter default privileges for role @owner@ grant all on tables"
            " to public"),
        _of("role's row_security", "alter role current_user set row_security = off",
            "set row_security = off", "select @v@.snapshot(0, 100)"),
        _of("read passwords", "select * from pg_authid", "select * from pg_shadow"),
        # settings that decide nothing
        _of("row_security off", "set row_security = off", "select @v@.snapshot(0, 100)"),
        _of("search_path first", "set search_path = public, pg_temp, fp, pg_catalog",
            "select @v@.snapshot(0, 100)"),
        _of("own setting as identity", "set fp.team = '@team@'", "set app.role = '@role@'",
            "select @v@.snapshot(0, 100)"),
        _of("application_name as identity", "set application_name = '@role@'",
            "select @v@.snapshot(0, 100)"),
        _of("session_user setting", "select set_config('session_authorization', '@role@', false)",
            "select @v@.snapshot(0, 100)"),
        _of("role setting", "select set_config('role', '@owner@', false)", read),
        _of("replication role", "set session_replication_role = replica"),
        _of("preload", "set local_preload_libraries = '/tmp/evil'", "load '/tmp/evil'"),
        _of("server settings", "alter system set fsync = off"),
        _of("database settings", "alter database @db@ set row_security = off"),
        _of("check function bodies", "set check_function_bodies = off",
            "create function public.f() returns int language sql as 'select 1'"),
        _of("plans that leak", "set enable_indexscan = off", "set enable_seqscan = off",
            "select @v@.escalation('@id@')"),
        _of("debug output", "set debug_print_plan = on", "set client_min_messages = debug5",
            "select @v@.escalation('@id@')"),
        _of("track statements", "set log_statement = 'all'", "set auto_explain.log_analyze = on"),
        _of("explain the api", "explain (analyze, verbose, buffers) select @v@.snapshot(0, 100)"),
        _of("explain the table", "explain analyze select * from fp.escalation"),
        # the functions, with ids that are not theirs
        _of("their escalation", "select @v@.escalation('@id@')"),
        _of("their hops", "select @v@.hops('@id@')"),
        _of("their steps", "select * from @v@.steps('@claimed@', 0, 100)"),
        _of("their package", "select * from @v@.package('@id@')"),
        _of("their feed", "select @v@.changes((@v@.hello() ->> 'epoch')::uuid, 0, 100)"),
        _of("their members", "select @v@.members()"),
        _of("feed with a huge limit", "select @v@.changes(null, -1, 2147483647)"),
        _of("snapshot below zero", "select @v@.snapshot(-9223372036854775808, 2147483647)"),
        _of("pick up theirs", f"select @v@.pick_up({OP}, '@id@', 300@extra@)"),
        _of("steal theirs", f"select @v@.pick_up({OP}, '@claimed@', 300@extra@)"),
        _of("withdraw theirs", f"select @v@.withdraw({OP}, '@id@', 300)"),
        _of("cancel theirs", f"select @v@.cancel({OP}, '@id@', 'x')"),
        _of("reassign theirs", f"select @v@.reassign({OP}, '@id@', null)"),
        _of("resolve theirs with every fence",
            *(f"select @v@.resolve({OP}, '@claimed@', {fence}, 'x')" for fence in range(4))),
        _of("append to theirs", f"select @v@.append_steps({OP}, '@claimed@', 1, '{{x}}')"),
        _of("release theirs", f"select @v@.release({OP}, '@claimed@', 1, 'x', null, null, null,"
            " null, null)"),
        _of("release theirs as originator", f"select @v@.release({OP}, '@claimed@', null, 'x',"
            " null, null, null, null, null)"),
        _of("renew theirs", "select @v@.renew('@claimed@', 1, 28800)"),
        _of("raise with their id", f"select @v@.escalate({OP}, '@id@', {OP}, 's', 'r', '', 0, null,"
            " 'p', 1, 3600)"),
        _of("assign to their engineer", f"select @v@.escalate({OP}, {OP}, {OP}, 's', 'r', '', 0,"
            " '@me@', 'p', 1, 3600)"),
        _of("reassign own to their engineer", f"select @v@.reassign({OP}, '@own@', '@me@')"),
        _of("their operation id", "select @v@.withdraw('@op@', '@id@', 300)"),
        _of("negative lease", f"select @v@.pick_up({OP}, '@own@', -2147483648@extra@)"),
        _of("nulls everywhere", "select @v@.pick_up(null, null, null@nulls@)",
            "select @v@.resolve(null, null, null, null)",
            "select @v@.append_steps(null, null, null, null)",
            "select @v@.release(null, null, null, null, null, null, null, null, null)"),
        _of("oversize package", f"select @v@.escalate({OP}, {OP}, {OP}, 's', 'r', '', 0, null,"
            " decode(repeat('00', 1048577), 'hex'), 1, 3600)"),
        _of("oversize summary", f"select @v@.escalate({OP}, {OP}, {OP}, repeat('s', 301), 'r', '',"
            " 0, null, 'p', 1, 3600)"),
        _of("oversize steps", f"select @v@.append_steps({OP}, '@own@', 1,"
            " array_fill(decode(repeat('00', 262144), 'hex'), array[51]))"),
        _of("many-dimensional steps", f"select @v@.append_steps({OP}, '@own@', 1,"
            " array_fill('x'::bytea, array[5, 5]))"),
        _of("expired before it began", f"select @v@.escalate({OP}, {OP}, {OP}, 's', 'r', '', 0,"
            " null, 'p', 1, -2147483648)"),
        _of("injected summary", f"select @v@.escalate({OP}, {OP}, {OP}, '''; delete from"
            " fp.escalation; --', '$$ x $$', '', 0, null, 'p', 1, 3600)"),
        # inner functions
        _of("inner enter", f"select fp.enter(1, {OP}, 'x', '[]')"),
        _of("inner escalate", f"select fp.escalate(2, {OP}, {OP}, {OP}, 's', 'r', '', 0, null,"
            " 'p', 1, 1)"),
        _of("inner look", "select fp.look(1)"),
        _of("inner my_team", "select fp.my_team()"),
        _of("forged actor", "select fp.accept(row('@team@', '@me@', 1, now(), "
            f"{OP}, 'x', '')::fp.actor, null::fp.escalation)"),
        _of("forged record", "select fp.record(row('@team@', '@me@', 1, now(), "
            f"{OP}, 'x', '')::fp.actor, null::fp.escalation)"),
        _of("forged expire", "select fp.expire(row('@team@', '@me@', 1, now(), "
            f"{OP}, 'x', '')::fp.actor, '@id@')"),
        _of("forged reader", "select row('@team@', '@me@', null, 0, 0)::fp.reader"),
        _of("row type as a back door", "select null::fp.escalation",
            "select * from json_populate_recordset(null::fp.escalation, '[{}]')"),
        # prepared statements, cursors, transactions
        _of("prepared select", "prepare p as select * from fp.escalation", "execute p"),
        _of("prepared api", "prepare p as select @v@.escalation('@id@')", "execute p",
            "deallocate all"),
        _of("cursor on table", f"begin; declare c cursor for {read}; fetch all c; commit"),
        _of("cursor through xml", "select query_to_xml('select * from fp.escalation', true, true,"
            " '')", "select table_to_xml('fp.escalation', true, true, '')",
            "select schema_to_xml('fp', true, true, '')", "select database_to_xml(true, true, '')"),
        _of("serializable", "begin isolation level serializable; select @v@.snapshot(0, 100);"
            " commit"),
        _of("old snapshot", "begin isolation level repeatable read; select @v@.snapshot(0, 100);"
            " select @v@.escalation('@id@'); rollback"),
        _of("export snapshot", "begin; select pg_export_snapshot(); commit"),
        _of("two-phase", "prepare transaction 'evil'"),
        _of("subtransaction", f"begin; savepoint a; select @v@.withdraw({OP}, '@id@', 1);"
            " rollback to a; commit"),
        _of("leaky operator", "select * from fp.escalation where 1 / (length(summary) - 20) > 0"),
        # large objects, files, advisory locks, messages
        _of("large object", "select lo_create(0)", "select lo_from_bytea(0, 'x')"),
        _of("large object import", "select lo_import('/etc/passwd')"),
        _of("large object table", "select * from pg_largeobject"),
        _of("advisory lock", "select pg_advisory_lock(1)", "select pg_try_advisory_lock(2)",
            "select pg_advisory_xact_lock(3)", "select pg_try_advisory_xact_lock_shared(4)"),
        _of("message into the log", "select pg_logical_emit_message(false, 'x', 'y')"),
        _of("server files", "select pg_read_file('pg_hba.conf')", "select pg_ls_dir('.')"),
        _of("listen", 'listen "@channel@"', "listen fp"),
        _of("notify", "notify \"@channel@\", 'forged'", "select pg_notify('@channel@', 'forged')"),
        _of("notify queue", "select pg_notification_queue_usage()"),
        # catalogue
        _of("statistics", "select * from pg_stats where schemaname = 'fp'",
            "select * from pg_statistic"),
        _of("extended statistics", "select * from pg_stats_ext"),
        _of("activity", "select query, application_name, client_addr from pg_stat_activity"),
        _of("role names", "select rolname, rolpassword from pg_roles"),
        _of("locks", "select * from pg_locks"),
        _of("function bodies",
            "select prosrc from pg_proc where pronamespace = 'fp'::regnamespace"),
        _of("policies", "select * from pg_policies"),
        _of("table names", "select * from pg_class where relname = 'escalation'"),
        _of("table sizes", "select pg_total_relation_size('fp.escalation')"),
        _of("raw pages", "select * from get_raw_page('fp.escalation', 0)"),
        _of("physical row", "select currtid2('fp.escalation', '(0,1)')"),
        _of("row versions", "select xmin, ctid, * from fp.escalation"),
        _of("reload and cancel others", "select pg_reload_conf()",
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()",
            "select pg_cancel_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"),
        _of("checkpoint and vacuum", "checkpoint", "vacuum full fp.escalation",
            "analyze fp.escalation", "cluster fp.escalation", "reindex table fp.escalation"),
        _of("other databases", "select * from pg_database", "create database evil",
            "drop database @db@"),
        _of("tablespace", "create tablespace t location '/tmp'"),
        _of("foreign server", "create server s foreign data wrapper none",
            "create foreign data wrapper w"),
        _of("replication", "select pg_create_physical_replication_slot('x')",
            "select pg_create_logical_replication_slot('x', 'test_decoding')"),
    ]  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Victim:
    """What an attacker would like to know, and what they know already."""

    secrets: tuple[str, ...]
    marks: dict[str, str]


def run(connection: psycopg.Connection[TupleRow], attempt: Attempt, victim: Victim) -> str:
    """Run an attempt and return all that came back as text, errors and notices included."""
    seen: list[str] = []

    def notice(diagnostic: psycopg.errors.Diagnostic) -> None:
        seen.extend(filter(None, (diagnostic.message_primary, diagnostic.message_detail)))

    connection.add_notice_handler(notice)
    for template in attempt.statements:
        statement = template
        for mark, value in victim.marks.items():
            statement = statement.replace(f"@{mark}@", value)
        try:
            if statement.startswith("copy") and statement.endswith("to stdout"):
                with connection.cursor().copy(statement.encode()) as rows:
                    seen += [bytes(row).decode(errors="replace") for row in rows]
            else:
                cursor = connection.execute(statement.encode())
                while True:
                    if cursor.description is not None:
                        seen += [str(row) for row in cursor.fetchall()]
                    if not cursor.nextset():
                        break
        except psycopg.Error as error:
            seen.append(
                f"{error.sqlstate}: {error} {error.diag.message_detail} {error.diag.context}"
            )
        if connection.closed:
            break
    connection.remove_notice_handler(notice)
    # What they typed themselves may be quoted back at them.
    return "\n".join(seen)


def belongings(database: QueueDatabase, team: str) -> dict[str, list[Any]]:
    """Return every row of a team, and what all teams share."""
    found: dict[str, list[Any]] = {}
    for table in TABLES:
        row = database.connection.execute("select to_regclass(%s)", (f"fp.{table}",)).fetchone()
        if row is None or row[0] is None:
            continue
        key = {"meta": "true", "team": "t.id = %(team)s"}.get(table, "t.team_id = %(team)s")
        found[table] = database.connection.execute(
            f"select to_jsonb(t)::text from fp.{table} t where {key} order by 1".encode(),
            {"team": team},
        ).fetchall()
    found["catalogue"] = database.connection.execute(
        "select p.oid::regprocedure::text, md5(p.prosrc), p.proacl::text from pg_proc p"
        " where p.pronamespace::regnamespace::text like 'fp%'"
        " union all select c.oid::regclass::text, c.relrowsecurity::text, c.relacl::text"
        " from pg_class c where c.relnamespace::regnamespace::text like 'fp%'"
        " union all select r.rolname, concat(r.rolsuper, r.rolbypassrls, r.rolcreaterole),"
        " (select string_agg(m.roleid::regrole::text, ',' order by 1) from pg_auth_members m"
        "  where m.member = r.oid) from pg_roles r"
        " union all select nspname, '', nspacl::text from pg_namespace"
        " where nspname !~ '^pg_(toast|temp)'"
        " order by 1, 2, 3"
    ).fetchall()
    return found
