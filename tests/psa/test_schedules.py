"""Any fault on any write: what the adapter says about it is true of the site.

Not sent and refused mean that nothing was stored; an id means that exactly one record was. Only
unclear may be either, and a look above the watermark then tells which, as soon as the site has
come to rest.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flowpilot_desktop.core.errors import PsaNotSent, PsaRefused, PsaUnclear
from flowpilot_desktop.core.push import NotePayload, NoteVisibility, PushKind, TimePayload
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.ticket import RecordKind
from flowpilot_desktop.psa.connectwise import ConnectWisePsa
from tests.psa.conftest import CONNECTION, KEYS
from tests.simulators.connectwise import ConnectWiseSite
from tests.simulators.exchange import Fault, Outcome, answered, html
from tests.simulators.virtual import VirtualClock, VirtualNetwork

MARKER = "FP-0A1B2C3D4E"
TICKET = "1005"
OWN = '{"code": "InvalidObject", "message": "no", "errors": null}'
BODIES = st.sampled_from(["", "null", "<html>", "[]", "{", OWN, '{"error": "x", "message": "y"}'])

refusals = st.builds(
    lambda status, body: answered(status, stored=False, body=body),
    st.sampled_from([400, 401, 403, 404, 405, 409, 415, 422, 429]),
    BODIES,
)
lost = st.builds(
    lambda status, stored, body: answered(status, stored=stored, body=body),
    st.sampled_from([200, 201, 204, 302, 408, 500, 502, 503, 504, 520, 522, 524]),
    st.booleans(),
    BODIES.filter(lambda body: body != "null"),
)
wire_faults = st.builds(
    Fault,
    outcome=st.sampled_from(list(Outcome)),
    stored=st.booleans(),
    delay=st.sampled_from([0.0, 0.5, 30.0, 61.0, 300.0]),
).filter(
    # Who is refused a connection stores nothing, and an honest answer is given to what is stored.
    lambda fault: (
        fault.stored
        if fault.outcome is Outcome.ANSWER
        else not (fault.outcome is Outcome.REFUSE and fault.stored)
    )
)
faults = st.one_of(refusals, lost, wire_faults, st.just(html(200)), st.just(Fault()))


async def write(psa: ConnectWisePsa, kind: PushKind) -> int:
    text = Redactor().redact(f"Done. {MARKER}")
    if kind is PushKind.NOTE:
        note = NotePayload(text, NoteVisibility.INTERNAL, "pnair")
        return await psa.add_note(TICKET, RecordKind.SERVICE, note)
    start = datetime(2026, 9, 1, 12, tzinfo=UTC)
    entry = TimePayload("pnair", start, start + timedelta(hours=1), 0.0, 1.0, text, text)
    return await psa.add_time(TICKET, RecordKind.SERVICE, entry)


def stored(site: ConnectWiseSite, kind: PushKind) -> int:
    if kind is PushKind.NOTE:
        return sum(MARKER in note["text"] for note in site.notes_of(1005))
    return sum(MARKER in entry["internalNotes"] for entry in site.entries_of(1005))


async def play(fault: Fault, kind: PushKind, upgrade: bool) -> None:
    clock = VirtualClock()
    site = ConnectWiseSite(now=clock.now)
    network = VirtualNetwork(site, clock)
    psa = ConnectWisePsa(CONNECTION, KEYS, clock, transport=network, sleep=clock.sleep)
    watermark = await psa.highest_record(TICKET, kind, RecordKind.SERVICE)
    if upgrade:
        site.upgrade("v2027_1/")
    path = "notes$" if kind is PushKind.NOTE else "entries$"
    site.faults.plan(fault, method="POST", path=path)
    remote_id = None
    is_unclear = False
    try:
        remote_id = await write(psa, kind)
    except PsaUnclear:
        is_unclear = True
    except (PsaNotSent, PsaRefused):
        clock.advance(3_600)
        assert stored(site, kind) == 0
    assert len(site.requests_for("POST", path.rstrip("$"))) <= 1
    clock.advance(3_600)  # whatever was on its way has landed
    found = await psa.records_above(TICKET, kind, RecordKind.SERVICE, watermark)
    hits = [record.id for record in found if MARKER in record.text]
    assert len(hits) == stored(site, kind) <= 1
    if remote_id is not None:
        assert hits == [remote_id]
    elif not is_unclear:
        assert hits == []
    await psa.aclose()


@settings(max_examples=300)
@given(faults, st.sampled_from([PushKind.NOTE, PushKind.TIME]), st.booleans())
def test_what_is_said_about_a_write_is_true(fault, kind, upgrade):
    asyncio.run(play(fault, kind, upgrade))
