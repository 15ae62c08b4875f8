"""A few kills on every run; ``python -m tests.crash`` does two hundred."""

from tests.crash.__main__ import run


def test_what_the_screen_showed_as_done_survives_a_kill():
    # A machine that runs the whole suite beside it may let the writing thread wait; the command,
    # alone on its machine, holds drafts to half a second.
    figures = run(kills=6, seed=7, draft_seconds=10.0)
    assert figures.faults == []
    assert figures.kills == 6
