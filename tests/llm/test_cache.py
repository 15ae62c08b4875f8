"""A long session's requests share their beginning byte for byte, and the cache reads nearly all."""

import itertools
import json

from flowpilot_desktop.llm.conversation import consultation
from tests.llm.cache_table import rows
from tests.llm.conftest import answer
from tests.llm.records import growing_records
from tests.simulators.claude import ClaudeSimulator

QUESTIONS = 25


def _bytes(raw: bytes, body: dict[str, object]) -> tuple[bytes, bytes]:
    """What stands before the messages, and the messages, as they were on the wire."""
    compact = json.dumps(body["messages"], separators=(",", ":"), ensure_ascii=False).encode()
    assert raw.count(compact) == 1, "the SDK writes JSON compactly"
    before, _, after = raw.partition(compact)
    return before + after, compact


async def test_every_request_begins_like_the_one_before(simulator: ClaudeSimulator):
    await rows(simulator, QUESTIONS, minutes=7)
    sent = [_bytes(item.raw, item.body) for item in simulator.requests]
    assert len(sent) == QUESTIONS
    assert len({frame for frame, _ in sent}) == 1, "model, instructions, schema: all the same"
    pictures = [str(item.body["messages"]).count("'type': 'image'") for item in simulator.requests]
    assert (pictures[0], pictures[-1]) == (1, 6), "screenshots came on the way"
    for number, ((_, earlier), (_, later)) in enumerate(itertools.pairwise(sent), 2):
        assert later.startswith(earlier[:-1] + b","), f"request {number} appends and nothing else"


async def test_nearly_all_of_the_prompt_is_read_from_the_cache(simulator: ClaudeSimulator):
    table = await rows(simulator, QUESTIONS, minutes=7)
    later = table[2:]
    read = sum(row.usage.cache_read_tokens for row in later)
    assert read / sum(row.prompt for row in later) >= 0.9
    assert all(row.usage.cache_read_tokens > 0 for row in table[1:]), "not one total miss"
    # Nothing is paid twice: what one request wrote, the next one reads.
    for earlier, row in itertools.pairwise(table):
        assert row.usage.cache_read_tokens == earlier.prompt


async def test_the_cost_grows_in_a_straight_line(simulator: ClaudeSimulator):
    table = await rows(simulator, QUESTIONS, minutes=7)
    half = sum(row.cost for row in table[1:13])
    rest = sum(row.cost for row in table[13:])
    assert rest < 1.3 * half, "the second half of a session costs about what the first does"
    plain_half = sum(row.uncached_cost for row in table[1:13])
    plain_rest = sum(row.uncached_cost for row in table[13:])
    assert plain_rest > 1.3 * plain_half, "without a cache it would not"


async def test_after_more_than_the_cache_keeps_only_one_request_pays(simulator: ClaudeSimulator):
    """A pause overnight costs one rewriting, no more."""
    slow = await rows(simulator, 6, minutes=61)
    assert [row.usage.cache_read_tokens for row in slow] == [0] * 6
    simulator.advance(minutes=61)
    quick = await rows(simulator, 6, minutes=59)
    assert [row.usage.cache_read_tokens > 0 for row in quick] == [False, *[True] * 5]


async def test_a_restart_asks_with_the_same_bytes(simulator: ClaudeSimulator, claude):
    """Another process, another redactor, another adapter: the same request."""
    for record in growing_records(20):
        last = record
    first, second = claude(), claude()
    await answer(first, consultation(last))
    await answer(second, consultation(last))
    one, other = simulator.requests
    assert one.raw == other.raw
    assert other.usage is not None
    assert other.usage.cache_write == 0
    assert other.usage.input_tokens == 0
