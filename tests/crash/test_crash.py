"""A few kills on every run; ``python -m tests.crash`` does two hundred."""

from tests.crash.__main__ import run


def test_what_the_screen_showed_as_done_survives_a_kill():
    figures = run(kills=6, seed=7)
    assert figures.faults == []
    assert figures.kills == 6
