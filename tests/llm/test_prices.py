"""What tokens cost, to the micro-dollar."""

import pytest

from flowpilot_desktop.core.session import Usage
from flowpilot_desktop.llm import registry
from flowpilot_desktop.llm.prices import PRICES, Price, cost_micros, parse_overrides, price_of


def test_a_million_tokens_cost_their_price():
    million = 1_000_000
    assert cost_micros("claude-sonnet-5-5", Usage(input_tokens=million)) == 2_000_000
    assert cost_micros("claude-sonnet-5-5", Usage(output_tokens=million)) == 10_000_000
    assert cost_micros("claude-sonnet-5-5", Usage(cache_write_tokens=million)) == 4_000_000
    assert cost_micros("claude-sonnet-5-5", Usage(cache_read_tokens=million)) == 100_000


def test_a_step_is_added_up_and_rounded_up():
    usage = Usage(input_tokens=3, output_tokens=200, cache_read_tokens=5_001, cache_write_tokens=90)
    assert cost_micros("claude-sonnet-5-5", usage) == 6 + 2_000 + 501 + 360
    assert cost_micros("claude-haiku-5-5", Usage(input_tokens=1)) == 1
    assert cost_micros("claude-sonnet-5-5", Usage()) == 0


@pytest.mark.parametrize("model", [registry.MODEL, registry.FAST_MODEL])
def test_the_models_that_are_asked_have_a_price(model: str):
    assert price_of(model) is not None


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("claude-sonnet-5-5-20260928", "claude-sonnet-5-5"),
        ("claude-sonnet-5", "claude-sonnet-5"),
        ("claude-opus-4-8", "claude-opus-4"),
        ("claude-sonnet-55", None),
        ("mistral-large", None),
    ],
)
def test_a_model_is_known_by_the_longest_beginning(model: str, known: str | None):
    assert price_of(model) == (PRICES[known] if known else None)


def test_an_unknown_model_counts_as_the_dearest():
    usage = Usage(input_tokens=1_000, output_tokens=1_000)
    assert all(cost_micros("unheard-of", usage) >= cost_micros(name, usage) for name in PRICES)


def test_a_long_prompt_of_the_small_model_costs_more():
    short = Usage(input_tokens=100_000)
    longer = Usage(input_tokens=50_000, cache_read_tokens=50_001)
    assert cost_micros("claude-haiku-5-5", short) == 10_000
    assert cost_micros("claude-haiku-5-5", longer) == 5 * 5_000 + 2_501


def test_a_dated_model_costs_what_its_name_without_the_date_does():
    long = Usage(input_tokens=100_001)
    assert cost_micros("claude-haiku-5-5-20261001", long) == cost_micros("claude-haiku-5-5", long)
    ours = parse_overrides("claude-haiku-5-5 1 5 2 0.1")
    for name in ("claude-haiku-5-5", "claude-haiku-5-5-20261001"):
        assert cost_micros(name, long, ours) == 100_001, "a contract's price holds for any length"


def test_a_contracts_prices_come_first():
    prices = parse_overrides("# ours\n\nclaude-sonnet-5-5 1 5 2 0.05\nlan-model 0 0 0 0\n")
    assert prices["claude-sonnet-5-5"] == Price(1, 5, 2, 0.05)
    usage = Usage(input_tokens=1_000)
    assert cost_micros("claude-sonnet-5-5", usage, prices) == 1_000
    assert cost_micros("lan-model", usage, prices) == 0
    assert cost_micros("claude-opus-5-5", usage, prices) == 4_000


@pytest.mark.parametrize(
    "line",
    ["model", "model 1 2 3", "model 1 2 3 4 5", "model a b c d", "model 1 2 3 -4", "m 1 2 3 nan"],
)
def test_a_bad_line_is_named(line: str):
    with pytest.raises(ValueError, match="Line 2"):
        parse_overrides(f"good 1 1 1 1\n{line}")
