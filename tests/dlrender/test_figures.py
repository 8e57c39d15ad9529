import json
import os
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.drawing import with_overlays
from support.synthetic import rewrite

from dlrender import figures as module
from dlrender import plot_sheet
from dlrender.errors import RenderError
from dlrender.figures import parse_steps, save_sheet, save_still
from dlrender.metadata import relative
from dlrender.output import Output
from dlrender.overlays import OVERLAYS
from dlrender.overlays.text_artist import Label
from dlrender.style.style import Style
from dlrender.style.toml import bundled, load_style
from dlrender.videos import render_episode


@pytest.fixture
def figures(monkeypatch):
    """The figures that are made."""
    made = []
    for name in ("still_figure", "sheet_figure"):
        plain = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, plain=plain: made.append(plain(*args)) or made[-1])
    return made


def test_a_still_beside_the_environment_is_wider_and_each_method_has_a_heatmap(drawn_cache, tmp_path):
    sizes = [
        Image.open(save_still(drawn_cache, 3, tmp_path / "a.png", Style(), methods=methods, environment=world)).size
        for methods, world in (((), False), ((), True), (("likelihood", "distance"), True))
    ]
    assert sizes == [(1152, 960), (1972, 960), (3124, 960)]


@pytest.mark.parametrize("name", bundled())
@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_stills_of_every_style_and_format(drawn_cache, tmp_path, name, suffix):
    style = load_style(name)
    path = save_still(drawn_cache, 3, tmp_path / "figures" / f"fig{suffix}", style, environment=True)
    assert path.read_bytes().startswith({".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix])
    assert os.listdir(path.parent) == [path.name]


def test_vectors_stay_vectors_and_text_stays_text(drawn_cache, tmp_path):
    style = with_overlays("all")
    svg = save_still(drawn_cache, 3, tmp_path / "a.svg", style).read_text()
    for text in ("expert's action", "step 3 of 6 · expert", "x [px]", "sampled chunks"):
        assert re.search(rf"<text[^>]*>[^<]*{re.escape(text)}", svg.replace("&apos;", chr(39))), (
            text
        )  # text, not outlines
    assert svg.count("<image") <= 2  # the scores and the colour bar; no overlay
    plain = save_still(drawn_cache, 3, tmp_path / "b.svg", Style(overlays=())).read_text()
    assert svg.count("<path") > plain.count("<path") + len(OVERLAYS) / 2
    both = save_still(drawn_cache, 3, tmp_path / "c.svg", Style(overlays=()), environment=True).read_text()
    assert both.count("<image") == plain.count("<image")  # the environment is shapes
    assert both.count("<path") >= plain.count("<path") + 10
    pdf = save_still(drawn_cache, 3, tmp_path / "a.pdf", style).read_bytes()
    assert b"/Subtype /CIDFontType2" in pdf or b"/FontFile2" in pdf  # TrueType (fonttype 42), which editors can edit
    assert b"/Type3" not in pdf


def test_a_sheet_has_a_column_a_step(drawn_cache, tmp_path, figures):
    save_sheet(drawn_cache, [0, 2, 4], tmp_path / "a.png", Style(), columns=2)
    axes = figures[0].axes
    assert len(axes) == 3 * 2 + 1  # environments and heatmaps, and one bar
    titled = [each for each in axes if each.get_title()]
    assert [each.get_title() for each in titled] == ["step 0", "step 2", "step 4"]
    assert all(tuple(each.get_ylim()) == (512, 0) for each in axes if each.get_xlim() == (0, 512))  # the same way up
    one, two, three = titled
    assert two.get_position().x0 > one.get_position().x0  # beside
    assert three.get_position().y0 < one.get_position().y0  # below, since two fit in a row
    save_sheet(drawn_cache, [1], tmp_path / "b.pdf", Style(norm="frame"), environment=False)
    assert len(figures[1].axes) == 2
    save_sheet(drawn_cache, [1, 3], tmp_path / "c.svg", Style(), methods=("likelihood", "distance"))
    assert len(figures[2].axes) == 2 * 3 + 2  # a bar a method


@pytest.mark.parametrize("name", bundled())
def test_nothing_of_a_sheet_is_clipped(drawn_cache, tmp_path, figures, name):
    for n, steps in enumerate(([0], [0, 1, 2, 3, 4, 5])):
        save_sheet(drawn_cache, steps, tmp_path / "a.png", load_style(name), columns=4)
        figure = figures[n]
        box = figure.get_tightbbox(figure.canvas.get_renderer())
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_a_still_says_what_it_was_made_of(drawn_cache, tmp_path):
    for name in ("a.png", "a.svg", "a.pdf"):
        save_still(drawn_cache, 1, tmp_path / name, Style(colormap="magma"))
    with Image.open(tmp_path / "a.png") as picture:
        assert json.loads(picture.text["Comment"])["policy"] == "synthetic"
        assert json.loads(picture.text["Comment"])["colormap"] == "magma"
    assert "synthetic" in (tmp_path / "a.svg").read_text()
    assert b"synthetic" in (tmp_path / "a.pdf").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg", ".mp4", ".gif"])
def test_a_picture_for_blind_review_tells_nothing_of_its_maker(drawn_cache, tmp_path, monkeypatch, suffix):
    def change(file):
        looks = {"policy": "/Users/ada/secret/policy", "dataset": "ada/pushes", "created_at": "2031-04-05T06:07:08"}
        file.attrs.update({**looks, "git_revision": "c0ffee"})

    rewrite(drawn_cache, change)
    sheet = tmp_path / "ada.mplstyle"
    sheet.write_text("axes.linewidth: 1")
    style, told = Style(sheets=(str(sheet),), target_height=120), {}
    for provenance in (True, False):
        out = tmp_path / str(provenance)
        if suffix in (".mp4", ".gif"):
            output = Output(folder=out, videos=("combined",), format=suffix[1:], provenance=provenance)
            path, config = render_episode(drawn_cache, style, output)
            assert (b"ada/pushes" in config.read_bytes()) == provenance
        else:
            path = save_still(drawn_cache, 1, out / f"a{suffix}", style, provenance=provenance)
        told[provenance] = path.read_bytes()
        assert b"viridis" in told[provenance]
    for word in (b"ada/pushes", b"2031-04", b"c0ffee"):
        assert word in told[True]
        assert word not in told[False]
    for data in told.values():
        assert b"/Users/ada" not in data  # the name of a path elsewhere is enough
        assert str(tmp_path).encode() not in data
    if suffix in (".pdf", ".svg"):
        assert b"Matplotlib v" not in told[False]


def test_paths_are_relative(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert relative(str(tmp_path / "a" / "b.h5")) == "a/b.h5"
    assert [relative(place) for place in ("/elsewhere/b.h5", "lerobot/pusht", "../b")] == [
        "b.h5",
        "lerobot/pusht",
        "../b",
    ]


def test_a_sheet_of_styles_that_cut_figures_is_not_cut(drawn_cache, tmp_path):
    sheet = tmp_path / "tight.mplstyle"
    sheet.write_text("savefig.bbox: tight\nsavefig.dpi: 40\n")
    path = save_still(drawn_cache, 1, tmp_path / "a.png", Style(sheets=(str(sheet),)))
    with Image.open(path) as picture:
        assert picture.size == (1152, 960)
        assert np.asarray(picture).std() > 0


def test_steps_of_a_sheet():
    assert parse_steps("0, 20,40") == [0, 20, 40]
    assert parse_steps("0-3,40, 9 - 9") == [0, 1, 2, 3, 40, 9]
    for text in ("", "1,,2", "a", "-1", "1-", "3-1", "1-2-3", "٣", "0-99999999"):
        with pytest.raises(RenderError, match="write such as 0-20,40"):
            parse_steps(text)


@given(st.text(alphabet="0123456789-, ٣a", max_size=12))
def test_any_text_for_steps_is_some_or_a_clear_error(text):
    try:
        steps = parse_steps(text)
    except RenderError as error:
        assert "--steps" in str(error)
    else:
        assert steps
        assert all(step >= 0 for step in steps)


def test_still_errors(dlrender, drawn_cache, tmp_path):
    for argv, words in (
        (["--step", 99, "-o", tmp_path / "a.png"], "step 99 is not in"),
        (["--step", 1, "-o", tmp_path / "a.doc"], "end its name in .png, .pdf, .svg"),
    ):
        code, _, err = dlrender("still", drawn_cache, *argv)
        assert code == 1
        assert words in err
    assert not (tmp_path / "a.png").exists()
    for argv in (["still", drawn_cache, "--step", 1], ["sheet", drawn_cache, "--steps", "0-2"]):
        code, out, _ = dlrender(*argv, "-o", tmp_path / "a.svg", "--json")
        assert (code, json.loads(out)) == (0, {"files": [str(tmp_path / "a.svg")]})
    code, _, err = dlrender("sheet", drawn_cache, "--steps", "0,9", "-o", tmp_path / "a.png")
    assert (code, "step 9 is not in" in err) == (1, True)


def test_a_sheets_legend_tells_what_each_methods_contours_are(drawn_cache, tmp_path, figures):
    style = with_overlays("contours", "expert")
    save_sheet(drawn_cache, [0, 1, 2, 3], tmp_path / "a.svg", style, methods=("likelihood", "distance"))
    labels = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert sorted(labels) == ["50, 80, 95 % of the mass", "expert's action", "top 10 % of the cells"]


@pytest.mark.parametrize("rc", [{"image.origin": "lower"}, {"savefig.bbox": "tight"}, {"savefig.facecolor": "red"}])
def test_matplotlibs_settings_for_images_and_files_do_not_change_a_still(drawn_cache, tmp_path, rc):
    plain = save_still(drawn_cache, 2, tmp_path / "a.png", Style(), environment=True)
    other = save_still(drawn_cache, 2, tmp_path / "b.png", Style(rc=rc), environment=True)
    with Image.open(plain) as one, Image.open(other) as two:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


def test_a_legend_is_one_for_all_panels_and_names_what_is_drawn(drawn_cache, tmp_path, figures):
    style = with_overlays("contours", "trace", "arrow", "prediction", "expert")
    for step, drawn in ((0, []), (3, ["expert's past actions"])):  # a trace of the first step is none
        save_still(drawn_cache, step, tmp_path / "a.svg", style, methods=("likelihood", "distance"))
        (legend,) = figures[-1].legends
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels == ["50, 80, 95 % of the mass", "top 10 % of the cells", *drawn, "policy to expert",
                          "policy's prediction", "expert's action"]  # fmt: skip
    assert not legend.get_frame_on()


def test_a_legend_is_matplotlibs_whatever_a_sheet_says(drawn_cache, tmp_path, figures):
    save_still(drawn_cache, 2, tmp_path / "a.png", Style(rc={"legend.frameon": True, "legend.numpoints": 2}))
    (legend,) = figures[0].legends
    assert not legend.get_frame_on()
    assert legend.numpoints == 1


def test_the_bar_and_the_title_name_one_quantity(drawn_cache, tmp_path, figures):
    save_still(drawn_cache, 2, tmp_path / "a.png", Style(), methods=("likelihood", "distance"))
    heat, bar, distances, other = figures[0].axes
    assert (heat.get_title(), bar.get_ylabel()) == ("log density, episode 0", "log density per px² [nats]")
    assert (distances.get_title(), other.get_ylabel()) == ("score distance, episode 0", "score [px]")


def test_a_sheet_names_a_step_once(drawn_cache):
    figure = plot_sheet(drawn_cache, [2, 3], methods=["likelihood"])
    shown = [each.text for axes in figure.axes for each in axes.get_children() if isinstance(each, Label)]
    assert [text.partition(":")[0] for text in shown if "nats" in text] == ["expert", "expert"]
