"""The simulated API is what the SDK expects, and its cache keeps the real one's rules."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.simulators.claude import KEY, Answer, ClaudeSimulator, Failure
from tests.simulators.claude_answers import answer_to, card
from tests.simulators.claude_cache import CacheRuleError, PromptCache, token_count

ROOT = Path(__file__).resolve().parents[2]
HOUR = {"type": "ephemeral", "ttl": "1h"}
MINUTES = {"type": "ephemeral", "ttl": "5m"}


def block(text: str, control: dict[str, str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "text", "text": text}
    return {**made, "cache_control": control} if control else made


def body(*texts: str, system: str = "s" * 8_000, **fields: Any) -> dict[str, Any]:
    """A request whose messages alternate, with an automatic breakpoint at its end."""
    messages = [
        {"role": "user" if number % 2 == 0 else "assistant", "content": [block(text)]}
        for number, text in enumerate(texts)
    ]
    return {
        "model": "claude-sonnet-5-5",
        "system": [block(system)],
        "messages": messages,
        "cache_control": HOUR,
        **fields,
    }


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cache(time: Time) -> PromptCache:
    return PromptCache(lambda: time.now)


def test_what_was_written_is_read_and_only_the_rest_is_written(cache: PromptCache):
    first = cache.meter(body("a" * 400))
    assert (first.cache_read, first.cache_write, first.input_tokens) == (0, first.total, 0)
    again = cache.meter(body("a" * 400))
    assert (again.cache_read, again.cache_write) == (first.total, 0)
    longer = cache.meter(body("a" * 400, "b" * 40, "c" * 40))
    assert longer.cache_read == first.total
    assert longer.cache_write == 20
    assert longer.total == first.total + 20


def test_one_changed_letter_loses_everything_after_it(cache: PromptCache):
    cache.meter(body("a" * 400, "b", "c"))
    assert cache.meter(body("a" * 399 + "x", "b", "c")).cache_read == 0
    assert cache.meter(body("a" * 400, "b", "c", system="S" * 8_000)).cache_read == 0
    assert cache.meter(body("a" * 400, "b", "c", model="claude-opus-5-5")).cache_read == 0
    output = {"format": {"type": "json_schema", "schema": {"type": "string"}}}
    assert cache.meter(body("a" * 400, "b", "c", output_config=output)).cache_read == 0
    assert cache.meter(body("a" * 400, "b", "c")).cache_read > 0


def test_a_marker_is_no_part_of_what_is_compared(cache: PromptCache):
    plain = body("a" * 400)
    cache.meter(plain)
    marked = body("a" * 400, "b", "c")
    marked["messages"][0]["content"][0]["cache_control"] = HOUR
    assert cache.meter(marked).cache_read == token_count(plain)


def test_an_entry_lives_as_long_as_it_is_used(cache: PromptCache, time: Time):
    for seconds, is_read in [(0, False), (3_500, True), (3_500, True), (3_601, False)]:
        time.now += seconds
        assert (cache.meter(body("a" * 400)).cache_read > 0) is is_read
    short = body("b" * 400)
    short["cache_control"] = MINUTES
    cache.meter(short)
    time.now += 301
    metered = cache.meter(short)
    assert metered.cache_read == 0
    assert metered.cache_write_5m == metered.total


def test_a_short_prompt_is_never_cached(cache: PromptCache):
    for _ in range(2):
        metered = cache.meter(body("a", system="short"))
        assert (metered.cache_read, metered.cache_write) == (0, 0)
        assert metered.input_tokens == metered.total


def test_the_look_back_ends_after_twenty_blocks(cache: PromptCache):
    words = ["w" * 40] * 60
    cache.meter(body(*words[:21]))
    assert cache.meter(body(*words[:41])).cache_read > 0
    assert cache.meter(body(*words[:60], "last")).cache_read > 0
    fresh = PromptCache(lambda: 0.0)
    fresh.meter(body(*words[:21]))
    assert fresh.meter(body(*words[:43])).cache_read == 0


def test_more_than_four_breakpoints_and_a_wrong_order_are_refused(cache: PromptCache):
    crowded = body("a", "b", "c", "d", "e")
    for message in crowded["messages"][:4]:
        message["content"][0]["cache_control"] = HOUR
    with pytest.raises(CacheRuleError, match="Found 5"):
        cache.meter(crowded)
    wrong = body("a")
    wrong["system"][0]["cache_control"] = MINUTES
    with pytest.raises(CacheRuleError, match="1h"):
        cache.meter(wrong)


async def test_the_sdks_own_helper_reads_the_stream(simulator: ClaudeSimulator):
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=simulator.url)
    simulator.script(Answer(text="Hello there", thinking="Well", chunk=3))
    async with client.messages.stream(
        model="claude-sonnet-5-5",
        max_tokens=100,
        messages=[{"role": "user", "content": "Hi"}],
    ) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()
    assert text == "Hello there"
    assert [part.type for part in message.content] == ["thinking", "text"]
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 1
    assert stream.request_id == f"req_{simulator.requests[-1].number:08d}"
    await client.close()


async def test_the_sdk_reads_whole_answers_models_and_counts(simulator: ClaudeSimulator):
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=simulator.url)
    message = await client.messages.create(
        model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
    )
    assert isinstance(message.content[0], anthropic.types.TextBlock)
    listed = [model.id async for model in client.models.list()]
    assert "claude-sonnet-5-5" in listed
    counted = await client.messages.count_tokens(
        model="claude-haiku-5-5", messages=[{"role": "user", "content": "x" * 400}]
    )
    assert 100 <= counted.input_tokens <= 105
    await client.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (402, anthropic.PaymentRequiredError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (413, anthropic.ContentTooLargeError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
async def test_the_sdk_knows_the_errors(
    simulator: ClaudeSimulator, status: int, error: type[anthropic.APIStatusError]
):
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=simulator.url, max_retries=0)
    simulator.script(Failure(status, "words"))
    with pytest.raises(error) as caught:
        await client.messages.create(
            model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
    assert caught.value.api_message == "words"
    assert re.fullmatch(r"req_\d{8}", caught.value.request_id or "")
    await client.close()


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([{"role": "assistant", "content": "x"}], "first message"),
        ([{"role": "user", "content": " "}], "non-empty"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}], "prefill"),
        ([{"role": "user", "content": "x"}, {"role": "system", "content": "y"},
          {"role": "user", "content": "z"}], "system message must follow"),
    ],
)  # fmt: skip
async def test_requests_are_held_to_the_rules(
    simulator: ClaudeSimulator, messages: Any, words: str
):
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=simulator.url)
    with pytest.raises(anthropic.BadRequestError, match=words):
        await client.messages.create(model="claude-haiku-5-5", max_tokens=9, messages=messages)
    await client.close()


def test_the_rules_conclude_when_they_are_told_to():
    messages = [
        {"role": "user", "content": "The vpn is slow"},
        {"role": "system", "content": "The step limit is reached: conclude, at the step limit."},
    ]
    assert answer_to({"messages": messages})["needs_person"] is True
    assert set(answer_to({"messages": messages[:1]})) == set(card())


def test_it_starts_from_a_command_line():
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.claude", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert program.stdout is not None
        line = program.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address is not None, line
        client = anthropic.Anthropic(api_key=KEY, base_url=address[0])
        assert client.models.list().data
        client.close()
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(10)
        assert program.stdout is not None
        program.stdout.close()
    assert program.returncode == 0
