"""The recorded steps are the position: restarts, notes, other minds and corrections included."""

from dataclasses import replace
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    BRIEFING_FRESH,
    Action,
    Command,
    HypothesisStatus,
    Option,
    Question,
    Resolution,
    Result,
    Source,
    StepKind,
    Tier,
    is_verified,
    tier,
)
from flowpilot_desktop.flows import walk
from flowpilot_desktop.flows.loading import load_text
from flowpilot_desktop.flows.model import BY_HAND, END, ESCALATE, Flow
from tests.flows.playing import Record, play

WORKED, FAILED, NOT_TRIED = Result.WORKED, Result.DID_NOT_WORK, Result.COULD_NOT_TRY

TEXT = """\
id: lamp
version: 1
title: The lamp is dark
domain: Office
matches: [The lamp is dark]
entry: scope
causes:
  mains: The mains are off
  plug: The lamp is not plugged in
  bulb: The bulb is broken
  switch: The switch is broken
nodes:
  scope:
    question: Which lamps are dark?
    options:
      - {label: Only this one, value: one, to: plugged, weakens: {mains: strongly}}
      - {label: All of them, value: all, to: fuse, supports: {mains: strongly}, also: [everything]}
    other: plugged
    skip: fuse
  plugged:
    question: Is the lamp plugged in?
    options:
      - {label: Flickers, to: switch}
      - {label: "Yes", value: in, to: bulb, rules_out: [plug]}
      - {label: "No", value: out, to: plug-in, supports: {plug: strongly}}
    next: bulb
  plug-in:
    action: Plug the lamp into the wall socket.
    tests: plug
    worked: lit
    next: bulb
  fuse:
    action: Switch the fuse of the room on again.
    tests: mains
    worked: lit
    next: bulb
  bulb:
    action: Replace the bulb with a new one.
    tests: bulb
    worked: lit
    next: hand-off
  switch:
    action: Replace the switch.
    tests: switch
    worked: lit
    next: hand-off
  lit:
    verification: Switch the lamp on twice. Is it lit?
    worked: done
    could_not_try: hand-off
  done:
    resolution: The lamp is lit again.
  hand-off:
    escalation: An electrician should look at the wiring.
    collect: [model of the lamp, number of the fuse]
"""


@pytest.fixture
def flow() -> Flow:
    flow = load_text(TEXT, Path("lamp.yaml")).flow
    assert flow is not None
    return flow


@pytest.fixture
def record(flow) -> Record:
    return Record(flow)


def test_answers_lead_to_a_verified_resolution(record):
    assert record.go() == "scope"
    assert record.go("one") == "plugged"
    assert record.go("out") == "plug-in"
    assert record.go(WORKED) == "lit"
    assert record.go(WORKED) == "done"
    assert is_verified(record.steps)
    body = record.next().body
    assert isinstance(body, Resolution)
    assert body.text == "The lamp is lit again. Cause: The lamp is not plugged in."
    assert body.action_taken == "Plug the lamp into the wall socket."
    record.answer(WORKED)
    assert walk.next_draft(record.flow, record.steps) is None


def test_the_same_steps_give_the_same_card(record):
    record.go("one", "in")
    steps = record.steps
    assert walk.next_draft(record.flow, steps) == walk.next_draft(record.flow, tuple(steps))


def test_an_open_card_is_drafted_as_it_stands(record):
    record.go("one")
    record.next()
    draft = walk.next_draft(record.flow, record.steps)
    assert draft is not None
    assert draft.flow_node == "plugged"


def test_notes_by_hand_do_not_move_it(record):
    record.go("one")
    record.note("Replace the bulb with a new one.")
    assert record.go() == "plugged"


def test_a_models_steps_do_not_move_it_and_their_work_is_not_repeated(record):
    record.go("one")
    record.claude(Question("What colour is it?", options=(Option("Red", "red"),)), '"red"')
    assert record.go() == "plugged"
    record.claude(Action("Now replace the bulb with a new one, please."), FAILED)
    assert record.go("in") == "hand-off"


