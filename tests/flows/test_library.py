"""The shipped flows: sound, quick to load, and found by the texts that speak of them."""

import random
import re
import statistics
import time
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import Action, Question, Result, Risk, StepKind, Tier, tier
from flowpilot_desktop.flows import walk
from flowpilot_desktop.flows.check import check
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.model import END, GENERAL_ID, NodeKind
from tests.flows.matching import PARTS, SHIPPED, measure, samples, table
from tests.flows.playing import play

LIBRARY = FlowLibrary.load(SHIPPED)
FLOWS = list(LIBRARY.flows.values())


def test_every_shipped_flow_is_sound_and_finds_its_samples():
    report = check([SHIPPED])
    assert report.is_clean, report.text
    assert len(report.flows) >= 33


def test_files_are_named_for_their_flows():
    for flow in FLOWS:
        assert flow.path is not None
        assert flow.path.stem == flow.id


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
def test_a_flow_says_what_a_technician_needs(flow):
    assert 8 <= len(flow.nodes) <= 32
    assert len(flow.causes) >= 5
    kinds = [node.kind for node in flow.nodes.values()]
    assert NodeKind.ESCALATION in kinds
    assert NodeKind.VERIFICATION in kinds
    tested = {node.tests for node in flow.nodes.values()}
    named = {
        evidence.cause
        for node in flow.nodes.values()
        for edge in node.edges.values()
        for evidence in edge.evidence
        if evidence.factor > 1
    }
    assert set(flow.causes) <= tested | named, "a cause that no answer can speak for"
    for node in flow.nodes.values():
        assert not re.search(r"\bTODO\b|\?\?\?|lorem", node.body.text, re.IGNORECASE)
        if isinstance(node.body, Action) and node.body.command is not None:
            command = node.body.command
            assert "\n" not in command.text
            assert command.risk is Risk.READ_ONLY or command.undo
            if command.risk is Risk.READ_ONLY:
                assert not re.search(
                    r"\b(?:Remove|Set|Stop|Restart|Disable|Enable|Clear|Add|Suspend|Revoke)-|"
                    r"/release|/renew|/flushdns|/registerdns|\bdel\b|/delete|/reset|/force|\bren\b",
                    command.text,
                ), f"{flow.id}/{node.id} changes something"


def test_loading_all_flows_is_quick():
    seconds = []
    for _ in range(5):
        started = time.thread_time()
        library = FlowLibrary.load(SHIPPED)
        library.match("printer offline")
        seconds.append(time.thread_time() - started)
    assert len(library.flows) >= 33
    # The promise is 150 ms on a desktop; a shared machine gets room.
    assert statistics.median(seconds) < 0.4


FLOORS = {"development": (0.95, 0.02), "held_out": (0.90, 0.05), "fresh": (0.85, 0.10)}
"""Top-1 at least and false matches at most, by part of the corpus."""


@pytest.mark.parametrize("part", PARTS)
def test_intakes_find_their_flow_and_wishes_find_none(part):
    measured = measure(LIBRARY, part)
    top_1, false_rate = FLOORS[part]
    assert measured.negatives * 2.2 >= measured.positives, "about a third speaks of no flow"
    assert measured.top_1 >= top_1, table([measured])
    assert measured.false_rate <= false_rate, table([measured])
    assert measured.p95 < 5, table([measured])


def test_the_corpus_holds_two_hundred_texts_and_none_twice():
    texts = [sample.text for part in PARTS for sample in samples(part)]
    assert len(texts) >= 200
    assert len(set(texts)) == len(texts)
    assert {s.flow for part in PARTS for s in samples(part)} == (
        {flow.id for flow in FLOWS} - {GENERAL_ID} | {"none"}
    )


def test_the_general_flow_is_never_found_by_its_words():
    general = LIBRARY.general
    assert general.id == GENERAL_ID
    for text in (general.title, *(node.body.text for node in general.nodes.values())):
        found = [match.flow.id for match in LIBRARY.candidates(text, 50)]
        assert GENERAL_ID not in found


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "?", "a" * 100_000, "\x00\x01\u202e\u200b", "\U0001f5a8" * 50, "the of and"],
)
def test_any_text_can_be_asked(text):
    assert LIBRARY.match(text) is None


def test_a_hundred_kilobytes_of_log_are_matched_at_once():
    log = "2026-03-02 09:00:01 ERROR spooler printer offline job 17 stuck\n" * 1600
    started = time.thread_time()
    LIBRARY.match(log)
    assert time.thread_time() - started < 0.1


def test_candidates_come_with_falling_scores():
    found = LIBRARY.candidates("Outlook keeps asking for the password and the VPN drops", 4)
    scores = [match.score for match in found]
    assert scores == sorted(scores, reverse=True)
    assert {"outlook-not-connecting", "vpn"} <= {match.flow.id for match in found}


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.id)
def test_every_walk_ends_and_repeats_nothing(flow):
    """Whatever is answered, the walk ends within the step limit in a resolution or in advice."""
    for seed in range(60):
        rng = random.Random(seed)

        def answer(step, rng=rng):
            body = step.body
            if isinstance(body, Question):
                values = [option.value for option in body.options]
                extra = ["skip"] if body.skip_allowed else []
                free = ['"no idea, it just fails"'] if body.free_text_allowed else []
                return rng.choice(values * 3 + extra + free)
            return rng.choice(list(Result))

        record = play(flow, answer)
        assert record.steps, flow.id
        assert walk.next_draft(flow, record.steps) is None, (flow.id, seed, record.nodes)
        asked = [s.flow_node for s in record.steps if s.kind is StepKind.ACTION]
        assert len(asked) == len(set(asked)), (flow.id, seed, record.nodes)
        last = record.steps[-1]
        node = flow.nodes.get(last.flow_node)
        assert last.flow_node == END or node.kind in (NodeKind.ESCALATION, NodeKind.RESOLUTION)
        for step in record.steps:
            if tier(step.confidence) is Tier.GUIDED:
                assert step.hypotheses[0].status == "supported", (flow.id, step.flow_node)


def test_flow_texts_fit_beside_a_ticket():
    for flow in FLOWS:
        assert len(walk.flow_text(flow)) < 24_000
    assert "E:\\" not in walk.flow_text(LIBRARY.general)


def test_nothing_shipped_names_a_path_of_this_machine():
    for path in Path(SHIPPED).glob("*.yaml"):
        assert "/home/" not in path.read_text(encoding="utf-8")
