"""The simulator where the adapter does not lead: paging, limits, refusals, its own doors."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.exchange import Response

PAIR = base64.b64encode(f"{COMPANY_ID}+{PUBLIC_KEY}:{PRIVATE_KEY}".encode()).decode()
SIGNED = {"authorization": f"Basic {PAIR}", "clientId": "any", "host": "cw.example.com"}


def ask(site, path: str, method: str = "GET", headers=None, body: bytes = b"", **query) -> Response:
    target = f"/{site.options.codebase}apis/3.0/{path}?{urlencode(query)}"
    exchange = site.receive(method, target, {**SIGNED, **(headers or {})}, body)
    answer: Response = site.land(exchange)
    return answer


def test_pages_are_capped_and_linked(site):
    site.populate(1_200)
    page = ask(site, "service/tickets", pageSize=5_000)
    assert len(page.json) == 1_000
    assert 'rel="next"' in page.headers["link"]
    assert "page=2" in page.headers["link"]
    assert len(ask(site, "service/tickets").json) == 25
    last = ask(site, "service/tickets", pageSize=1_000, page=2)
    assert "link" not in last.headers
    assert len(page.json) + len(last.json) == 1_204


def test_forward_only_goes_by_id_and_takes_no_order(site):
    forward = {"pagination-type": "forward-only"}
    first = ask(site, "service/tickets", headers=forward, pageSize=2)
    idents = [row["id"] for row in first.json]
    assert idents == [1001, 1002]
    assert "pageId=1002" in first.headers["link"]
    rest = ask(site, "service/tickets", headers=forward, pageSize=9, pageId=1002)
    assert [row["id"] for row in rest.json] == [1003, 1005]
    refused = ask(site, "service/tickets", headers=forward, orderBy="id desc")
    assert refused.status == 400


def test_every_answer_carries_its_marks(site):
    answer = ask(site, "system/info")
    assert answer.headers["x-cw-request-id"] == "simulated-1"
    assert answer.headers["api-current-version"] == "2026.1"
    assert answer.headers["date"].endswith("GMT")


@pytest.mark.parametrize(
    ("path", "method", "headers", "refusal"),
    [
        ("service/tickets", "GET", {"clientId": ""}, (401, "ClientId")),
        ("service/tickets", "GET", {"authorization": "Basic x"}, (404, "NotFound")),
        ("service/tickets", "DELETE", {}, (405, "MethodNotAllowed")),
        ("service/nothing", "GET", {}, (404, "NotFound")),
        ("service/tickets/1005/notes", "POST", {}, (400, "InvalidRequest")),
        ("service/tickets/1004", "GET", {}, (404, "NotFound")),
        ("project/tickets/1005", "GET", {}, (404, "NotFound")),
    ],
)
def test_refusals_have_the_servers_shape(site, path, method, headers, refusal):
    answer = ask(site, path, method, headers, body=b"no json")
    assert (answer.status, answer.json["code"]) == refusal
    assert set(answer.json) == {"code", "message", "errors"}


def test_an_unknown_field_of_a_condition_is_named(site):
    answer = ask(site, "service/tickets", conditions='dateEntered > "x"')
    assert (answer.status, answer.json["code"]) == (400, "ApiFindCondition")
    assert "dateEntered" in answer.json["message"]


def test_an_unknown_company_is_200_null_and_an_old_codebase_a_web_page(site):
    exchange = site.receive("GET", "/login/companyinfo/nobody", {}, b"")
    assert site.land(exchange).json is None
    site.upgrade("v2030_1/")
    old = site.land(site.receive("GET", "/v2026_1/apis/3.0/system/info", SIGNED, b""))
    assert old.status == 404
    assert old.body.startswith(b"<!DOCTYPE html>")


def test_too_many_requests_have_another_shape(site):
    site.options.requests_a_minute = 2
    answers = [ask(site, "system/info") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert set(answers[2].json) == {"error", "message"}
    assert int(answers[2].headers["retry-after"]) == 60


def test_the_same_seed_makes_the_same_tickets(site, clock):
    other = ConnectWiseSite(now=clock.now)
    for one in (site, other):
        one.populate(50, seed=7)
    assert json.dumps(site.tables.tickets) == json.dumps(other.tables.tickets)


def test_it_can_be_started_by_hand():
    command = [sys.executable, "-m", "tests.simulators.connectwise", "--port", "0"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        answer = httpx.get(f"{found.group()}/login/companyinfo/{COMPANY_ID}", timeout=10)
        process.terminate()
    assert answer.json()["Codebase"] == "v2026_1/"