def test_it_goes_on_at_the_last_unanswered_card_when_the_model_goes_away(record):
    record.go("one")
    record.next()  # the flow's card was shown, then a model took over
    record.claude(Action("Look at the ceiling."), WORKED)
    assert record.go() == "plugged"


def test_a_models_card_with_the_same_command_counts_as_tried(record, flow):
    text = TEXT.replace(
        "action: Switch the fuse of the room on again.",
        "action: Reset the fuse.\n    command: {text: Reset-Fuse -All, shell: powershell, "
        "risk: changes_one, undo: None needed}",
    )
    changed = load_text(text, Path("lamp.yaml")).flow
    assert changed is not None
    record = Record(changed)
    record.claude(Action("Go.", command=Command("reset-fuse  -all", "powershell")), FAILED)
    assert record.go("all") == "bulb"


def test_a_fix_that_does_not_hold_goes_on_as_if_it_had_not_worked(record):
    assert record.go("one", "out", WORKED, FAILED) == "bulb"
    assert record.go(WORKED) == "lit"
    assert record.go(WORKED) == "done"


def test_what_could_not_be_tried_leads_on(record):
    assert record.go("one", "in", NOT_TRIED) == "hand-off"


def test_a_skipped_question_leads_on(record):
    assert record.go("skip") == "fuse"


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("all of them", "fuse"),
        ("ALL OF THEM!", "fuse"),
        ("It is everything on this floor", "fuse"),
        ("only this one I guess", "plugged"),  # unsure: the edge for other answers
        ("not all of them", "plugged"),
        ("all of them? or only this one", "plugged"),
        ("hard to say", "plugged"),
    ],
)
def test_free_text_is_an_option_only_when_it_plainly_names_it(record, text, node):
    assert record.go(f'"{text}"') == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("no", "plug-in"),
        ("No, it was lying on the floor", "plug-in"),
        ("yes", "bulb"),
        ("no idea", "bulb"),
        ("yes and no", "bulb"),
    ],
)
def test_a_plain_yes_or_no_is_understood(record, text, node):
    assert record.go("one", f'"{text}"') == node
    plug = next(h for h in record.next().hypotheses if "plugged" in h.text)
    meant = {"yes": HypothesisStatus.RULED_OUT, "plug-in": HypothesisStatus.SUPPORTED}
    expected = meant.get(text if text == "yes" else node, HypothesisStatus.OPEN)
    assert plug.status is expected


def test_the_end_advises_to_escalate_with_a_good_package(record):
    assert record.go("one", "in", FAILED) == "hand-off"
    body = record.next().body
    assert isinstance(body, Question)
    assert "electrician" in body.text
    assert "number of the fuse" in body.text
    assert [option.value for option in body.options] == [ESCALATE, BY_HAND]
    record.answer(BY_HAND)
    assert walk.next_draft(record.flow, record.steps) is None


def test_a_resolution_turned_down_ends_in_advice(record):
    assert record.go("one", "out", WORKED, WORKED, FAILED) == END
    assert record.go(ESCALATE) == ""


def test_going_back_corrects_and_never_changes_an_answer(record):
    assert not walk.can_go_back(record.flow, record.steps)
    record.go("all")
    record.next()
    before = record.steps[0]
    correction = walk.back(record.flow, record.steps)
    assert correction is not None
    assert (correction.corrects, correction.draft.flow_node) == (before.id, "scope")
    record.back("one")
    assert record.steps[0] == before
    assert record.steps[-1].corrects == before.id
    assert record.go() == "plugged"
    mains = next(h for h in record.next().hypotheses if "mains" in h.text)
    assert mains.confidence < 0.1
    assert before.id not in mains.evidence


def test_going_back_twice_reaches_the_card_before(record):
    record.go("one", "in")
    record.next()
    first = walk.back(record.flow, record.steps)
    assert first is not None
    assert first.draft.flow_node == "plugged"
    record.add(first.draft, first.corrects)
    again = walk.back(record.flow, record.steps)
    assert again is not None
    assert again.draft.flow_node == "scope"


