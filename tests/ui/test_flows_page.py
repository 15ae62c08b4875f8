"""Flows in the app: list, check, keep, import, export, draft out of a session; no restart."""

from __future__ import annotations

import pytest

from flowpilot_desktop.core.errors import FlowInvalid, InvalidInput
from flowpilot_desktop.services.flow_shelf import FlowShelf
from tests.e2e.driver import at_the_desk, until
from tests.services.desk import diagnose, open_desk
from tests.services.mind import begun

FLOW = """id: zebra-labels
version: 1
title: "Zebra thermal ribbon gives blank labels"
domain: "Printing"
keywords: ["zebra", "thermal", "ribbon", "label", "blank"]
matches:
  - "Zebra thermal ribbon gives blank labels"
entry: look
causes:
  ribbon: "The ribbon is in the wrong way"
nodes:
  look:
    action: "Turn the ribbon over"
    expect: "Labels are printed"
    tests: ribbon
    worked: verify
    next: hand-off
  verify:
    verification: "Do three labels come out right?"
    worked: solved
    did_not_work: hand-off
    could_not_try: hand-off
  solved:
    resolution: "The ribbon was in the wrong way round."
  hand-off:
    escalation: "Somebody should look deeper."
    collect:
      - "a photograph of the ribbon"
"""


async def test_a_flow_is_kept_checked_exported_and_in_use_without_a_restart(tmp_path):
    async with at_the_desk(tmp_path / "profile", demo=True) as technician:
        app = technician.app
        page, model = app.flows_page, app.flows_model
        await technician.clicks("Flows")
        await until(lambda: model.flows.rowCount() > 20, "the shipped flows")
        page.edit.setPlainText(FLOW.replace("worked: solved", "worked: nowhere"))
        await technician.clicks("Keep as my own")
        await until(lambda: model.error is not None, "a finding")
        assert "nowhere" in page.words.text()
        page.edit.setPlainText(FLOW)
        await technician.clicks("Check")
        await technician.reads("0 findings.")
        await technician.clicks("Keep as my own")
        await technician.reads("Kept. It is in use from now on.")
        assert model.chosen is not None
        assert model.chosen.is_own
        found = await app.desk.assistant.matched_flow("zebra thermal ribbon gives blank labels")
        assert found is not None
        assert found.id == "zebra-labels"
        target = tmp_path / "out.yaml"
        model.give_out(str(target))
        await technician.reads("Exported as out.yaml.")
        assert target.read_text() == FLOW
        await technician.clicks("Remove")
        await technician.reads("Removed.")
        assert (await app.desk.shelf.library()).flow("zebra-labels") is None
        model.take_in(str(target))
        await technician.reads("Imported. It is in use from now on.")
        assert page.edit.toPlainText() == FLOW


async def test_what_is_no_flow_is_refused_and_nothing_is_kept(tmp_path):
    shelf = FlowShelf(tmp_path / "none", tmp_path / "own")
    bad = tmp_path / "bad.yaml"
    for content in (b"\xff\xfe\x00", b"id: [", b"", b"- a\n- b", b"x" * 1_000_001):
        bad.write_bytes(content)
        with pytest.raises((FlowInvalid, InvalidInput)):
            await shelf.take_in(bad)
    with pytest.raises(InvalidInput):
        await shelf.take_in(tmp_path / "missing.yaml")
    with pytest.raises((FlowInvalid, InvalidInput)):
        await shelf.keep(FLOW.replace("id: zebra-labels", "id: ../../escape"))
    assert not list(tmp_path.glob("own/*"))


async def test_a_resolved_session_becomes_a_draft_that_can_be_kept(tmp_path):
    async with open_desk(tmp_path / "desk") as desk:
        session_id = await begun(desk, "The printer is offline and nothing prints")
        await diagnose(desk, session_id)
        view = await desk.engine.session(session_id)
        assert view.is_verified
        shelf = FlowShelf(tmp_path / "none", tmp_path / "own")
        text = shelf.draft(view.session, view.steps)
        flow_id = await shelf.keep(text)
        (listed,) = await shelf.listing()
        assert (listed.id, listed.is_own) == (flow_id, True)
