"""Events reach their listeners, in order, whatever a listener does."""

from flowpilot_desktop.core.events import EscalationsChanged, Events, SessionChanged


def test_a_listener_hears_its_own_kind_only_and_until_it_ends():
    events, heard = Events(), []
    end = events.listen(SessionChanged, lambda event: heard.append(event.session_id))
    events.publish(SessionChanged("a"))
    events.publish(EscalationsChanged())
    end()
    end()
    events.publish(SessionChanged("b"))
    assert heard == ["a"]


def test_a_listener_that_fails_is_logged_and_stops_nobody(logged_errors):
    events, heard = Events(), []

    def fails(event: SessionChanged) -> None:
        raise RuntimeError(event.session_id)

    events.listen(SessionChanged, fails)
    events.listen(SessionChanged, lambda event: heard.append(event.session_id))
    events.publish(SessionChanged("a"))
    assert heard == ["a"]
    assert "SessionChanged" in logged_errors[0].getMessage()
