"""Everything that can go wrong with Claude reaches the technician as a kind, specific word."""

import asyncio
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import anthropic
import httpx2
import pytest

from flowpilot_desktop.core.errors import ModelAnswerUnusable, ModelError, ModelUnavailable
from flowpilot_desktop.core.ports import Model, StepProgress
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.claude import failures
from flowpilot_desktop.llm.registry import ModelSettings, Timeouts
from tests.llm.conftest import PATIENT, answer, asked, everything, until
from tests.simulators.claude import (
    KEY,
    Answer,
    Break,
    ClaudeSimulator,
    Drop,
    Failure,
    Hang,
    event_count,
    running,
)
from tests.simulators.claude_answers import card

Maker = Callable[..., Model]
AT_ONCE = {"retry-after-ms": "1"}
TRIES = 3  # the SDK's own: one, and two retries

STATUSES = [
    (Failure(400, "messages: something is off"), ModelAnswerUnusable, "not_accepted", 1),
    (Failure(400, "Your credit balance is too low"), ModelUnavailable, "payment", 1),
    (Failure(400, "prompt is too long: 9 tokens > 8"), ModelAnswerUnusable, "too_long", 1),
    (Failure(401, "invalid x-api-key"), ModelUnavailable, "sign_in", 1),
    (Failure(402, "Add credit"), ModelUnavailable, "payment", 1),
    (Failure(403, "Not for this key"), ModelUnavailable, "permission", 1),
    (Failure(404, "model: claude-none"), ModelUnavailable, "model", 1),
    (Failure(407, "", body="<html>proxy</html>"), ModelUnavailable, "unreachable", 1),
    (Failure(408, headers=AT_ONCE, type="timeout_error"), ModelUnavailable, "timeout", TRIES),
    (Failure(409, headers=AT_ONCE, type="conflict_error"), ModelUnavailable, "server", TRIES),
    (Failure(413, "Request exceeds the maximum size"), ModelAnswerUnusable, "too_long", 1),
    (Failure(422, type="invalid_request_error"), ModelAnswerUnusable, "not_accepted", 1),
    (Failure(429, headers=AT_ONCE), ModelUnavailable, "rate_limited", TRIES),
    (Failure(500, headers=AT_ONCE), ModelUnavailable, "server", TRIES),
    (Failure(502, headers=AT_ONCE, body="<html>Bad gateway"), ModelUnavailable, "server", TRIES),
    (Failure(503, headers=AT_ONCE, body=""), ModelUnavailable, "overloaded", TRIES),
    (Failure(504, headers=AT_ONCE), ModelUnavailable, "timeout", TRIES),
    (Failure(529, "Overloaded", headers=AT_ONCE), ModelUnavailable, "overloaded", TRIES),
    (Failure(418, body="I'm a teapot"), ModelAnswerUnusable, "not_accepted", 1),
]


def speaks_kindly(error: ModelError) -> bool:
    """Title, message and hint are there and hold nothing of a vendor's or a library's words."""
    words = f"{error.title} {error.message} {error.hint}"
    return bool(error.title and error.message and error.hint) and not any(
        foreign in words
        for foreign in ("http", "Error", "_error", "{", "Traceback", "x-api-key", "SDK")
    )


@pytest.mark.parametrize(
    "case", STATUSES, ids=[f"{failure.status}-{reason}" for failure, _, reason, _ in STATUSES]
)
async def test_each_status_has_its_error(
    simulator: ClaudeSimulator,
    claude: Maker,
    case: tuple[Failure, type[ModelAnswerUnusable] | type[ModelUnavailable], str, int],
):
    failure, kind, reason, requests = case
    simulator.script(*[failure] * requests)
    with pytest.raises((ModelAnswerUnusable, ModelUnavailable)) as caught:
        await answer(claude())
    assert type(caught.value) is kind
    assert caught.value.reason == reason
    assert len(simulator.asked()) == requests, "the SDK's retries, and none around them"
    assert speaks_kindly(caught.value)
    # The next question is a new one: nothing of the failure stays.
    assert (await answer(claude())).body.text


ERROR_CLASSES = sorted(
    (
        error
        for error in vars(anthropic).values()
        if isinstance(error, type) and issubclass(error, anthropic.AnthropicError)
    ),
    key=lambda error: error.__name__,
)


