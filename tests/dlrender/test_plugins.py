"""Overlays that other distributions add through the entry point group `dlrender.overlays`."""

import sys
import textwrap

import pytest
from support.drawing import artists, with_overlays

from dlrender.errors import RenderError
from dlrender.overlays import OVERLAYS, known_overlays
from dlrender.style.change import with_options
from dlrender.style.style import Style
from dlrender.style.toml import format_style, load_style
from dlscore.common.errors import UserError
from dlscore.common.plugins import add_plugins, forget_plugins, load_plugins

RING = """
from dataclasses import dataclass
import numpy as np
from dlrender import Overlay
from dlrender.overlays.artists import Mark, mark_handle

@dataclass(frozen=True, kw_only=True)
class Ring(Overlay):
    \"\"\"A ring at the agent.\"\"\"

    size: float = 9.0
    color: str = "white"

    def draw(self, axes, view):
        return [Mark(view.cache.state[view.step][None, :2], "o", self.size, self.color, 1.0)]

    def legend(self, cache, method):
        return [mark_handle("ring", "o", self.size, self.color, 1.0)]

class Bare(Overlay):
    size: float = 9.0

@dataclass(frozen=True, kw_only=True)
class Lacking(Overlay):
    size: float

def function():
    pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install({name: object reference}, distribution) makes a distribution with these entry points."""

    def make(points, distribution="more-overlays", group="dlrender.overlays"):
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = "\n".join(f"{name} = {value}" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
        (site / "more_overlays.py").write_text(textwrap.dedent(RING))
        (site / "broken_overlays.py").write_text("import a_module_that_is_not_there\n")
        monkeypatch.syspath_prepend(str(site))
        forget_plugins()

    yield make
    for name in ("more_overlays", "broken_overlays"):
        sys.modules.pop(name, None)
    forget_plugins()


def test_an_overlay_of_an_entry_point_is_known_wherever_a_built_in_one_is(install, drawn_episode, tmp_path, dlrender):
    install({"ring": "more_overlays:Ring"})
    assert list(known_overlays()) == [*OVERLAYS, "ring"]
    style = with_options(Style(), {}, {}, ["ring:size=4,panel=both"])
    assert style.overlays[-1] == "ring"
    (mark,) = artists(drawn_episode, style.drawn("environment")[-1], 3)
    assert (mark.size, mark.points.tolist()) == (4.0, [drawn_episode.state[3, :2].tolist()])
    text = format_style(style)
    assert "[overlay.ring] # A ring at the agent." in text
    (tmp_path / "mine.toml").write_text(text)
    assert load_style(str(tmp_path / "mine.toml")) == style
    assert with_options(style, {}, {}, [], ["ring"]).overlays == Style().overlays
    with pytest.raises(RenderError, match="unknown key 'sise'; did you mean size"):
        with_options(Style(), {}, {}, ["ring:sise=4"])
    with pytest.raises(RenderError, match="overlay name 'ring' is taken"):
        style.with_overlays("ring", style.overlay["ring"])
    code, _, err = dlrender(
        "still", drawn_episode.path, "--step", 1, "--overlay", "ring:color=red", "-o", tmp_path / "a.png"
    )
    assert code == 0, err


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (
            {"star": "broken_overlays:Star"},
            "entry point star = broken_overlays:Star (dlrender.overlays, more-overlays 1.2) cannot be imported "
            "(ModuleNotFoundError: No module named 'a_module_that_is_not_there')",
        ),
        ({"star": "more_overlays:Star"}, "cannot be imported (AttributeError"),
        ({"star": "more_overlays:function"}, "is not a subclass of dlrender.overlays.base.Overlay; mend or uninstall it"),
        ({"star": "pathlib:Path"}, "is not a subclass of dlrender.overlays.base.Overlay"),
        ({"contours": "more_overlays:Ring"}, "(dlrender.overlays, more-overlays 1.2) has the name of a built-in; rename it"),
        ({"bare": "more_overlays:Bare"}, "overlay bare (more_overlays.Bare, of the entry points dlrender.overlays) is no dataclass"),  # noqa: E501
        ({"lacking": "more_overlays:Lacking"}, "lacks valid defaults"),
        ({"two words": "more_overlays:Ring"}, "overlay name 'two words' is not allowed"),
    ],
)  # fmt: skip
def test_a_plugin_that_cannot_be_used_is_named(install, dlrender, points, words):
    install(points)
    with pytest.raises(RenderError) as caught:
        Style()
    assert words in str(caught.value)
    code, _, err = dlrender("styles", "--print-style", "paper")
    assert (code, err.count("\n")) == (1, 1)


def test_two_plugins_of_one_name_are_refused(install):
    install({"ring": "more_overlays:Ring"})
    install({"ring": "more_overlays:Lacking"}, "other-overlays")
    with pytest.raises(RenderError, match=r"ring = .* 1\.2\) and entry point ring = .* have one name; uninstall one"):
        known_overlays()


def test_plugins_of_any_group(install):
    install({"path": "pathlib:Path", "date": "datetime:date"}, group="some.group")
    found = load_plugins("some.group", object, UserError)
    assert [kind.__name__ for kind in found.values()] == ["date", "Path"]
    found.clear()
    assert len(load_plugins("some.group", object, UserError)) == 2  # a copy was given
    assert list(add_plugins({"own": int}, "some.group", object, UserError)) == ["own", "date", "path"]
    assert load_plugins("no.such.group", object, UserError) == {}
    with pytest.raises(UserError, match=r"is not a subclass of builtins\.int"):
        load_plugins("some.group", int, UserError)


def test_without_plugins_the_built_in_overlays_are_known():
    forget_plugins()
    assert known_overlays() == OVERLAYS
    assert with_overlays("all").drawn() == list(Style().overlay.values())
