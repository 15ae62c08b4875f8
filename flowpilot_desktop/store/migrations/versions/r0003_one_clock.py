"""One clock: the database itself keeps time from running twice, or on a session that rests.

Verbs read what runs and write what changes; two at the same moment could each write what the other
has just ended. So an ended stretch never opens again, a stretch opens only on an active session,
and a new one ends whatever else the same engineer had running.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TRIGGER segment_stays_ended BEFORE UPDATE ON segments
    WHEN OLD.ended_at IS NOT NULL AND NEW.ended_at IS NULL
    BEGIN
        SELECT RAISE(IGNORE);
    END
    """,
    """
    CREATE TRIGGER segment_opens_on_active_session BEFORE INSERT ON segments
    WHEN NEW.ended_at IS NULL
        AND (SELECT status FROM sessions WHERE id = NEW.session_id) <> 'active'
    BEGIN
        SELECT RAISE(IGNORE);
    END
    """,
    """
    CREATE TRIGGER segment_ends_the_others AFTER INSERT ON segments
    WHEN NEW.ended_at IS NULL
    BEGIN
        UPDATE segments SET ended_at = max(started_at, last_activity_at)
        WHERE engineer_id = NEW.engineer_id AND id <> NEW.id AND ended_at IS NULL;
    END
    """,
)


def upgrade() -> None:
    """Add three triggers."""
    for statement in STATEMENTS:
        op.execute(statement)
