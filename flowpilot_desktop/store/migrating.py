"""The schema's version: read with plain SQL, raised by Alembic only when it is behind.

Importing Alembic takes longer than everything else that opening a store does, so a store at the
head never does it. A new store is made by the same revisions that old ones go through.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from pathlib import Path

from sqlalchemy import Connection

from flowpilot_desktop.core.errors import StoreTooNew

log = logging.getLogger(__name__)

HEAD = "0004"
_REVISION = re.compile(r"\d{4}")


def revision_of(raw: sqlite3.Connection) -> str:
    """Return the revision that a store is at, or an empty string for one that was never made."""
    named = raw.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    ).fetchone()
    if named is None:
        return ""
    row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def check_not_newer(revision: str) -> None:
    """Raise StoreTooNew for a revision that this FlowPilot does not know."""
    if revision and (not _REVISION.fullmatch(revision) or revision > HEAD):
        raise StoreTooNew(
            f"The store is at revision {revision}; this FlowPilot knows revisions up to {HEAD}."
        )


def migrate(connection: Connection, revision: str, *, to: str = HEAD) -> None:
    """Bring the store from its revision to another, in one transaction."""
    # Alembic is slow to import and needed once per update.
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext, RevisionStep  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    log.info("Migrating the store from %s to %s", revision or "nothing", to)
    config = Config()
    config.set_main_option("script_location", _escaped(Path(__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)

    def steps(at: str | tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        return script._upgrade_revs(to, at)  # type: ignore[arg-type]  # noqa: SLF001 - as command.upgrade does

    environment = EnvironmentContext(config, script, fn=steps, destination_rev=to)
    with environment:
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()


def _escaped(path: Path) -> str:
    """Alembic's options know ``%`` as the start of an interpolation."""
    return str(path).replace("%", "%%")
