"""What comes back from a model is a claim: what counts of it is decided in code."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.session import (
    PERSON_ADVICE,
    Action,
    Command,
    Question,
    Resolution,
    Response,
    Risk,
    StepDraft,
    Tier,
    Usage,
    checked_response,
    tier,
)
from flowpilot_desktop.llm import schema
from flowpilot_desktop.llm.claude.adapter import _forms
from tests.simulators.claude_answers import card


def draft(**fields: Any) -> StepDraft:
    return schema.step_draft(
        schema.parsed(json.dumps(card(**fields))),
        step_ids=("a", "b", ""),
        model="m",
        prompt_version="p",
        usage=Usage(),
    )


def options(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"label": label, "value": value} for label, value in pairs]


def found_options(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    body = draft(kind="question", options=options(*pairs)).body
    assert isinstance(body, Question)
    return [(option.label, option.value) for option in body.options]


def test_options_are_unique_and_named():
    assert found_options(("Yes", "yes"), ("No", "no")) == [("Yes", "yes"), ("No", "no")]
    assert found_options(("Yes", "x"), ("No", "x")) == []
    assert found_options(("Yes", "a"), ("yes ", "b")) == []
    assert found_options(("Yes", "a"), ("", "b"), ("No", "")) == [("Yes", "a"), ("No", "no")]
    assert found_options(("Only", "one")) == []
    assert found_options(("A b", "X Y/Z!"), ("C", "c")) == [("A b", "x_y_z"), ("C", "c")]
    assert len(found_options(*[(f"Option {n}", str(n)) for n in range(20)])) == 8


def test_every_option_that_is_offered_can_be_chosen():
    body = draft(kind="question", options=options(("Ja, täglich", "ÄÖ ü"), ("はい", "はい"))).body
    assert isinstance(body, Question)
    assert len(body.options) == 2
    for option in body.options:
        checked_response(body, Response(option=option.value))


@pytest.mark.parametrize(
    ("given_value", "shown"),
    [("0.5", 0.5), ("7", 0.79), ("-3", 0.0), ("NaN", 0.0), ("Infinity", 0.0), ("1e999", 0.0)],
)
def test_confidence_is_a_number_from_0_to_1(given_value: str, shown: float):
    text = json.dumps(card(confidence=-1.5)).replace("-1.5", given_value)
    answer = schema.parsed(text)
    found = schema.step_draft(answer, step_ids=(), model="m", prompt_version="p", usage=Usage())
    assert found.confidence == shown


@pytest.mark.parametrize("claimed", [0.8, 0.95, 1.0])
@pytest.mark.parametrize("status", ["open", "supported", "ruled_out"])
@pytest.mark.parametrize("evidence", [[], [1], [3], [9]])
def test_no_guided_confidence_without_a_proven_hypothesis(
    claimed: float, status: str, evidence: list[int]
):
    hypothesis = {"text": "H", "confidence": claimed, "status": status, "evidence": evidence}
    found = draft(confidence=claimed, hypotheses=[hypothesis])
    is_proven = status == "supported" and evidence == [1]
    assert (tier(found.confidence) is Tier.GUIDED) == is_proven


def test_a_proof_of_something_unlikely_proves_no_confidence():
    leading = {"text": "Leading", "confidence": 0.95, "status": "open", "evidence": []}
    other = {"text": "Other", "confidence": 0.1, "status": "supported", "evidence": [1]}
    assert tier(draft(confidence=0.95, hypotheses=[leading, other]).confidence) is Tier.EXPLORING
    other["confidence"] = 0.85
    assert draft(confidence=0.95, hypotheses=[leading, other]).confidence == 0.85


def test_hypotheses_are_few_and_unique():
    many = [
        {"text": f"H{n // 2}", "confidence": 0.1, "status": "open", "evidence": [1, 1, 2]}
        for n in range(40)
    ]
    found = draft(hypotheses=many).hypotheses
    assert [item.text for item in found] == [f"H{n}" for n in range(8)]
    assert found[0].evidence == ("a", "b")


@pytest.mark.parametrize(
    ("said", "text", "shown"),
    [
        ("read_only", "Get-Service <name>", Risk.READ_ONLY),
        ("read_only", "Remove-Item C:\\temp -Recurse", Risk.DESTRUCTIVE),
        ("read_only", "Restart-Service Spooler", Risk.CHANGES_ONE),
        ("changes_one", "format d: /q", Risk.DESTRUCTIVE),
        ("destructive", "Get-Service <name>", Risk.DESTRUCTIVE),
        ("changes_many", "ipconfig /all", Risk.CHANGES_MANY),
    ],
)
def test_the_higher_risk_counts(said: str, text: str, shown: Risk):
    body = draft(command={"text": text, "shell": "PowerShell", "risk": said, "undo": "u"}).body
    assert isinstance(body, Action)
    assert body.command == Command(text, "powershell", shown, "u")


def test_an_empty_command_is_none_and_half_a_command_is_refused():
    plain = draft().body
    assert isinstance(plain, Action)
    assert plain.command is None
    with pytest.raises(schema.Malformed, match="longer"):
        draft(command={"text": "x" * 2_001, "shell": "", "risk": "read_only", "undo": ""})


def test_a_command_belongs_to_an_action_only():
    command = {"text": "rm x", "shell": "bash", "risk": "read_only", "undo": ""}
    assert isinstance(draft(kind="question", command=command).body, Question)


def test_texts_are_cut_and_cleaned():
    found = draft(
        kind="resolution",
        text="a\u202eb\x00 " + "c" * 5_000,
        why="w" * 5_000,
        action_taken="x" * 5_000,
        follow_ups=["f\ng"] * 30,
        problem="p\n" * 500,
    )
    body = found.body
    assert isinstance(body, Resolution)
    assert body.text.startswith("ab\u2400 c")
    assert len(body.text) <= schema.TEXT_LIMIT
    assert len(body.why) <= schema.WHY_LIMIT
    assert len(body.action_taken) <= schema.TEXT_LIMIT
    assert body.follow_ups == ("f g",) * 8
    assert len(found.problem_summary) <= schema.SUMMARY_LIMIT
    assert "\n" not in found.problem_summary


def test_what_was_found_suspicious_is_told_to_the_technician():
    body = draft(suspicious="The last note orders\nto skip the backup.").body
    assert body.why.endswith("The last note orders to skip the backup.")
    assert "tries to give orders" in body.why


def test_that_a_person_is_needed_is_told_to_the_technician():
    assert PERSON_ADVICE in draft(needs_person=True).body.why.splitlines()
    assert PERSON_ADVICE not in draft(needs_person=False).body.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "plain words",
        json.dumps(card(kind="briefing")),
        json.dumps(card(kind="note")),
        json.dumps(card(text=7)),
        json.dumps(card(domain="gardening")),
        json.dumps(card(hypotheses=[{"text": "no rest"}])),
        json.dumps(card(options="many")),
        json.dumps(card())[:-2],
        "\ud800",
    ],
)
def test_what_is_no_card_is_malformed_and_says_why(text: str):
    with pytest.raises(schema.Malformed) as caught:
        schema.parsed(text)
    assert 0 < len(str(caught.value)) <= 300


@pytest.mark.parametrize("text", ["", "   ", "\u200b\u200e", "\n\n"])
def test_a_card_without_text_is_malformed(text: str):
    with pytest.raises(schema.Malformed, match="text is empty"):
        draft(text=text)


def test_a_code_fence_around_the_answer_is_taken_off():
    whole = json.dumps(card(text="Look."))
    assert schema.parsed(f"```json\n{whole}\n```").text == "Look."
    assert schema.parsed(f"```\n{whole}\n```").text == "Look."


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(field=st.sampled_from(sorted(card())), value=_json)
def test_any_value_in_any_field_is_a_card_or_malformed(field: str, value: Any):
    try:
        found = draft(**{field: value})
    except schema.Malformed:
        return
    assert 0.0 <= found.confidence <= 1.0
    assert found.body.text.strip()


def test_the_schema_is_one_and_what_the_api_takes():
    step, briefing = _forms()
    assert _forms()[0] is step
    assert list(step["properties"])[:2] == ["kind", "text"], "what is shown first is written first"
    assert set(step["required"]) == set(step["properties"])
    assert step["additionalProperties"] is False
    assert "summary" in briefing["properties"]
    assert json.dumps(step) == json.dumps(_forms()[0])
