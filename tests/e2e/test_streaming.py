"""A streamed answer in the real window: the first word comes soon, and the window stays alive.

The bounds are generous, since a busy machine runs this; ``python -m tests.bench streaming`` tells
the figures themselves.
"""

from tests.bench.streaming import measured


async def test_the_first_word_comes_soon_and_the_window_stays_alive(tmp_path, qapp):
    figures = await measured(tmp_path, repeats=6, tokens=300)
    assert figures.first_word_95 < 0.25, figures.first_words
    assert figures.longest_gap < 0.5, sorted(figures.gaps)[-5:]
