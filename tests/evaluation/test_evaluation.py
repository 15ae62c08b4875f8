"""Floors for what the flows alone achieve; `python -m tests.evaluation` prints the figures."""

import random
import statistics

import pytest

from flowpilot_desktop.core.session import BRIEFING_FRESH, Question, Result, Tier
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.model import option_edge
from tests.evaluation.__main__ import report
from tests.evaluation.replay import SHIPPED, Summary, _repeated, evaluate, worlds
from tests.flows.playing import Record, play

LIBRARY = FlowLibrary.load(SHIPPED)


@pytest.fixture(scope="module")
def summary() -> Summary:
    return evaluate(LIBRARY)


def test_every_fact_is_about_a_card_of_its_flow():
    for world in worlds():
        flow = LIBRARY.flows[world.flow]
        for node_id, fact in {**world.facts, **world.back}.items():
            node = flow.nodes[node_id]
            if isinstance(node.body, Question) and not fact.startswith("~"):
                assert option_edge(fact) in node.edges, (world.name, node_id, fact)
            elif not isinstance(node.body, Question):
                assert Result(fact)
        assert set(world.fixes) <= set(flow.nodes), world.name


def test_the_worlds_are_many_and_not_all_easy():
    kinds = [world.kind for world in worlds()]
    assert len(kinds) >= 100
    for kind in (
        "vague",
        "wrong-answer",
        "two-causes",
        "red-herring",
        "already-fixed",
        "not-reproducible",
        "wrong-device",
        "no-cure",
        "general",
    ):
        assert kinds.count(kind) >= 3, kind
    assert {world.flow for world in worlds()} >= set(LIBRARY.flows) - {
        "time-kerberos",
        "macos-basics",
        "dns",
        "mailbox-full",
    }


def test_floors(summary):
    text = report(summary, LIBRARY)
    assert summary.solved >= 0.95, text
    assert summary.honest >= 0.95, text
    assert summary.matched(LIBRARY) >= 0.90, text
    assert statistics.mean(summary.over) <= 1.5, text
    assert summary.mistaken <= 3, text


def test_nothing_is_asked_twice_not_even_after_a_fresh_pickup(summary):
    assert [o.world.name for o in summary.outcomes if o.repeated] == []
    assert [o.world.name for o in summary.outcomes if o.fresh_repeated] == []
    assert any(o.fresh is not None for o in summary.outcomes)


def test_no_conclusion_stands_without_support(summary):
    assert [o.unsupported for o in summary.outcomes if o.unsupported] == []


def test_tiers_mean_what_they_say(summary):
    shares = {t: right / cards for t, (cards, right) in summary.calibration().items()}
    assert shares[Tier.DISCOVERY] < 0.4
    assert 0.4 <= shares[Tier.EXPLORING] < 0.8
    assert shares[Tier.GUIDED] >= 0.8


def test_vague_answers_cost_solutions_but_no_honesty():
    vague = evaluate(LIBRARY, 0.3, 3)
    assert vague.solved >= 0.75
    assert vague.honest >= 0.9
    assert vague.unsupported == 0
    assert vague.repeated + vague.fresh_repeated == 0
    guided, right = vague.calibration()[Tier.GUIDED]
    assert right / guided >= 0.8


@pytest.mark.parametrize("flow", LIBRARY.flows.values(), ids=lambda flow: flow.id)
def test_a_fresh_pickup_at_any_moment_repeats_no_step(flow):
    for seed in range(25):
        rng = random.Random(seed)

        def answer(step, rng=rng):
            if isinstance(step.body, Question):
                return rng.choice([option.value for option in step.body.options])
            return rng.choice([Result.DID_NOT_WORK, Result.DID_NOT_WORK, Result.COULD_NOT_TRY])

        first = play(flow, answer, limit=rng.randrange(1, 9))
        second = Record(flow, first.steps)
        second.picked_up(BRIEFING_FRESH)
        play(flow, answer, record=second)
        assert _repeated(second.steps) == [], (flow.id, seed)
        assert len(second.steps) <= 2 * len(flow.nodes)
