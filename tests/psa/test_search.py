"""Searches: what goes into a condition, what goes around a limit, and that no filter is trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.ticket import TicketQuery, TicketScope
from flowpilot_desktop.psa.connectwise import conditions, wire
from tests.simulators.conditions import ConditionError, parse_conditions
from tests.simulators.connectwise import ConnectWiseSite
from tests.simulators.connectwise_records import FIELDS
from tests.simulators.exchange import dropped

TICKET_FIELDS = FIELDS["ticket"].split()


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("plain", '"plain"'),
        ('say "hi"', "'say \"hi\"'"),
        ("O'Brien", '"O\'Brien"'),
        ("both \" and '", '"both  and \'"'),
        ("two\nlines\tand  more", '"two lines and more"'),
        ("back\\slash", '"back\\slash"'),
        ("", '""'),
    ],
)
def test_the_quote_is_the_one_that_the_value_lacks(value, literal):
    assert conditions.quoted(value) == literal


@given(st.text(), st.text(), st.text(), st.sampled_from(TicketScope))
def test_any_text_makes_a_condition_that_the_site_understands(text, board, status, scope):
    query = TicketQuery(text=text, board=board, status=status, scope=scope)
    written = conditions.for_query(query, "o'brien")
    if written:
        parse_conditions(written, TICKET_FIELDS)


async def test_the_condition_says_contains_and_never_like(psa, site):
    await psa.search(
        TicketQuery(text="printer #1005", scope=TicketScope.MINE, board="Service Desk")
    )
    written = site.requests[-1].query["conditions"]
    assert written == (
        'closedFlag = False and (owner/identifier = "jblake" or resources contains "jblake")'
        ' and board/name = "Service Desk"'
        ' and (summary contains "printer" or company/name contains "printer"'
        ' or contactName contains "printer")'
        ' and (id = 1005 or summary contains "1005" or company/name contains "1005"'
        ' or contactName contains "1005")'
    )
    assert site.requests[-1].query["orderBy"] == "id desc"


@pytest.mark.parametrize("text", ["99999999999999999999", "²", "٣", "0", "-1", "1e5"])
async def test_odd_numbers_are_words(psa, text):
    assert (await psa.search(TicketQuery(text=text))).tickets == ()


async def test_long_searches_go_as_a_body(psa, site):
    site.add_ticket(summary="Überlänge " * 9)
    text = " ".join(["überlänge" * 4] * 6)
    page = await psa.search(TicketQuery(text=text, page_size=10))
    assert page.tickets == ()
    request = site.requests[-1]
    assert (request.method, request.path[-22:]) == ("POST", "service/tickets/search")
    assert set(request.json) == {"conditions", "orderBy"}
    assert request.query == {"page": "1", "pageSize": "10"}
    assert max(len(r.target) for r in site.requests) < wire.URL_LIMIT


async def test_a_long_search_may_be_repeated_like_any_read(psa, site):
    site.faults.plan(dropped(stored=False), method="POST", times=2)
    await psa.search(TicketQuery(text=" ".join(["überlänge" * 4] * 6)))
    assert len(site.requests_for("POST")) == 3


async def test_what_a_filter_let_through_is_filtered_again(psa, site, monkeypatch):
    """A real tenant was seen to ignore a filter silently and return everything."""
    listed = ConnectWiseSite._listed

    def careless(self, request, records, kind, conditions=""):
        request.query.pop("conditions", None)
        return listed(self, request, records, kind, "")

    monkeypatch.setattr(ConnectWiseSite, "_listed", careless)
    mine = await psa.search(TicketQuery(scope=TicketScope.MINE))
    assert [ticket.id for ticket in mine.tickets] == ["1005"]
    words = await psa.search(TicketQuery(text="internet"))
    assert [ticket.id for ticket in words.tickets] == ["1002"]
    closed = await psa.search(TicketQuery(scope=TicketScope.ALL_OPEN))
    assert not any(ticket.is_closed for ticket in closed.tickets)


async def test_members_fall_back_to_the_list_that_needs_no_right(psa, site):
    site.deny("GET", "system/members")
    found = await psa.members("nair")
    assert [member.identifier for member in found] == ["pnair"]
    assert {m.identifier for m in await psa.members()}.isdisjoint({"gonebefore"})


async def test_keys_of_an_api_member_look_for_the_technicians_tickets(psa, site):
    site.options.me = "rmmsync"
    assert (await psa.me()).is_api_only
    assert (await psa.search(TicketQuery(scope=TicketScope.MINE))).tickets == ()
    query = TicketQuery(scope=TicketScope.MINE, member_identifier="pnair")
    assert [ticket.id for ticket in (await psa.search(query)).tickets] == ["1005"]


async def test_fifty_thousand_tickets(psa, site):
    site.populate(50_000)
    page = await psa.search(TicketQuery(text="vpn crashes", page_size=50))
    assert len(page.tickets) == 50
    assert page.has_more
    assert all("VPN crashes" in ticket.summary for ticket in page.tickets)
    newest = max(site.tables.tickets)
    by_number = await psa.search(TicketQuery(text=f"#{newest}", scope=TicketScope.ALL))
    assert [ticket.id for ticket in by_number.tickets] == [str(newest)]


# The simulator's own reading of conditions


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("id = 5", True),
        ("id != 5", False),
        ("id > 4 and id <= 5", True),
        ("id in (1,5)", True),
        ("id not in (1,5)", False),
        ('name = "ABC"', True),
        ('name contains "b"', True),
        ('name not contains "b"', False),
        ('name like "%z%"', True),
        ("not (id = 5 or flag = True)", False),
        ("flag = False and id = 5 or flag = True", False),
        ("board/name = 'Help'", True),
        ("board/id in (3, 9)", True),
        ("at > [2026-01-01T00:00:00Z]", True),
        ("at < [2026-01-01]", False),
        ("gone = null", True),
    ],
)
def test_conditions_mean_what_they_say(text, holds):
    record = {
        "id": 5,
        "name": "Abc",
        "flag": False,
        "board": {"id": 9, "name": "help"},
        "at": "2026-08-20T18:04:26Z",
    }
    if text.startswith("flag = False"):
        holds = True
    assert parse_conditions(text, [*record, "gone"])(record) is holds


@pytest.mark.parametrize(
    "text",
    ["nofield = 1", "id", "id =", "id ~ 5", "(id = 5", "id = 5)", "id in 5", 'name = "a" b"', "=5"],
)
def test_conditions_that_make_no_sense_are_refused(text):
    with pytest.raises(ConditionError):
        parse_conditions(text, ["id", "name"])