@pytest.mark.parametrize("error", ERROR_CLASSES, ids=lambda error: error.__name__)
def test_no_class_of_the_library_gets_through(error: type[anthropic.AnthropicError]):
    """Every error that the library has a class for is told in our words, also the newest."""
    request = httpx2.Request("POST", "https://api.invalid/v1/messages")
    status = getattr(error, "status_code", None)
    response = httpx2.Response(status if isinstance(status, int) else 500, request=request)
    raised = error.__new__(error)
    if issubclass(error, anthropic.APIStatusError):
        raised = error("SDK words", response=response, body=None)
    elif issubclass(error, anthropic.APIConnectionError):
        raised = error(request=request)
    with pytest.raises(ModelError) as caught, failures.translated():
        raise raised
    assert type(caught.value) in (ModelUnavailable, ModelAnswerUnusable)
    assert speaks_kindly(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (429, "enforced_spend_limit_reached", "payment"),
        (429, "contract_spend_limit_reached", "payment"),
        (429, "ramp_limit_exceeded", "rate_limited"),
        (402, "linked_organization_spend_limit_reached", "payment"),
        (400, "organization_on_hold", "permission"),
    ],
)
async def test_a_limit_of_money_is_told_as_one(
    simulator: ClaudeSimulator, claude: Maker, status: int, code: str, reason: str
):
    kinds = {429: "rate_limit_error", 402: "billing_error", 400: "invalid_request_error"}
    details = {"error_code": code}
    error = {"type": kinds[status], "message": "Not now", "details": details}
    body = json.dumps({"type": "error", "error": error})
    simulator.script(*[Failure(status, headers=AT_ONCE, body=body)] * TRIES)
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude())
    assert caught.value.reason == reason
    assert speaks_kindly(caught.value)


def test_no_two_reasons_share_their_words():
    titles = [words[0] for words in failures._UNAVAILABLE.values()]
    titles += [words[1] for words in failures._STOPS.values()]
    assert len(set(titles)) == len(titles)
    for title, message, hint, _ in failures._UNAVAILABLE.values():
        assert min(len(title), len(message), len(hint)) > 0


async def test_without_a_key_nothing_is_asked(simulator: ClaudeSimulator, claude: Maker):
    for model in (claude(key=""), claude(key="  \n")):
        with pytest.raises(ModelUnavailable) as caught:
            await answer(model)
        assert caught.value.reason == "no_key"
        assert not caught.value.retryable
    assert simulator.requests == []


async def test_a_wrong_key_is_told_by_the_list_of_models_too(claude: Maker):
    with pytest.raises(ModelUnavailable) as caught:
        await claude(key="wrong").models()
    assert caught.value.reason == "sign_in"


async def test_away_is_unreachable(simulator: ClaudeSimulator, claude: Maker):
    model = claude()
    simulator.away()
    with pytest.raises(ModelUnavailable) as caught:
        await answer(model)
    assert caught.value.reason == "unreachable"
    assert speaks_kindly(caught.value)
    simulator.back()
    assert (await answer(model)).body.text


async def test_a_closed_connection_is_unreachable(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(*[Drop()] * TRIES)
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude())
    assert caught.value.reason == "unreachable"


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[ClaudeSimulator]:
    """A simulator with a certificate that nobody has signed."""
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=proxy", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(
        ["openssl", *command.split(), *names, *files],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with running(tls=context) as simulator:
        yield simulator


async def test_a_certificate_that_nobody_trusts_is_told_as_such(
    stranger: ClaudeSimulator, claude: Maker
):
    """A proxy that reads along, without its certificate on this computer: nothing is sent."""
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude(base_url=stranger.url))
    assert stranger.requests == []
    assert caught.value.reason == "unreachable"
    assert "certificate" in caught.value.message
    assert speaks_kindly(caught.value)


@pytest.mark.parametrize("key", ["sk-ünï", "sk-ant\nX-Injected: yes", "sk ant", "sk-…", "\x00"])
async def test_a_key_that_can_not_be_one_is_never_sent(
    simulator: ClaudeSimulator, claude: Maker, key: str
):
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude(key=key))
    assert caught.value.reason == "sign_in"
    assert simulator.requests == []


@pytest.mark.parametrize("address", ["no address", "http://", "ftp://127.0.0.1", "http://[::1"])
async def test_an_address_that_can_not_be_one_is_told(claude: Maker, address: str):
    model = claude(base_url=address)
    for verb in (answer(model), model.models(), model.briefing(asked())):
        with pytest.raises(ModelUnavailable) as caught:
            await verb
        assert caught.value.reason == "unreachable"
        assert "address" in caught.value.message
        assert speaks_kindly(caught.value)


async def test_no_answer_ends_in_time(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(*[Hang()] * TRIES)
    began = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude(timeouts=replace(PATIENT, whole=0.5)))
    assert caught.value.reason == "timeout"
    assert time.monotonic() - began < 15


