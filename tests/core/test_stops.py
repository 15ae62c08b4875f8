"""A diagnosis that goes in circles is noticed, and the limits of a session hold."""

from datetime import UTC, datetime, timedelta

import pytest

from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    BRIEFING_FRESH,
    STEP_LIMIT,
    Action,
    Briefing,
    Command,
    Hypothesis,
    HypothesisStatus,
    Note,
    Question,
    Response,
    Result,
    Source,
    Step,
    StepBody,
    StepDraft,
    Usage,
    Verification,
)
from flowpilot_desktop.core.stops import (
    Limits,
    StopSign,
    are_near_identical,
    must_conclude,
    stop_signs,
    tried_before,
)


def step(
    number: int,
    body: StepBody,
    *,
    response: Response | None = None,
    hypotheses: tuple[Hypothesis, ...] = (),
    usage: Usage | None = None,
    corrects: str = "",
) -> Step:
    default = Response(text="yes") if isinstance(body, Question) else Response(result=Result.WORKED)
    return Step(
        id=f"step-{number}",
        session_id="session-1",
        number=number,
        body=body,
        source=Source.CLAUDE,
        created_at=datetime(2026, 3, 27, tzinfo=UTC) + timedelta(minutes=number),
        created_by="engineer-1",
        response=None if isinstance(body, Note) else response or default,
        answered_by="engineer-1",
        hypotheses=hypotheses,
        usage=usage or Usage(),
        corrects=corrects,
    )


def steps(*texts: str) -> list[Step]:
    return [step(number, Action(text)) for number, text in enumerate(texts, 1)]


def signs(found: list[Step], draft: StepDraft | None = None) -> list[StopSign]:
    return [stop.sign for stop in stop_signs(found, draft)]


A = "Restart the print spooler on the server."
A2 = "Restart the print-spooler on the server"
B = "Check the cable of the printer in accounting."


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Action(A), Action(A), True),
        (Action(A), Action(A2.upper()), True),
        (Action(A), Action(B), False),
        (Action(A), Question(A), False),
        (Action("Ping 10.0.0.1 from the PC"), Action("Ping 10.0.0.2 from the PC"), False),
        (Action("Try port 443 now, please"), Action("Try port 993 now, please"), False),
        (Question("Since when does it happen?"), Question("Since when does it happen ?"), True),
        (
            Action("Look.", command=Command("Get-Service  Spooler", "powershell")),
            Action("Have a look at it.", command=Command("get-service spooler", "powershell")),
            True,
        ),
        (
            Action("Run it.", command=Command("Get-Service Spooler", "powershell")),
            Action("Run it.", command=Command("Get-Service Fax", "powershell")),
            False,
        ),
        (Action("Run it.", command=Command("dir", "cmd")), Action("Run it.")  , True),
        (Action("Run it.", command=Command("dir", "cmd")), Action("Do it by hand."), False),
    ],
)  # fmt: skip
def test_near_identical_cards(first: StepBody, second: StepBody, expected: bool):
    assert are_near_identical(first, second) is expected
    assert are_near_identical(second, first) is expected


def test_a_new_step_gives_no_sign():
    assert signs(steps(A, B)) == []
    assert signs(steps(A), StepDraft(Action(B), Source.CLAUDE)) == []
    assert signs([]) == []


def test_a_repeated_step_is_noticed_before_it_is_shown():
    found = stop_signs(steps(A, B), StepDraft(Action(A2), Source.CLAUDE))
    assert [stop.sign for stop in found] == [StopSign.REPEATED]
    assert found[0].steps == (1,)
    assert "step 1" in found[0].message
    assert signs(steps(A, B, A2)) == [StopSign.REPEATED]


@pytest.mark.parametrize(
    "response", [Response(result=Result.COULD_NOT_TRY), Response(skipped=True)]
)
def test_what_could_not_be_done_may_be_asked_again(response: Response):
    earlier = step(1, Action(A), response=response)
    assert signs([earlier], StepDraft(Action(A), Source.CLAUDE)) == []


def test_a_verification_may_follow_every_fix():
    verification = Verification("Does it print now?")
    done = [step(1, Action(A)), step(2, verification), step(3, Action(B))]
    assert signs(done, StepDraft(verification, Source.CLAUDE)) == []


def test_two_steps_that_take_turns():
    found = stop_signs(steps(A, B, A2, B))
    assert [stop.sign for stop in found] == [StopSign.LOOP]
    assert found[0].steps == (1, 2, 3, 4)
    assert signs(steps("first", A, B, A), StepDraft(Action(B), Source.CLAUDE)) == [StopSign.LOOP]
    assert signs(steps(A, A, A, A)) == [StopSign.REPEATED]


