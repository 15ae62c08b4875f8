"""A failed time entry, changed by hand and sent."""

from dataclasses import replace
from pathlib import Path

from flowpilot_desktop.core.push import PushKind, PushState, TimePayload
from flowpilot_desktop.core.session import Intake, Response, Result
from flowpilot_desktop.services.tickets import TimeChoice
from flowpilot_desktop.viewmodels.push import PushViewModel
from tests.services.desk import CONNECTION, open_desk
from tests.ui.conftest import until


async def test_a_failed_time_entry_is_sent_with_another_work_role(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        intake = Intake("", CONNECTION.id, "12352")
        session_id = (await desk.engine.start_session(intake)).session.id
        desk.clock.advance(minutes=4)
        step = await desk.engine.ask_verification(session_id)
        await desk.engine.respond(session_id, step.id, Response(result=Result.WORKED))
        await desk.engine.resolve_session(session_id, "Fixed")
        item = next(
            one for one in await desk.store.push_items(session_id) if one.kind is PushKind.TIME
        )
        await desk.store.save(replace(item, state=PushState.FAILED, error="No such work role."))
        model = PushViewModel(desk.engine)
        model.show(session_id)
        await until(lambda: not model.tasks.names)
        model.edit(item.id)
        await until(lambda: not model.tasks.names)
        assert model.editing is not None
        assert model.work_types
        role = model.work_roles[-1]
        payload = model.editing.payload
        assert isinstance(payload, TimePayload)
        assert payload.work_role != role

        model.send_time("Fixed", payload.start, payload.end, TimeChoice(work_role=role))
        await until(lambda: not model.tasks.names)
        assert model.error is None
        assert model.editing is None
        sent = next(one for one in model.items if one.kind is PushKind.TIME)
        assert sent.state is PushState.SENT
        assert isinstance(sent.payload, TimePayload)
        assert sent.payload.work_role == role
        await model.aclose()
