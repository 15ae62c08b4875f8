"""Attachments know their card; sessions are found by device and ticket, cached tickets by words.

What was attached before is given to the card whose text names it, screenshots to the intake. The
cached tickets get a number of their own, which the full-text index keeps hold of. Both indexes are
filled from the records when they are asked next.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE attachments ADD COLUMN step_id TEXT NOT NULL DEFAULT ''",
    """
    UPDATE attachments SET step_id = 'intake'
    WHERE media_type LIKE 'image/%' OR name LIKE 'intake, %'
    """,
    """
    UPDATE attachments SET step_id = coalesce((
        SELECT steps.id FROM steps WHERE steps.session_id = attachments.session_id
        AND (instr(steps.body, '; kept whole as ' || attachments.name || ']') > 0
            OR instr(steps.response, '; kept whole as ' || attachments.name || ']') > 0)
    ), '')
    WHERE step_id = '' AND media_type = 'text/plain'
    """,
    """
    CREATE TABLE numbered_contexts (
        number INTEGER NOT NULL PRIMARY KEY,
        connection_id TEXT NOT NULL,
        ticket_id TEXT NOT NULL,
        fetched_at BIGINT NOT NULL,
        ticket TEXT NOT NULL,
        context TEXT NOT NULL,
        search_text TEXT NOT NULL,
        company TEXT NOT NULL DEFAULT '',
        CONSTRAINT one_context UNIQUE (connection_id, ticket_id)
    )
    """,
    """
    INSERT INTO numbered_contexts
        (connection_id, ticket_id, fetched_at, ticket, context, search_text, company)
    SELECT connection_id, ticket_id, fetched_at, ticket, context, search_text,
        coalesce(json_extract(ticket, '$.company.name'), '')
    FROM ticket_contexts
    """,
    "DROP TABLE ticket_contexts",
    "ALTER TABLE numbered_contexts RENAME TO ticket_contexts",
    "CREATE INDEX ticket_contexts_by_fetch ON ticket_contexts (connection_id, fetched_at)",
    "CREATE TABLE stale_tickets (number INTEGER PRIMARY KEY)",
    # A ticket that was read anew says other things of the sessions that are about it, too.
    *(
        f"""
        CREATE TRIGGER ticket_{name} AFTER {event} ON ticket_contexts BEGIN
            INSERT INTO stale_tickets SELECT {row}.number
            WHERE {row}.number NOT IN (SELECT number FROM stale_tickets);
            INSERT INTO stale_texts SELECT number FROM sessions
            WHERE ticket_id = {row}.ticket_id AND connection_id = {row}.connection_id
                AND number NOT IN (SELECT number FROM stale_texts);
        END
        """  # noqa: S608 - words of ours
        for name, event, row in (
            ("added", "INSERT", "NEW"),
            ("changed", "UPDATE", "NEW"),
            ("deleted", "DELETE", "OLD"),
        )
    ),
    "DROP TABLE session_texts",
    """
    CREATE VIRTUAL TABLE session_texts USING fts5 (
        problem, company, devices, ticket, steps, resolution,
        tokenize = 'unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE VIRTUAL TABLE ticket_texts USING fts5 (
        problem, company, devices, ticket, resolution,
        tokenize = 'unicode61 remove_diacritics 2'
    )
    """,
    "DELETE FROM stale_texts",
    "INSERT INTO stale_texts SELECT number FROM sessions",
    "INSERT INTO stale_tickets SELECT number FROM ticket_contexts",
)


def upgrade() -> None:
    """Add a column, number a table, make two indexes."""
    for statement in STATEMENTS:
        op.execute(statement)