async def test_a_port_that_never_accepts_ends_in_time():
    """A listening socket whose queue is full answers no handshake: the connect limit holds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        model = registry.create(
            ModelSettings(
                base_url=f"http://127.0.0.1:{port}",
                timeouts=Timeouts(connect=0.2, stall=0.2, whole=1.0, fast=1.0),
            ),
            KEY,
        )
        with pytest.raises(ModelUnavailable) as caught:
            await answer(model)
        assert caught.value.reason == "timeout"
        await model.aclose()
        for filler in fillers:
            filler.close()


async def test_a_long_wait_is_told_and_not_waited(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(Failure(429, headers={"retry-after": "120"}))
    began = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude())
    assert caught.value.reason == "rate_limited"
    assert caught.value.retry_after == 120
    assert time.monotonic() - began < 15
    assert len(simulator.asked()) == 1


@pytest.mark.parametrize("asked_for", ["inf", "1e12", "999999999999"])
async def test_no_server_can_ask_to_be_left_alone_for_ever(
    simulator: ClaudeSimulator, claude: Maker, asked_for: str
):
    simulator.script(Failure(529, headers={"retry-after": asked_for}))
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude())
    assert caught.value.retry_after == 3_600


async def test_a_short_wait_is_waited(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(Failure(429, headers={"retry-after": "0.05"}))
    assert (await answer(claude())).body.text
    assert len(simulator.asked()) == 2


async def test_a_sign_in_page_is_no_answer(simulator: ClaudeSimulator, claude: Maker):
    page = Failure(
        200,
        body="<html>Please sign in to the guest network</html>",
        headers={"content-type": "text/html"},
    )
    simulator.script(page)
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude())
    assert caught.value.reason == "unreachable"
    assert "sign-in" in caught.value.message
    simulator.script(page)
    with pytest.raises(ModelUnavailable):
        await claude().briefing(asked())


STOPS = [
    ("max_tokens", "max_tokens"),
    ("refusal", "refusal"),
    ("model_context_window_exceeded", "too_long"),
    ("tool_use", "unexpected"),
    ("pause_turn", "unexpected"),
]


@pytest.mark.parametrize(("stop_reason", "reason"), STOPS)
@pytest.mark.parametrize("text", [None, "", '{"kind": "act'], ids=["whole", "empty", "cut"])
async def test_each_stop_reason_has_its_error(
    simulator: ClaudeSimulator, claude: Maker, stop_reason: str, reason: str, text: str | None
):
    simulator.script(Answer(text=text, stop_reason=stop_reason))
    with pytest.raises(ModelAnswerUnusable) as caught:
        await answer(claude())
    assert caught.value.reason == reason
    assert speaks_kindly(caught.value)
    assert caught.value.usage is not None
    assert caught.value.usage.output_tokens > 0, "what it cost is told all the same"
    assert len(simulator.asked()) == 1, "no repair of what is no mistake of form"


@pytest.mark.parametrize("stop_reason", ["stop_sequence", "something_new"])
async def test_other_stops_count_if_the_answer_is_whole(
    simulator: ClaudeSimulator, claude: Maker, stop_reason: str
):
    simulator.script(Answer(stop_reason=stop_reason))
    assert (await answer(claude())).body.text
    simulator.script(Answer(text='{"kind": "act', stop_reason=stop_reason))
    with pytest.raises(ModelAnswerUnusable) as caught:
        await answer(claude())
    assert caught.value.reason == "unexpected"


async def test_a_refusal_in_a_briefing(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(Answer(text="", stop_reason="refusal"))
    with pytest.raises(ModelAnswerUnusable) as caught:
        await claude().briefing(asked())
    assert caught.value.reason == "refusal"


# --- broken streams ----------------------------------------------------------------------------

SCRIPTED = Answer(json=card(text="Look at <computer name>."), thinking="Let me see.", chunk=60)
EVENTS = event_count(SCRIPTED)
# How a break at an event may end: an error's reason, or None for an answer.
ENDS: dict[Break, set[str | None]] = {
    Break.STALL: {"timeout"},
    Break.DIE: {"unreachable"},
    Break.END: {"unreachable"},
    Break.REPEAT: {None},
    Break.NO_JSON: {"unreachable"},
    Break.NO_TEXT: {"unreachable"},
    Break.NO_OBJECT: {None},
    Break.NO_FIELDS: {None},
    Break.UNKNOWN: {None},
    Break.ERROR: {"overloaded"},
}


@pytest.mark.parametrize("how", list(Break), ids=lambda how: how.name.lower())
async def test_a_stream_may_break_at_every_event(
    simulator: ClaudeSimulator, claude: Maker, how: Break
):
    # Only a stall is waited for; elsewhere a busy machine must not look like one.
    limits = replace(PATIENT, stall=0.3) if how is Break.STALL else PATIENT
    model = claude(timeouts=limits)
    for where in range(EVENTS):
        simulator.script(replace(SCRIPTED, breaks=(how, where)), SCRIPTED)
        before = len(simulator.asked())
        try:
            async with asyncio.timeout(30):
                draft = await answer(model)
            end = None
            assert draft.body.text == "Look at <computer name>.", f"event {where}"
        except (ModelUnavailable, ModelAnswerUnusable) as error:
            end = error.reason
        assert end in ENDS[how], f"event {where} of {EVENTS}"
        if len(simulator.asked()) - before == 1:
            simulator._script.clear()  # the second answer is only for a repair


async def test_a_stream_that_only_breathes_ends_in_time(simulator: ClaudeSimulator, claude: Maker):
    """Events that come slowly but surely never stall; the limit of the whole answer ends them."""
    simulator.script(Answer(chunk=1, pace=0.1))
    began = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        await answer(claude(timeouts=replace(PATIENT, whole=0.6)))
    assert caught.value.reason == "timeout"
    assert time.monotonic() - began < 15


# --- one repair --------------------------------------------------------------------------------

BROKEN = [
    '{"kind": "action", "text": ',
    "I think you should restart the computer.",
    "[]",
    '{"kind": "dance"}',
    "```json\n{}\n```",
    '{"kind": "action", "text": ""}',
    "",
]


@pytest.mark.parametrize("text", BROKEN)
async def test_a_malformed_answer_is_repaired_once(
    simulator: ClaudeSimulator, claude: Maker, text: str
):
    simulator.script(Answer(text=text), Answer(json=card(text="Repaired.")))
    progress, draft = await everything(claude())
    assert draft.body.text == "Repaired."
    first, second = simulator.asked()
    assert second["messages"][: len(first["messages"])] == first["messages"]
    words = second["messages"][-1]["content"][0]["text"]
    assert "could not be used" in words
    assert "{error}" not in words
    if text:
        assert second["messages"][-2] == {
            "role": "assistant", "content": [{"type": "text", "text": text.strip()}],
        }  # fmt: skip
    metered = [item.usage for item in simulator.requests if item.usage]
    assert draft.usage.cache_write_tokens == sum(usage.cache_write for usage in metered)
    assert progress[-1].text == "Repaired."


async def test_two_malformed_answers_are_given_up(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(Answer(text="no"), Answer(text="no again"))
    with pytest.raises(ModelAnswerUnusable) as caught:
        await answer(claude())
    assert caught.value.reason == "malformed"
    assert speaks_kindly(caught.value)
    assert len(simulator.asked()) == 2
    spent = sum(item.usage.total for item in simulator.requests if item.usage)
    usage = caught.value.usage
    assert usage is not None
    assert usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens == spent


async def test_a_malformed_briefing_is_told(simulator: ClaudeSimulator, claude: Maker):
    simulator.script(Answer(text='{"summary": 3}'))
    with pytest.raises(ModelAnswerUnusable) as caught:
        await claude().briefing(asked())
    assert caught.value.reason == "malformed"
    assert len(simulator.asked()) == 1


# --- giving up ---------------------------------------------------------------------------------


async def test_whoever_stops_listening_ends_the_request(simulator: ClaudeSimulator, claude: Maker):
    model = claude()
    simulator.script(Answer(chunk=2, pace=0.02))
    async with aclosing(model.next_step(asked())) as stream:
        assert isinstance(await anext(stream), StepProgress)
    await until(lambda: not simulator.open_connections)
    assert (await answer(model)).body.text


async def test_cancelling_ends_the_request(simulator: ClaudeSimulator, claude: Maker):
    model = claude()
    simulator.script(Hang())
    task = asyncio.ensure_future(answer(model))
    await until(lambda: bool(simulator.requests))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not simulator.open_connections)
    assert (await answer(model)).body.text


async def test_closing_in_the_middle_is_a_closed_connection(
    simulator: ClaudeSimulator, claude: Maker
):
    model = claude()
    simulator.script(Answer(chunk=2, pace=0.02))
    async with aclosing(model.next_step(asked())) as stream:
        await anext(stream)
        await model.aclose()
        with pytest.raises(ModelUnavailable):
            [piece async for piece in stream]
    with pytest.raises(ModelUnavailable):
        await answer(model)
