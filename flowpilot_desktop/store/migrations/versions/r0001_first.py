"""Sessions, their steps and working time, drafts, pushes, the ticket cache and the full text."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        user_id TEXT NOT NULL,
        handler_id TEXT NOT NULL,
        status TEXT NOT NULL,
        intake TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        problem_summary TEXT NOT NULL,
        problem_domain TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        ticket_id TEXT NOT NULL,
        company TEXT NOT NULL,
        psa_context_status TEXT NOT NULL,
        flow_id TEXT NOT NULL,
        hop_count INTEGER NOT NULL,
        paused_at BIGINT,
        escalated_at BIGINT,
        resolved_at BIGINT,
        escalation_id TEXT NOT NULL,
        escalation_reason TEXT NOT NULL,
        escalated_to TEXT NOT NULL,
        resolution_summary TEXT NOT NULL,
        resolution_action TEXT NOT NULL,
        end_reason TEXT NOT NULL,
        fence BIGINT NOT NULL
    )
    """,
    "CREATE INDEX sessions_by_update ON sessions (updated_at)",
    "CREATE INDEX sessions_by_status ON sessions (status, updated_at)",
    "CREATE INDEX sessions_by_ticket ON sessions (ticket_id)",
    """
    CREATE TABLE steps (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        source TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        created_by TEXT NOT NULL,
        confidence FLOAT NOT NULL,
        hypotheses TEXT NOT NULL,
        flow_id TEXT NOT NULL,
        flow_node TEXT NOT NULL,
        model TEXT NOT NULL,
        prompt_version TEXT NOT NULL,
        usage TEXT NOT NULL,
        response TEXT,
        answered_at BIGINT,
        answered_by TEXT NOT NULL,
        corrects TEXT NOT NULL,
        CONSTRAINT steps_in_order UNIQUE (session_id, number)
    )
    """,
    # A step is final once it was answered; a note was never a question. Saving the same values
    # again is no change.
    """
    CREATE TRIGGER answered_steps_stay BEFORE UPDATE ON steps
    WHEN (OLD.response IS NOT NULL OR OLD.kind = 'note') AND (
        NEW.id IS NOT OLD.id OR NEW.session_id IS NOT OLD.session_id
        OR NEW.number IS NOT OLD.number OR NEW.kind IS NOT OLD.kind
        OR NEW.body IS NOT OLD.body OR NEW.source IS NOT OLD.source
        OR NEW.created_at IS NOT OLD.created_at OR NEW.created_by IS NOT OLD.created_by
        OR NEW.confidence IS NOT OLD.confidence OR NEW.hypotheses IS NOT OLD.hypotheses
        OR NEW.flow_id IS NOT OLD.flow_id OR NEW.flow_node IS NOT OLD.flow_node
        OR NEW.model IS NOT OLD.model OR NEW.prompt_version IS NOT OLD.prompt_version
        OR NEW.usage IS NOT OLD.usage OR NEW.response IS NOT OLD.response
        OR NEW.answered_at IS NOT OLD.answered_at OR NEW.answered_by IS NOT OLD.answered_by
        OR NEW.corrects IS NOT OLD.corrects
    )
    BEGIN
        SELECT RAISE(ABORT, 'an answered step never changes');
    END
    """,
    """
    CREATE TRIGGER answered_steps_are_kept BEFORE DELETE ON steps
    WHEN OLD.response IS NOT NULL OR OLD.kind = 'note'
    BEGIN
        SELECT RAISE(ABORT, 'an answered step is never deleted');
    END
    """,
    """
    CREATE TABLE segments (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        engineer_id TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        ended_at BIGINT,
        last_activity_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX segments_by_session ON segments (session_id, started_at)",
    "CREATE INDEX segments_open ON segments (started_at) WHERE ended_at IS NULL",
    """
    CREATE TABLE drafts (
        session_id TEXT NOT NULL,
        field TEXT NOT NULL,
        text TEXT NOT NULL,
        updated_at BIGINT NOT NULL,
        PRIMARY KEY (session_id, field)
    )
    """,
    """
    CREATE TABLE push_items (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        ticket_id TEXT NOT NULL,
        record_kind TEXT NOT NULL,
        payload TEXT NOT NULL,
        marker TEXT NOT NULL,
        engineer_id TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        part INTEGER NOT NULL,
        state TEXT NOT NULL,
        watermark BIGINT,
        tries INTEGER NOT NULL,
        looks INTEGER NOT NULL,
        next_try_at BIGINT,
        sent_at BIGINT,
        remote_id TEXT NOT NULL,
        error TEXT NOT NULL,
        warning TEXT NOT NULL,
        updated_at BIGINT
    )
    """,
    "CREATE INDEX push_items_by_session ON push_items (session_id)",
    "CREATE INDEX push_items_by_state ON push_items (state, next_try_at)",
    "CREATE INDEX push_items_by_creation ON push_items (created_at)",
    """
    CREATE TABLE ticket_contexts (
        connection_id TEXT NOT NULL,
        ticket_id TEXT NOT NULL,
        fetched_at BIGINT NOT NULL,
        ticket TEXT NOT NULL,
        context TEXT NOT NULL,
        search_text TEXT NOT NULL,
        PRIMARY KEY (connection_id, ticket_id)
    )
    """,
    "CREATE INDEX ticket_contexts_by_fetch ON ticket_contexts (connection_id, fetched_at)",
    """
    CREATE TABLE psa_connections (
        id TEXT NOT NULL PRIMARY KEY,
        provider TEXT NOT NULL,
        site TEXT NOT NULL,
        company_id TEXT NOT NULL,
        client_id TEXT NOT NULL,
        ca_file TEXT NOT NULL,
        name TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE member_mappings (
        connection_id TEXT NOT NULL,
        engineer_id TEXT NOT NULL,
        member_id BIGINT NOT NULL,
        member_identifier TEXT NOT NULL,
        member_name TEXT NOT NULL,
        how TEXT NOT NULL,
        PRIMARY KEY (connection_id, engineer_id)
    )
    """,
    """
    CREATE TABLE engineers (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        email TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE usage_records (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL,
        at BIGINT NOT NULL,
        model TEXT NOT NULL,
        input_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL,
        cache_read_tokens BIGINT NOT NULL,
        cache_write_tokens BIGINT NOT NULL,
        cost_micros BIGINT NOT NULL
    )
    """,
    "CREATE INDEX usage_records_by_session ON usage_records (session_id)",
    "CREATE INDEX usage_records_by_time ON usage_records (at)",
    """
    CREATE TABLE audit_entries (
        id TEXT NOT NULL PRIMARY KEY,
        at BIGINT NOT NULL,
        engineer_id TEXT NOT NULL,
        verb TEXT NOT NULL,
        session_id TEXT NOT NULL,
        detail TEXT NOT NULL
    )
    """,
    "CREATE INDEX audit_entries_by_session ON audit_entries (session_id, at)",
    "CREATE INDEX audit_entries_by_time ON audit_entries (at)",
    """
    CREATE TABLE attachments (
        id TEXT NOT NULL PRIMARY KEY,
        session_id TEXT NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        content BLOB NOT NULL
    )
    """,
    "CREATE INDEX attachments_by_session ON attachments (session_id)",
    "CREATE TABLE remembered (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    # The words of a session are many and change with every step: the change is noted here in its
    # own transaction, and the index catches up before it is asked.
    "CREATE TABLE stale_texts (number INTEGER PRIMARY KEY)",
    """
    CREATE TRIGGER session_added AFTER INSERT ON sessions BEGIN
        INSERT INTO stale_texts SELECT NEW.number
        WHERE NEW.number NOT IN (SELECT number FROM stale_texts);
    END
    """,
    """
    CREATE TRIGGER session_changed AFTER UPDATE ON sessions BEGIN
        INSERT INTO stale_texts SELECT NEW.number
        WHERE NEW.number NOT IN (SELECT number FROM stale_texts);
    END
    """,
    """
    CREATE TRIGGER session_deleted AFTER DELETE ON sessions BEGIN
        INSERT INTO stale_texts SELECT OLD.number
        WHERE OLD.number NOT IN (SELECT number FROM stale_texts);
    END
    """,
    """
    CREATE TRIGGER step_added AFTER INSERT ON steps BEGIN
        INSERT INTO stale_texts SELECT number FROM sessions
        WHERE id = NEW.session_id AND number NOT IN (SELECT number FROM stale_texts);
    END
    """,
    """
    CREATE TRIGGER step_changed AFTER UPDATE ON steps BEGIN
        INSERT INTO stale_texts SELECT number FROM sessions
        WHERE id = NEW.session_id AND number NOT IN (SELECT number FROM stale_texts);
    END
    """,
    """
    CREATE TRIGGER step_deleted AFTER DELETE ON steps BEGIN
        INSERT INTO stale_texts SELECT number FROM sessions
        WHERE id = OLD.session_id AND number NOT IN (SELECT number FROM stale_texts);
    END
    """,
    # A row is a session, by its number.
    """
    CREATE VIRTUAL TABLE session_texts USING fts5 (
        problem, company, ticket, steps, resolution,
        tokenize = 'unicode61 remove_diacritics 2'
    )
    """,
)


def upgrade() -> None:
    """Make everything."""
    for statement in STATEMENTS:
        op.execute(statement)
