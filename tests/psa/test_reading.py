"""The tolerant reader: each field for itself, whatever stands in it."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.ticket import RecordKind, Reference
from flowpilot_desktop.psa.connectwise import reading
from flowpilot_desktop.psa.connectwise.failures import Answer
from tests.simulators.connectwise import ConnectWiseSite

SITE = ConnectWiseSite()
TABLES = SITE.tables
SAMPLES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ticket": (lambda r: reading.ticket(r, RecordKind.SERVICE), TABLES.tickets[1005]),
    "note": (reading.note, TABLES.notes[1005][0]),
    "company": (reading.company, TABLES.companies[501]),
    "contact": (reading.contact, TABLES.contacts[701]),
    "site": (reading.site, TABLES.sites[501][0]),
    "configuration": (reading.configuration, TABLES.configurations[801]),
    "status": (reading.status, TABLES.statuses[1][0]),
    "member": (reading.member, TABLES.members["jblake"]),
    "remote note": (reading.remote_note, TABLES.notes[1005][0]),
    "remote time": (
        reading.remote_time,
        {"id": 1, "timeStart": "2026-09-01T12:00:00Z", "internalNotes": "x", "member": {}},
    ),
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
@given(data=st.data())
def test_no_field_of_a_record_can_break_the_reading(kind, data):
    read, sample = SAMPLES[kind]
    names = data.draw(st.lists(st.sampled_from(sorted(sample)), max_size=8))
    record = {**sample, **{name: data.draw(anything) for name in names}}
    found = read(record)
    untouched = read({})
    for field in fields(found):
        value = getattr(found, field.name)
        assert type(value) in (type(getattr(untouched, field.name)), datetime, type(None))
        if isinstance(value, datetime):
            assert value.utcoffset() is not None
        if isinstance(value, str):
            assert "\x00" not in value
            value.encode("utf-8")


@given(anything)
def test_whatever_the_server_says_can_be_told_to_people(value):
    import json

    import httpx

    body = json.dumps({"code": value, "message": value, "errors": value}).encode()
    answer = Answer(400, httpx.Headers(), body)
    code, words = answer.refusal()
    assert isinstance(code, str)
    assert len(words) <= 800
    assert answer.said.startswith("ConnectWise answered 400")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-08-20T18:04:26Z", datetime(2026, 8, 20, 18, 4, 26, tzinfo=UTC)),
        ("2026-08-20T18:04:26.123Z", datetime(2026, 8, 20, 18, 4, 26, 123_000, tzinfo=UTC)),
        ("2026-08-20T13:04:26-05:00", datetime(2026, 8, 20, 18, 4, 26, tzinfo=UTC)),
        ("2026-08-20T18:04:26", datetime(2026, 8, 20, 18, 4, 26, tzinfo=UTC)),
        ("2026-08-20", datetime(2026, 8, 20, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
        (20260820, None),
    ],
)
def test_moments(written, meant):
    assert reading.moment(written) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [(7, 7), (7.0, 7), ("7", 7), (7.5, 0), (True, 0), (None, 0), ("7a", 0), ("٧", 0), ([], 0)],
)
def test_numbers(written, meant):
    assert reading.number(written) == meant


def test_a_members_address_is_found_wherever_it_stands():
    office = {"identifier": "a", "defaultEmail": "Office", "officeEmail": "a@x.example"}
    assert reading.member(office).email == "a@x.example"
    direct = {"identifier": "a", "defaultEmail": "b@x.example", "officeEmail": "a@x.example"}
    assert reading.member(direct).email == "b@x.example"
    mobile = {"identifier": "a", "defaultEmail": "Mobile", "homeEmail": "c@x.example"}
    assert reading.member(mobile).email == "c@x.example"
    assert reading.member({"identifier": "a", "licenseClass": "A"}).is_api_only


def test_zero_width_characters_of_custom_values_do_not_reach_us():
    record = {"id": 1, "name": "A\u200bB\u200b-1", "osType": "Windows\u200b", "osInfo": None}
    device = reading.configuration(record)
    assert (device.name, device.operating_system) == ("AB-1", "Windows")


def test_a_reference_without_a_name_is_its_identifier():
    assert reading.reference({"id": 3, "identifier": "jb"}) == Reference(3, "jb")
    assert reading.reference(None) == Reference()
