"""A desk that was left looks at the team queue rarely; whoever comes back sees it at once."""

from pathlib import Path

from flowpilot_desktop.profile import Profile
from flowpilot_desktop.ui.presence import AWAY_AFTER, Presence
from tests.e2e.driver import at_the_desk, until
from tests.e2e.test_hand_off import joins
from tests.simulators.postgres import shared_server

NAME = "Jordan Blake"


def left(seconds: float) -> Presence:
    presence = Presence()
    presence.seconds_without_input = lambda: seconds
    return presence


async def test_the_queue_is_polled_rarely_while_nobody_is_there(tmp_path: Path):
    with shared_server("plain").database() as database:
        invitation = database.invite(database.add_team("Helpdesk"), NAME).token()
        async with at_the_desk(tmp_path, profile=Profile(tmp_path / NAME, is_demo=True)) as sam:
            await joins(sam, invitation)
            hand_off, feed = sam.app.hand_off, sam.app.desk.escalations._feed
            await until(lambda: feed._poller is not None and feed._poller.current, "the queue")
            poller = feed._poller

            hand_off.presence = left(AWAY_AFTER)
            await until(lambda: poller.idle, "rarer polls")
            hand_off.presence = left(0)
            before = poller._last_poll
            await until(lambda: not poller.idle, "somebody at the desk")
            await until(lambda: poller._last_poll > before, "a poll at once")

            sam.app.window.hide()  # in the tray: its technician works in another program
            hand_off._look_soon()
            assert not poller.idle


async def test_a_new_invitation_is_polled_as_rarely_while_nobody_is_there(tmp_path: Path):
    with shared_server("plain").database() as database:
        invitation = database.invite(database.add_team("Helpdesk"), NAME).token()
        async with at_the_desk(tmp_path, profile=Profile(tmp_path / NAME, is_demo=True)) as sam:
            sam.app.hand_off.presence = left(AWAY_AFTER)
            feed = sam.app.desk.escalations._feed
            sam.app.hand_off._look_soon()
            await joins(sam, invitation)
            await until(lambda: feed._poller is not None, "the queue")
            assert feed._poller.idle


def test_where_the_system_cannot_be_asked_somebody_is_there(qapp):
    presence = Presence()
    assert qapp.platformName() == "offscreen"
    assert presence.seconds_without_input() is None
    assert not presence.is_away
