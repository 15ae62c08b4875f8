"""What the screen says about money and about handing on, in the real window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QLabel

from flowpilot_desktop.core.session import Source, Usage, new_id
from flowpilot_desktop.core.usage import UsageRecord, UsageTotal
from flowpilot_desktop.services.model_access import KEY_NAME
from flowpilot_desktop.ui.cards.card import StepCard
from flowpilot_desktop.ui.pages.usage import money_words, token_words
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.claude import Answer, ClaudeSimulator, running
from tests.simulators.claude_answers import card


@pytest.fixture
def simulator() -> Iterator[ClaudeSimulator]:
    with running() as simulator:
        yield simulator


async def connects(technician: Technician, simulator: ClaudeSimulator) -> None:
    app = technician.app
    await app.settings.change(type(app.settings).model_base_url, simulator.url)
    await app.desk.secrets.write(KEY_NAME, simulator.key)


async def starts(technician: Technician) -> str:
    app = technician.app
    app.intake_model.set_text("Nobody on the second floor can print")
    app.intake_model.start()
    await until(lambda: app.window.current_page == "session", "the session page")
    await until(lambda: app.session_model.view is not None, "the session")
    return app.session_model.session_id


async def spend(technician: Technician, micros: int) -> None:
    desk = technician.app.desk
    usage = Usage(1_000, 200, 9_000, 0)
    await desk.store.save(
        UsageRecord(new_id(), "", desk.clock.now(), "claude-sonnet-5-5", usage, micros)
    )


async def test_the_budget_question_is_a_banner_whose_yes_brings_claude_back(simulator, tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await connects(technician, simulator)
        await app.settings.change(type(app.settings).monthly_budget, 10.0)
        await spend(technician, 9_000_000)
        await starts(technician)
        await technician.reads("90% of this month's budget for Claude is used.")
        await until(lambda: technician.view.open_step is not None, "a card of the flow")
        flow_card = technician.view.open_step
        assert flow_card is not None
        assert flow_card.source is Source.FLOW
        assert simulator.asked() == []
        await technician.clicks("Go on this month")
        await until(lambda: not technician.sees("of this month's budget"), "the banner to go")
        step = technician.view.open_step
        assert step is not None
        card = technician.app.session_page.feed.card(step.id)
        assert isinstance(card, StepCard)
        card.press(1)
        await until(
            lambda: (
                technician.view.open_step is not None
                and technician.view.open_step.source is Source.CLAUDE
            ),
            "a card of Claude's",
        )
        app.window.show_page("settings")
        app.settings_page.show_section("Claude")
        await technician.reads("DEAREST SESSIONS THIS MONTH")
        await technician.reads("this month")
        await technician.reads("of US$ 10.00")


async def test_a_repeated_step_offers_to_escalate_and_can_be_waved_away(simulator, tmp_path):
    simulator.script(Answer(json=card(text="Look again.")), Answer(json=card(text="Look again")))
    async with at_the_desk(tmp_path, demo=True) as technician:
        await connects(technician, simulator)
        await starts(technician)
        await technician.answers(("Did not work",))
        await technician.reads("This asks for the same as step 1")
        banner = technician.app.session_page.banners._banners["advice"]
        assert banner._action.text() == "Escalate"
        banner._close.click()
        assert not technician.sees("This asks for the same as step 1")
        technician.app.session_page._render()
        assert not technician.sees("This asks for the same as step 1")


def test_money_and_tokens_in_words():
    assert money_words(0) == "US$ 0.00"
    assert money_words(1_234) == "US$ 0.0012"
    assert money_words(12_345_678_900) == "US$ 12,345.68"
    total = UsageTotal(Usage(1_000, 200, 9_000, 0), 5, 2)
    assert token_words(total) == "10,000 tokens in (90% from the cache), 200 out"


async def test_the_account_is_plain_text(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await spend(technician, 5_000)
        technician.app.window.show_page("settings")
        technician.app.settings_page.show_section("Claude")
        await technician.reads("Outside a session")
        usage = technician.app.settings_page.usage
        assert "US$ 0.0050" in usage.chart.accessibleDescription()
        assert {label.textFormat().name for label in usage.findChildren(QLabel)} == {"PlainText"}
