"""Cards and answers: what counts as one, and that an answer never changes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flowpilot_desktop.core.errors import StepRefused
from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    STEP_BODIES,
    Action,
    Briefing,
    IntakeType,
    Note,
    Option,
    Question,
    Resolution,
    Response,
    Result,
    Source,
    Step,
    StepKind,
    Tier,
    Verification,
    answered,
    checked_response,
    intake_type,
    is_verified,
    open_step,
    response_label,
    tier,
)

AT = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
QUESTION = Question("Which?", options=(Option("One PC", "one"), Option("All of them", "all")))
STRICT = replace(QUESTION, free_text_allowed=False, skip_allowed=False)


def a_step(body, number=1, response=None) -> Step:
    step = Step(f"step-{number}", "s", number, body, Source.FLOW, AT, "me")
    return step if response is None else answered(step, response, by="me", at=AT)


ACCEPTED = [
    (QUESTION, Response(option="one"), "One PC"),
    (QUESTION, Response(option="one", text="the old one"), "One PC — the old one"),
    (QUESTION, Response(text="  two of them "), "two of them"),
    (QUESTION, Response(skipped=True), "Skipped"),
    (STRICT, Response(option="all"), "All of them"),
    (Action("Restart it"), Response(result=Result.WORKED), "Worked"),
    (Action("Restart it"), Response(result=Result.DID_NOT_WORK, text="E23"), "Did not work — E23"),
    (Action("Restart it"), Response(result=Result.COULD_NOT_TRY), "Could not try"),
    (Verification("Holds?"), Response(result=Result.WORKED), "Yes, it holds"),
    (Resolution("Fixed"), Response(result=Result.DID_NOT_WORK), "Not resolved"),
    (Briefing("VPN", "Priya"), Response(option=BRIEFING_CONTINUE), "Continue where they left off"),
]
REFUSED = [
    (QUESTION, Response()),
    (QUESTION, Response(text=" \n ")),
    (QUESTION, Response(option="One PC")),
    (STRICT, Response(text="my own words")),
    (STRICT, Response(skipped=True)),
    (Action("Restart it"), Response(text="done")),
    (Verification("Holds?"), Response(option="yes")),
    (Resolution("Fixed"), Response(skipped=True)),
    (Briefing("VPN", "Priya"), Response(text="I take it")),
    (Note("logged"), Response(text="more")),
]


@pytest.mark.parametrize(("body", "response", "label"), ACCEPTED)
def test_an_answer_that_fits_is_kept_and_told_by_its_label(body, response, label):
    assert checked_response(body, response) is response
    assert response_label(body, response) == label


@pytest.mark.parametrize(("body", "response"), REFUSED)
def test_an_answer_that_does_not_fit_is_refused(body, response):
    with pytest.raises(StepRefused) as refusal:
        checked_response(body, response)
    assert refusal.value.message


def test_an_answered_step_never_changes():
    step = a_step(QUESTION, response=Response(option="one"))
    with pytest.raises(StepRefused):
        answered(step, Response(option="all"), by="me", at=AT)
    assert step.response_label == "One PC"


def test_the_open_step_is_the_last_one_without_an_answer():
    first, second = a_step(QUESTION, 1), a_step(Verification("Holds?"), 2)
    note = a_step(Note("looked at the switch"), 3)
    assert open_step((first, second, note)) == second
    verified = answered(second, Response(result=Result.DID_NOT_WORK), by="me", at=AT)
    assert open_step((first, verified, note)) == first
    assert open_step((note,)) is None


@pytest.mark.parametrize(
    ("results", "verified"),
    [
        ([], False),
        ([Result.WORKED], True),
        ([Result.DID_NOT_WORK, Result.WORKED], True),
        ([Result.WORKED, Result.DID_NOT_WORK], False),
        ([Result.COULD_NOT_TRY], False),
        ([Result.WORKED, Result.COULD_NOT_TRY], True),
    ],
)
def test_only_a_persons_last_word_verifies(results, verified):
    steps = tuple(
        a_step(Verification("Holds?"), number, Response(result=result))
        for number, result in enumerate(results, start=1)
    )
    assert is_verified((a_step(QUESTION, 99, Response(option="one")), *steps)) is verified


def test_an_action_that_worked_is_no_verification():
    assert not is_verified((a_step(Action("Restart"), 1, Response(result=Result.WORKED)),))


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0, Tier.DISCOVERY),
        (0.39999, Tier.DISCOVERY),
        (0.4, Tier.EXPLORING),
        (0.79999, Tier.EXPLORING),
        (0.8, Tier.GUIDED),
        (1, Tier.GUIDED),
    ],
)
def test_tiers_begin_where_the_design_says(confidence, expected):
    assert tier(confidence) is expected


@pytest.mark.parametrize(
    ("text", "ticket", "screenshot", "expected"),
    [
        ("printer offline", "", False, IntakeType.FREE_TEXT),
        ("", "12", False, IntakeType.PSA_TICKET),
        ("   ", "12", False, IntakeType.PSA_TICKET),
        ("since today", "12", True, IntakeType.COMBINED),
        ("line\n" * 20, "", False, IntakeType.LOG_PASTE),
        ("", "", True, IntakeType.SCREENSHOT),
    ],
)
def test_the_type_of_an_intake(text, ticket, screenshot, expected):
    assert intake_type(text, ticket, has_screenshot=screenshot) is expected


def test_every_kind_has_a_class():
    assert set(STEP_BODIES) == set(StepKind)
