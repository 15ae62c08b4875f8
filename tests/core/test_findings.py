"""What is known of a problem, derived from the steps alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flowpilot_desktop.core.findings import (
    ENVIRONMENT_LIMIT,
    Findings,
    environment,
    findings,
    same,
)
from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Hypothesis,
    HypothesisStatus,
    Intake,
    Note,
    Option,
    Question,
    Resolution,
    Response,
    Result,
    Session,
    SessionStatus,
    Source,
    Step,
    StepBody,
    TriedStep,
    Verification,
)
from flowpilot_desktop.core.ticket import Configuration, Ticket, TicketContext

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
SESSION = Session(
    id="s1",
    user_id="ana",
    handler_id="ana",
    status=SessionStatus.ACTIVE,
    intake=Intake("Outlook will not open on PC-0117"),
    created_at=START,
    updated_at=START,
    problem_summary="Outlook hangs at the splash screen",
    problem_domain="Email",
)


def step(
    number: int,
    body: StepBody,
    response: Response | None = None,
    *,
    hypotheses: tuple[Hypothesis, ...] = (),
    source: Source = Source.CLAUDE,
    by: str = "ana",
    corrects: str = "",
    confidence: float = 0.5,
) -> Step:
    return Step(
        id=f"step-{number}",
        session_id="s1",
        number=number,
        body=body,
        source=source,
        created_at=START + timedelta(minutes=number),
        created_by=by,
        hypotheses=hypotheses,
        confidence=confidence,
        response=response,
        answered_at=START + timedelta(minutes=number) if response else None,
        answered_by=by if response else "",
        corrects=corrects,
    )


def known(*steps: Step, session: Session = SESSION) -> Findings:
    return findings(session, steps)


def texts(found: Findings) -> list[str]:
    return [item.text for item in found.ruled_out]


WORKED = Response(result=Result.WORKED)
FAILED = Response(result=Result.DID_NOT_WORK)


def test_an_empty_session_knows_its_problem_only():
    found = known()
    assert found.problem == "Outlook hangs at the splash screen"
    assert found.domain == "Email"
    assert (found.facts, found.tried, found.ruled_out, found.hypotheses, found.pending) == (
        (), (), (), (), (),
    )  # fmt: skip
    assert found.confidence is None
    bare = replace(SESSION, problem_summary=" ")
    assert known(session=bare).problem == "Outlook will not open on PC-0117"


def test_facts_are_answers_by_label_and_notes():
    question = Question("Since when?", options=(Option("Since today", "today"),))
    found = known(
        step(1, question, Response(option="today")),
        step(2, Question("Which build?"), Response(text="16.0.17328")),
        step(3, Note("Other users are fine"), source=Source.ENGINEER),
        step(4, Question("Anything else?"), Response(skipped=True)),
    )
    assert [(fact.number, fact.text, fact.answer) for fact in found.facts] == [
        (1, "Since when?", "Since today"),
        (2, "Which build?", "16.0.17328"),
        (3, "Other users are fine", ""),
    ]


def test_what_was_tried_keeps_its_result_and_its_step():
    found = known(
        step(1, Action("Start in safe mode"), FAILED),
        step(2, Action("Repair Office"), Response(result=Result.WORKED, text="took 20 minutes")),
        step(3, Verification("Does it open now?"), WORKED, by="ben"),
    )
    assert [(t.step_id, t.text, t.result, t.outcome, t.by) for t in found.tried] == [
        ("step-1", "Start in safe mode", Result.DID_NOT_WORK, "Did not work", "ana"),
        ("step-2", "Repair Office", Result.WORKED, "Worked — took 20 minutes", "ana"),
        ("step-3", "Does it open now?", Result.WORKED, "Yes, it holds", "ben"),
    ]


def test_failed_actions_and_refuted_hypotheses_are_ruled_out_with_their_proof():
    found = known(
        step(1, Action("Start in\nsafe mode"), FAILED),
        step(
            2,
            Question("Any add-ins?"),
            Response(text="none"),
            hypotheses=(
                Hypothesis("An add-in", 0.1, HypothesisStatus.RULED_OUT, ("step-1",)),
                Hypothesis("The profile", 0.7),
            ),
        ),
        step(3, Resolution("Recreate the profile"), FAILED),
    )
    assert texts(found) == [
        "Start in safe mode — did not work",
        "An add-in",
        "Recreate the profile — did not resolve it",
    ]
    assert [item.evidence for item in found.ruled_out] == [("step-1",), ("step-1",), ("step-3",)]


def test_a_refuted_hypothesis_stays_ruled_out_when_nobody_mentions_it_again():
    gone = Hypothesis("DNS", 0.1, HypothesisStatus.RULED_OUT)
    found = known(
        step(1, Question("a?"), Response(text="x"), hypotheses=(gone,)),
        step(2, Question("b?"), Response(text="x"), hypotheses=(Hypothesis("Profile", 0.6),)),
        step(3, Question("c?"), Response(text="x"), hypotheses=()),
    )
    assert texts(found) == ["DNS"]
    assert [item.text for item in found.hypotheses] == ["Profile"]


def test_a_hypothesis_that_comes_back_is_open_again():
    found = known(
        step(1, Question("a?"), Response(text="x"),
             hypotheses=(Hypothesis("DNS", 0.1, HypothesisStatus.RULED_OUT),)),
        step(2, Question("b?"), Response(text="x"),
             hypotheses=(Hypothesis("dns.", 0.5, HypothesisStatus.SUPPORTED),)),
    )  # fmt: skip
    assert texts(found) == []
    assert [(item.text, item.status) for item in found.hypotheses] == [
        ("dns.", HypothesisStatus.SUPPORTED)
    ]


def test_open_hypotheses_come_with_the_most_likely_first():
    found = known(
        step(1, Question("a?"), Response(text="x"), hypotheses=(
            Hypothesis("A", 0.2), Hypothesis("B", 0.9), Hypothesis("C", 0.5),
            Hypothesis("D", 0.99, HypothesisStatus.RULED_OUT),
        )),
    )  # fmt: skip
    assert [item.text for item in found.hypotheses] == ["B", "C", "A"]


def test_a_proven_cause_that_is_not_named_any_more_is_kept_beside_the_other():
    supported, refuted = HypothesisStatus.SUPPORTED, HypothesisStatus.RULED_OUT
    dns = Hypothesis("DNS suffix is missing", 0.8, supported, ("step-1",))
    lease = Hypothesis("Lease ran out", 0.7, supported, ("step-2",))
    again = Hypothesis("The lease had expired", 0.9, HypothesisStatus.OPEN, ("step-2",))
    guess = Hypothesis("Cable", 0.2)
    steps = [
        step(1, Question("Which suffix?"), Response(text="none")),
        step(2, Question("Which lease?"), Response(text="old"), hypotheses=(dns, guess)),
        step(3, Question("Which adapter?"), Response(text="LAN"), hypotheses=(lease,)),
    ]
    assert findings(SESSION, steps).hypotheses == (dns, lease), "a mere guess is not kept"
    same_cause = step(4, Question("Since when?"), hypotheses=(again,))
    assert findings(SESSION, [*steps, same_cause]).hypotheses == (again, dns)
    gone = step(4, Question("And?"), hypotheses=(Hypothesis(dns.text, 0.0, refuted, ("step-3",)),))
    assert findings(SESSION, [*steps, gone]).hypotheses == (lease,)
    corrected = step(4, Note("It has one."), source=Source.ENGINEER, corrects="step-1")
    assert findings(SESSION, [*steps, corrected]).hypotheses == (lease,)


def test_an_action_that_worked_later_is_not_ruled_out():
    found = known(
        step(1, Action("Reboot"), FAILED),
        step(2, Action("Reboot"), WORKED),
    )
    assert texts(found) == []
    assert len(found.tried) == 2


def test_a_corrected_step_no_longer_counts():
    found = known(
        step(1, Action("Reboot"), FAILED),
        step(2, Note("Reboot did help, I looked at the wrong PC"), source=Source.ENGINEER,
             corrects="step-1"),
    )  # fmt: skip
    assert texts(found) == []
    assert found.tried == ()
    assert [fact.text for fact in found.facts] == ["Reboot did help, I looked at the wrong PC"]


def test_a_hypothesis_refuted_by_a_corrected_step_alone_is_not_ruled_out():
    refuted = Hypothesis("RAM", 0.05, HypothesisStatus.RULED_OUT, ("step-1",))
    found = known(
        step(1, Action("Memory test"), WORKED),
        step(2, Question("More?"), Response(text="x"), hypotheses=(refuted,)),
        step(3, Note("The test was cut short"), source=Source.ENGINEER, corrects="step-1"),
    )
    assert texts(found) == []


def test_pending_is_what_was_skipped_not_tried_open_or_to_follow_up():
    found = known(
        step(1, Question("Which switch port?"), Response(skipped=True)),
        step(2, Action("Swap the cable"),
             Response(result=Result.COULD_NOT_TRY, text="nobody on site")),
        step(3, Action("Ask for the logs"), Response(result=Result.COULD_NOT_TRY)),
        step(4, Action("Ask for the logs"), FAILED),
        step(5, Resolution("Works again", follow_ups=("Order a new cable",)), WORKED),
        step(6, Question("Is the port up?")),
    )  # fmt: skip
    assert found.pending == (
        "Skipped: Which switch port?",
        "Could not be tried: Swap the cable (nobody on site)",
        "Not answered yet: Is the port up?",
        "Follow up: Order a new cable",
    )


def test_a_briefing_carries_what_was_ruled_out_before():
    briefing = Briefing(
        "Outlook hangs",
        escalated_by="Ben",
        steps=(TriedStep("Reboot", "Did not work"), TriedStep("Call ISP", "Worked")),
        ruled_out=("The network", "the network."),
        hypotheses=(Hypothesis("Profile", 0.6),),
        environment=("Host: SRV-EX01",),
    )
    chosen = Response(option="continue")
    found = known(step(1, briefing, chosen))
    assert [(t.text, t.result) for t in found.tried] == [
        ("Reboot", Result.DID_NOT_WORK),
        ("Call ISP", Result.WORKED),
    ]
    assert texts(found) == ["The network"]
    assert [item.text for item in found.hypotheses] == ["Profile"]
    assert "Host: SRV-EX01" in found.environment
    # With the earlier steps at hand, their digest in the briefing is not counted twice.
    found = known(step(1, Action("Reboot"), FAILED), step(2, briefing, chosen))
    assert [t.text for t in found.tried] == ["Reboot"]


def test_confidence_is_that_of_the_last_proposed_step():
    found = known(
        step(1, Question("a?"), Response(text="x"), confidence=0.3),
        step(2, Action("b"), WORKED, confidence=0.85, source=Source.FLOW),
        step(3, Note("c"), source=Source.ENGINEER, confidence=0.0),
    )
    assert found.confidence == 0.85


def test_steps_are_read_in_their_own_order():
    first, second = step(1, Action("A"), FAILED), step(2, Action("B"), FAILED)
    assert findings(SESSION, [second, first]) == findings(SESSION, [first, second])


def test_environment_from_people_s_words():
    assert environment(
        [
            "DC SRV-DC01 (10.0.4.1/24) answers, fe80::1ff:fe23:4567:890a too",
            "\\\\fs01\\scans on mail.acme.example? no, on nas.acme.local",
            "Windows 11 Pro 23H2 build 22631.4460, Outlook 16.0.17328, macOS Sonoma 14.6",
            "version 10.0.22631.3296 is no address, 999.1.1.1 neither, nor 1.2.3.4.5",
            "and again srv-dc01? SRV-DC01!",
        ]
    ) == (
        "Host: SRV-DC01",
        "Address: 10.0.4.1/24",
        "Address: fe80::1ff:fe23:4567:890a",
        "Host: fs01",
        "Host: nas.acme.local",
        "Version: Windows 11 Pro 23H2",
        "Version: build 22631.4460",
        "Version: Outlook 16.0.17328",
        "Version: macOS Sonoma 14.6",
        "Version: version 10.0.22631.3296",
    )


def test_environment_from_the_ticket_s_configurations():
    context = TicketContext(
        connection_id="c",
        ticket=Ticket("1", "Outlook"),
        fetched_at=START,
        configurations=(
            Configuration(7, "PC-0117", ip_address="10.0.0.9", operating_system="Windows 11 Pro"),
            Configuration(8, " "),
        ),
    )
    assert environment(["on pc-0117 and PC-0117"], context) == (
        "Host: PC-0117",
        "Address: 10.0.0.9",
        "Version: Windows 11 Pro",
    )


def test_environment_takes_nothing_from_models_and_is_bounded():
    found = known(
        step(1, Action("Connect to SRV-INVENTED"), FAILED),
        step(2, Note("from 10.9.9.9"), source=Source.CLAUDE),
        step(3, Note("from 10.8.8.8"), source=Source.ENGINEER),
    )
    assert found.environment == ("Host: PC-0117", "Address: 10.8.8.8")
    many = environment([" ".join(f"10.0.0.{n}" for n in range(1, 200))])
    assert len(many) == ENVIRONMENT_LIMIT


def test_same_ignores_case_spaces_and_closing_punctuation():
    assert same("The  network.", "the network")
    assert not same("The network", "The networks")