def test_after_a_correction_nothing_answered_is_asked_again(record):
    record.go("all", FAILED, FAILED)  # fuse, bulb
    correction = walk.back(record.flow, record.steps)
    assert correction is not None
    assert correction.draft.flow_node == "bulb"
    scope = record.steps[0]
    draft = walk.next_draft(record.flow, ())
    assert draft is not None
    record.add(draft, scope.id)
    record.answer("one")
    assert record.go("in") == "hand-off"  # the bulb was replaced before


def test_confidence_and_hypotheses_move_with_the_answers(record):
    first = record.next()
    assert tier(first.confidence) is Tier.DISCOVERY
    assert {h.status for h in first.hypotheses} == {HypothesisStatus.OPEN}
    record.answer("one")
    record.next()
    record.answer("out")
    step = record.next()
    top = step.hypotheses[0]
    assert top.text == "The lamp is not plugged in"
    assert top.status is HypothesisStatus.SUPPORTED
    assert top.evidence == ("step-2",)
    assert tier(step.confidence) is Tier.GUIDED
    record.answer(WORKED)
    lit = record.next()
    record.answer(FAILED)
    after = record.next()
    assert after.confidence < lit.confidence
    assert after.hypotheses[0].text != top.text


def test_elimination_alone_never_guides(record):
    record.go("one", "in", FAILED)
    draft = walk.next_draft(record.flow, record.steps)
    assert draft is not None
    assert tier(draft.confidence) is not Tier.GUIDED
    assert draft.hypotheses[-1].status is HypothesisStatus.RULED_OUT


def test_a_fresh_start_repeats_nothing_and_finds_what_nobody_tried(record):
    record.go("skip", FAILED, FAILED, ESCALATE)
    asked = set(record.nodes)
    draft = walk.start_after(record.flow, record.steps)
    assert draft is not None
    assert draft.flow_node == "switch"
    record.picked_up(BRIEFING_FRESH)
    play(record.flow, lambda s: FAILED if s.kind is StepKind.ACTION else "skip", record=record)
    mine = [step.flow_node for step in record.steps[5:]]
    assert mine[0] == "switch"
    assert not (set(mine) - {"hand-off"}) & asked
    assert len(mine) == len(set(mine))
    assert mine[-1] == "hand-off"


def test_a_fresh_start_follows_the_facts_that_are_known(record):
    record.go("one", "in", FAILED, ESCALATE)
    draft = walk.start_after(record.flow, record.steps)
    assert draft is not None
    assert draft.flow_node == "hand-off"  # the fuse belongs to an answer that was not given


def test_a_pickup_that_continues_goes_on_where_it_was(record):
    record.go("one")
    record.picked_up(BRIEFING_CONTINUE)
    assert record.go() == "plugged"


def test_a_failed_verification_is_not_asked_again_on_a_fresh_start(record):
    record.go("one", "out", WORKED, FAILED, NOT_TRIED, ESCALATE)
    record.picked_up(BRIEFING_FRESH)
    assert record.go() == "hand-off"


def test_steps_of_another_flow_do_not_move_it(flow, record):
    other = Record(flow)
    other.go("one")
    step = other.steps[0]
    record.steps = (replace(step, flow_id="other"),)
    assert record.go() == "plugged"  # but the same question was answered there
    record.steps = (replace(step, flow_id="other", body=Question("How tall are you?")),)
    assert record.go() == "scope"


def test_a_node_that_a_newer_version_lost_does_not_break_it(flow, record):
    record.go("one")
    record.steps = (replace(record.steps[0], flow_node="gone", body=Question("How old is it?")),)
    assert record.go() == "scope"


def test_drafts_name_their_source(flow):
    draft = walk.next_draft(flow, ())
    assert draft is not None
    assert (draft.source, draft.flow_id, draft.flow_node) == (Source.FLOW, "lamp", "scope")


def test_the_flow_as_text_holds_every_node_and_never_changes(flow):
    text = walk.flow_text(flow)
    assert text == walk.flow_text(flow)
    for node in flow.nodes.values():
        assert f"[{node.id}]" in text
    assert "rules out: The lamp is not plugged in" in text
