"""Figures of a given width: their size is what was asked for, fonts can be read, and nothing is cut or overlaps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawing import with_overlays

from dlrender import plot_sheet, plot_step
from dlrender.errors import RenderError
from dlrender.frames.arrange import balanced, titles_of
from dlrender.style.style import Style, parse_length
from dlrender.style.toml import bundled, load_style


@pytest.mark.parametrize(
    ("text", "inches"), [("3.5in", 3.5), ("89mm", 89 / 25.4), (" 8.9 cm", 8.9 / 2.54), ("252pt", 3.5), (".5in", 0.5)]
)
def test_lengths(text, inches):
    assert parse_length("--width", text) == pytest.approx(inches)


@pytest.mark.parametrize(
    "text", ["", "3.5", "3,5in", "in", "-1in", "1e9in", "nanin", "3.5 inches", "0.4in", "99in", "٣in"]
)
def test_what_is_no_length_is_an_error(text):
    with pytest.raises(RenderError, match=r"write such as 3\.5in, 89mm, 8\.9cm or 252pt"):
        parse_length("--width", text)


@given(st.text(alphabet="0123456789.incmpt -e", max_size=10))
def test_any_text_is_a_length_or_a_clear_error(text):
    try:
        assert 0.5 <= parse_length("--width", text) <= 40
    except RenderError as error:
        assert "--width" in str(error)


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=9), min_size=1, max_size=8), st.integers(1, 8))
def test_words_are_wrapped_in_order_and_evenly(words, lines):
    made = list(balanced(words, lines))
    assert " ".join(made).split() == words
    assert len(made) <= lines


def seen(figure):
    """The texts of a figure that are drawn, with their boxes [px]."""
    renderer = figure.canvas.get_renderer()
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        texts += titles_of(axes)
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            texts += [axis.label]
            texts += [part for tick in axis._update_ticks() for part in (tick.label1, tick.label2)]  # those in view
    return [
        (text, text.get_window_extent(renderer)) for text in texts if text.get_visible() and text.get_text().strip()
    ]


@pytest.mark.parametrize(("width", "height"), [("3.5in", ""), ("178mm", ""), ("178mm", "2.2in")])
@pytest.mark.parametrize("name", bundled())
def test_a_still_of_a_width(drawn_cache, name, width, height):
    figure = plot_step(drawn_cache, 3, style=name, environment=True, width=width, height=height).figure
    inches = figure.get_size_inches()
    assert inches[0] == pytest.approx(parse_length("", width))
    assert not height or inches[1] == pytest.approx(parse_length("", height))
    check(figure)


@pytest.mark.parametrize(("width", "columns"), [("3.5in", 2), ("7in", 4), ("", 4)])
@pytest.mark.parametrize("name", bundled())
def test_a_sheet_of_a_width(drawn_cache, name, width, columns):
    methods = ("likelihood", "distance")
    check(plot_sheet(drawn_cache, [0, 1, 2, 3, 4], style=name, columns=columns, methods=methods, width=width))


def check(figure):
    """Fonts of 7 to 9 points, inside the figure; squares of one size in straight rows and columns, apart from each other."""
    whole, texts = figure.bbox, seen(figure)
    if figure.get_size_inches()[0] in (3.5, 7.0):
        assert {text.get_text() for text, _ in texts if not 7 <= text.get_fontsize() <= 9} == set()
    for text, box in texts:
        assert whole.x0 <= box.x0, text
        assert box.x1 <= whole.x1 + 0.5, text
        assert whole.y0 <= box.y0, text
        assert box.y1 <= whole.y1 + 0.5, text
    for n, (one, box) in enumerate(texts):
        for other, another in texts[n + 1 :]:
            across = min(box.x1, another.x1) - max(box.x0, another.x0)
            up = min(box.y1, another.y1) - max(box.y0, another.y0)
            assert min(across, up) < 1.5, (one, other)
    squares = [axes.get_window_extent() for axes in figure.axes if axes.get_aspect() == 1]
    side = squares[0].width
    for square in squares:
        np.testing.assert_allclose((square.width, square.height), side, atol=0.1)
    for lows in ({round(square.x0, 1) for square in squares}, {round(square.y0, 1) for square in squares}):
        assert all(after - before > side for before, after in pairwise(sorted(lows)))


def test_axes_side_by_side_share_their_numbers(drawn_cache):
    figure = plot_sheet(drawn_cache, [0, 1, 2, 3], columns=2, environment=False, window="full")
    heatmaps = [axes for axes in figure.axes if axes.get_aspect() == 1]
    numbers = [[bool(text.get_text()) for text in axes.get_yticklabels()] for axes in heatmaps]
    assert [all(each) for each in numbers] == [True, False, True, False]
    numbers = [[bool(text.get_text()) for text in axes.get_xticklabels()] for axes in heatmaps]
    assert [all(each) for each in numbers] == [False, False, True, True]
    assert [axes.get_ylabel() for axes in heatmaps] == ["y [px]", "", "y [px]", ""]


def test_steps_have_letters(drawn_cache):
    for letters, expected in ((True, ["a", "b"]), (False, ["", ""])):
        figure = plot_sheet(drawn_cache, [0, 4], environment=False, layout={"letters": letters})
        heatmaps = [axes for axes in figure.axes if axes.get_aspect() == 1]
        assert [axes.get_title(loc="left") for axes in heatmaps] == expected


@pytest.mark.parametrize("overlays", [("counter",), ("contours", "expert")])
def test_a_figure_without_room_says_so(drawn_cache, overlays):
    style = with_overlays(*overlays)
    with pytest.raises(RenderError, match=r"a figure 1\.50 in wide has no room for 2 × 6 panels with their labels"):
        plot_sheet(drawn_cache, [0, 1, 2, 3, 4, 5], style=style, width="1.5in")
    with pytest.raises(RenderError, match="height 3in needs width"):
        plot_step(drawn_cache, 0, height="3in")


def test_a_width_does_not_change_the_style_of_videos():
    assert Style().size is None
    assert load_style("paper").size is None


@pytest.mark.parametrize("window", ["full", "180,200,160"])
def test_axes_of_a_column_of_a_paper_have_three_numbers_or_more(drawn_cache, window):
    axes = plot_step(drawn_cache, 2, style="paper", environment=True, width="3.5in", window=window)
    bar = axes.figure.axes[-1]
    for axis in (axes.xaxis, axes.yaxis, bar.yaxis):
        assert len(axis._update_ticks()) >= 3  # those in view