def test_notes_and_corrected_steps_are_no_cards():
    loop = [*steps(A, B, A), step(4, Note("x")), step(5, Action(B))]
    assert signs(loop) == [StopSign.LOOP]
    corrected = [step(1, Action(A)), step(2, Action(A), corrects="step-1")]
    assert signs(corrected) == []


def thinking(*confidences: float, status: HypothesisStatus = HypothesisStatus.OPEN) -> list[Step]:
    return [
        step(
            number,
            Action(f"Look at part {number}"),
            hypotheses=(Hypothesis("The driver", confidence, status),),
        )
        for number, confidence in enumerate(confidences, 1)
    ]


def test_three_steps_that_taught_nothing():
    found = stop_signs(thinking(0.5, 0.52, 0.5))
    assert [stop.sign for stop in found] == [StopSign.NOTHING_LEARNED]
    assert found[0].steps == (1, 2, 3)
    assert signs(thinking(0.5, 0.5)) == []
    assert signs(thinking(0.3, 0.5, 0.7)) == []
    assert signs(thinking(0.5, 0.5, 0.9)) == []
    assert signs(steps("one", "two", "three")) == [], "without hypotheses nothing is known"


def test_a_changed_status_is_news():
    two = thinking(0.5, 0.5)
    news = thinking(0.5, 0.5, 0.5, status=HypothesisStatus.RULED_OUT)[2]
    assert signs([*two, news]) == []
    draft = StepDraft(
        Action("Look at part 3"), Source.CLAUDE, hypotheses=(Hypothesis("The driver", 0.5),)
    )
    assert signs(two, draft) == [StopSign.NOTHING_LEARNED]


def test_the_step_limit_forces_a_conclusion():
    many = [step(number, Action(f"Look at part {number}")) for number in range(1, STEP_LIMIT + 1)]
    assert must_conclude(many)
    assert not must_conclude(many[:-1])
    assert not must_conclude([*many[:-1], step(99, Note("a note is no card"))])
    assert StopSign.STEP_LIMIT.forces_conclusion
    assert not StopSign.REPEATED.forces_conclusion


def test_time_and_tokens_have_limits():
    limits = Limits(worked=timedelta(hours=2), tokens=1_000)
    used = [step(1, Action(A), usage=Usage(100, 200, 300, 400))]
    assert must_conclude(used, limits=limits)
    assert not must_conclude(used, limits=Limits(tokens=1_001))
    assert must_conclude(steps(A), limits=limits, worked=timedelta(hours=2))
    assert not must_conclude(steps(A), limits=limits, worked=timedelta(hours=1, minutes=59))
    found = stop_signs(used, limits=limits, worked=timedelta(hours=3))
    assert [stop.sign for stop in found] == [StopSign.TIME_LIMIT, StopSign.TOKEN_LIMIT]
    assert "3 hours" in found[0].message
    assert all(stop.message.endswith(".") for stop in found)


def test_long_texts_are_compared_quickly():
    bodies = [Action(f"{number} {'look at the log ' * 120}") for number in range(STEP_LIMIT)]
    many = [step(number, body) for number, body in enumerate(bodies, 1)]
    began = datetime.now(UTC)
    stop_signs(many, StepDraft(Action("look at the log " * 120), Source.CLAUDE))
    assert datetime.now(UTC) - began < timedelta(seconds=2)


def taken_over(number: int, way: str = BRIEFING_FRESH, corrects: str = "") -> Step:
    body = Briefing("The printer prints nothing", "Sam")
    return step(number, body, response=Response(option=way), corrects=corrects)


def test_a_fresh_start_forbids_what_was_done_before_it_and_nothing_else():
    undone = step(2, Action("Swap the cable"), response=Response(result=Result.COULD_NOT_TRY))
    held = step(3, Verification("Does it hold?"))
    past = [step(1, Action("Look at the spooler.")), undone, held, taken_over(4)]
    own = step(5, Action("Swap the tray"))
    late = taken_over(6, corrects="step-4")
    everything = [*past, own, late]
    assert tried_before(everything, StepDraft(Action("Look at the spooler"), Source.CLAUDE)) == 1
    for body in (undone.body, held.body, own.body, Action("Look at spooler 2")):
        assert tried_before(everything, StepDraft(body, Source.CLAUDE)) is None
    same = StepDraft(Action("Look at the spooler"), Source.CLAUDE)
    assert tried_before([past[0], taken_over(2, BRIEFING_CONTINUE)], same) is None
    assert tried_before(past[:1], same) is None
