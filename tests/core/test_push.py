"""Markers and the one word for all items of a session."""

import re
from datetime import UTC, datetime

import pytest

from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PsaPushStatus,
    PushItem,
    PushKind,
    PushState,
    marker_for,
    session_push_status,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import new_id
from flowpilot_desktop.core.ticket import RecordKind

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def an_item(state: PushState, **fields) -> PushItem:
    payload = NotePayload(Redactor().redact("note"), NoteVisibility.INTERNAL)
    return PushItem(
        id=new_id(),
        session_id="s",
        kind=PushKind.NOTE,
        connection_id="c",
        ticket_id="7",
        record_kind=RecordKind.SERVICE,
        payload=payload,
        marker="FP-0000000000",
        engineer_id="me",
        created_at=AT,
        state=state,
        **fields,
    )


def test_markers_are_stable_distinct_and_survive_the_redaction_gateway():
    ids = [new_id() for _ in range(2000)]
    markers = {marker_for(one) for one in ids}
    assert len(markers) == len(ids)
    assert all(re.fullmatch(r"FP-[0-9A-Z]{10}", marker) for marker in markers)
    assert marker_for(ids[0]) == marker_for(ids[0])
    text = "\n".join(f"Session: {one}\n{marker_for(one)}" for one in ids[:500])
    assert Redactor().redact(text).text == text


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([], PsaPushStatus.NO_PSA),
        ([an_item(PushState.PENDING)], PsaPushStatus.PENDING),
        ([an_item(PushState.SENDING, tries=1)], PsaPushStatus.PENDING_RETRY),
        ([an_item(PushState.UNCLEAR, tries=1, error="?")], PsaPushStatus.PENDING_RETRY),
        ([an_item(PushState.PENDING, error="away")], PsaPushStatus.PENDING_RETRY),
        ([an_item(PushState.SENT, tries=1)], PsaPushStatus.SENT),
        ([an_item(PushState.SENT), an_item(PushState.SKIPPED)], PsaPushStatus.SENT),
        ([an_item(PushState.SKIPPED)], PsaPushStatus.NO_PSA),
        ([an_item(PushState.SENT), an_item(PushState.PENDING)], PsaPushStatus.PENDING),
        ([an_item(PushState.SENT), an_item(PushState.FAILED)], PsaPushStatus.FAILED),
    ],
)
def test_one_word_for_all_items(items, status):
    assert session_push_status(tuple(items), has_ticket=True) is status
