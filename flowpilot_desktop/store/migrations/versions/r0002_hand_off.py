"""What happens between steps, the team's escalations, and what is still to be told to the queue."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    CREATE TABLE happenings (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        after INTEGER NOT NULL,
        at BIGINT NOT NULL,
        kind TEXT NOT NULL,
        context TEXT,
        flow_text TEXT NOT NULL,
        minutes INTEGER NOT NULL
    )
    """,
    "CREATE INDEX happenings_by_session ON happenings (session_id, after, at)",
    """
    CREATE TABLE escalations (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL,
        state TEXT NOT NULL,
        raised_at BIGINT NOT NULL,
        escalation TEXT NOT NULL
    )
    """,
    "CREATE INDEX escalations_by_state ON escalations (state, raised_at)",
    "CREATE INDEX escalations_by_session ON escalations (session_id)",
    """
    CREATE TABLE queue_operations (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL,
        escalation_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        number BIGINT NOT NULL,
        state TEXT NOT NULL,
        tries INTEGER NOT NULL,
        next_try_at BIGINT,
        answered_at BIGINT,
        answer TEXT NOT NULL,
        error TEXT NOT NULL
    )
    """,
    "CREATE INDEX queue_operations_by_state ON queue_operations (state, number)",
    "CREATE INDEX queue_operations_by_session ON queue_operations (session_id, number)",
)


def upgrade() -> None:
    """Add three tables."""
    for statement in STATEMENTS:
        op.execute(statement)
