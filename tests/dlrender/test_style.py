"""Style files and the options over them: what is asked for is drawn, or refused by name."""

import tomllib
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrender.errors import RenderError
from dlrender.overlays import OVERLAYS, Contours
from dlrender.style.change import change_style, parse_overlay, with_options
from dlrender.style.check import check_style
from dlrender.style.fields import convert
from dlrender.style.style import Style
from dlrender.style.toml import BUNDLED, bundled, format_style, load_style

NOTHING = dict.fromkeys(("colormap", "norm", "vmin"))


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_the_default_style_is_what_the_library_draws_without_one_and_names_every_key():
    assert load_style("default") == Style()
    table = tomllib.loads((BUNDLED / "default.toml").read_text())
    commented = {"range_nats", "vmin", "vmax", "center"}  # they have no value unless one is given
    assert set(table) | commented == {each.name for each in fields(Style)}
    assert list(table["overlay"]) == list(OVERLAYS)
    for name in ("layout", "fonts"):
        assert set(table[name]) == set(asdict(Style())[name])
    for name, overlay in OVERLAYS.items():
        assert set(table["overlay"][name]) == {each.name for each in fields(overlay)}


@pytest.mark.parametrize("name", bundled())
def test_a_printed_style_is_the_style(tmp_path, name):
    style = with_options(load_style(name), {"vmin": -3.5, "colormap": "magma"}, {"trace": True}, ["worms:alpha=0.25"])
    assert load_style(written(tmp_path, format_style(style))) == style
    assert "# actions" in format_style(style)  # the comments are kept


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    (tmp_path / "mine.mplstyle").write_text("axes.linewidth: 3\n")
    text = """
    colormap = "plasma"
    sheets = ["ggplot", "mine.mplstyle"]
    overlays = ["contours"]
    layout.title = "{method} at {episode}"
    overlay.contours = {masses = [0.9], linewidth = 2}
    [rc]
    font.family = "serif"
    "axes.titleweight" = "bold"
    """
    style = load_style(written(tmp_path, text))
    expected = replace(
        Style(), colormap="plasma", sheets=("ggplot", str(tmp_path / "mine.mplstyle")), overlays=("contours",),
        layout=replace(Style().layout, title="{method} at {episode}"),
        overlay={**Style().overlay, "contours": Contours(masses=(0.9,), linewidth=2.0)},
        rc={"font.family": "serif", "axes.titleweight": "bold"},
    )  # fmt: skip
    assert style == expected
    import matplotlib

    before = matplotlib.rcParams["axes.titleweight"]
    with style.active():
        assert matplotlib.rcParams["axes.linewidth"] == 3
        assert matplotlib.rcParams["font.family"] == ["serif"]
        assert matplotlib.rcParams["text.hinting"] == "no_hinting"
    assert matplotlib.rcParams["axes.titleweight"] == before


def test_the_settings_of_this_machines_user_do_not_show():
    import matplotlib

    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30}), Style().active():
        assert matplotlib.rcParams["axes.facecolor"] == "white"
        assert matplotlib.rcParams["font.size"] == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colormpa = 'magma'", "unknown key 'colormpa'; did you mean colormap"),
        ("[layout]\nwidht = 3", "layout: unknown key 'widht'; did you mean"),
        ("[fonts]\ntitel = 3", "fonts: unknown key 'titel'; did you mean title"),
        ("[overlay.contour]\nx = 1", "unknown overlay 'contour'; did you mean contours"),
        ("[overlay.contours]\nmass = [0.5]", "overlay.contours: unknown key 'mass'; did you mean masses?"),
        ("overlays = ['star']", "unknown overlay 'star'"),
        ("[rc]\nfont.famly = 'serif'", "unknown rc key 'font.famly'; did you mean font.family"),
        ("[rc]\nfont.size = 'huge'", "matplotlib refuses its sheets or [rc]"),
        ("[rc]\nfont.family = 'No Such Font'", "no font of the family No Such Font is installed"),
        ("sheets = ['ggplott']", "unknown sheet 'ggplott'; did you mean ggplot?"),
        ("colormap = 'virids'", "invalid value 'virids' for colormap; did you mean viridis"),
        ("norm = 'vibes'", "invalid value 'vibes' for norm"),
        ("gamma = 0", "gamma 0 is not allowed"),
        ("gamma = true", "gamma True is not allowed; give a finite number"),
        ("gamma = nan", "gamma nan is not allowed; give a finite number"),
        ("gamma = '2'", None),  # a text that is a number is one
        ("range_nats = -1", "range_nats -1 is not allowed"),
        ("target_height = 481", "target_height 481 is not allowed"),
        ("target_height = 480.5", "target_height 480.5 is not allowed; give a whole number"),
        ("dpi = 5000", "dpi 5000 is not allowed; choose 50 to 1200"),
        ("vmin = 2\nvmax = 1", "vmin 2 is not below vmax 1"),
        ("overlays = 'contours'", None),
        ("overlays = 3", "overlays 3 is not allowed; give a list"),
        ("layout = 3", "layout 3 is not allowed; make it a table, [layout]"),
        ("overlay.contours = 3", "overlay.contours 3 is not allowed; make it a table, [overlay.contours]"),
        ("[layout]\nside = 20", "side is at least 60"),
        ("[layout]\ntop = 200", "left, top and side are px"),
        ("[layout]\nwidth = 400", "layout.width 400 is not allowed; choose 476 to 1920"),
        ("[layout]\nticks = -1", "layout.ticks -1 is not allowed"),
        ("[layout]\nticks = 0.001", "layout.ticks 0.001 is not allowed"),
        (
            "[layout]\ntitle = '{metod}'",
            "layout.title '{metod}' is not allowed; it may contain {quantity}, {method}, {episode}, and mathtext between two $",
        ),
        ("[layout]\ntitle = '{method.x}'", "layout.title '{method.x}' is not allowed"),
        ("[layout]\ntitle = '{episode[0]}'", "layout.title '{episode[0]}' is not allowed"),
        ("[layout]\ntitle = '$\\foo$'", "it may contain {quantity}, {method}, {episode}, and mathtext between two $"),
        ("[rc]\ntext.usetex = true", "text.usetex is not supported"),
        ("[overlay.trace]\nlength = 0", "mine.toml: overlay.trace: length 0 is not allowed"),
        ("[layout]\ntitle = '{'", "layout.title '{' is not allowed"),
        ("[fonts]\ntitle = 0", "fonts.title 0 is not allowed; choose 1 to 60 points"),
        ("[overlay.expert]\nmarker = 'cross'", "marker cross is not allowed"),
        (
            "overlays = ['arrow', 'expert']",
            "overlay arrow joins the policy's prediction and the expert's action; draw prediction on",
        ),
        (
            "overlays = ['arrow', 'prediction', 'expert']\n[overlay.arrow]\npanel = 'both'",
            "draw prediction and expert on the environment too, or leave out arrow",
        ),
        ("colormap = ", "is not TOML"),
        ("\x00", "is not TOML"),
    ],
)
def test_what_a_style_file_says_wrongly_is_named(tmp_path, text, words):
    name = written(tmp_path, text)
    if words is None:
        load_style(name)
        return
    with pytest.raises(RenderError) as caught:
        load_style(name)
    assert words in str(caught.value)


def test_a_style_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(RenderError, match="invalid value 'papr' for --style; did you mean paper"):
        load_style("papr")
    (tmp_path / "latin.toml").write_bytes(b"colormap = '\xff'")
    with pytest.raises(RenderError, match="is not TOML"):
        load_style(str(tmp_path / "latin.toml"))


def test_options_are_over_the_style():
    paper = load_style("paper")
    style = with_options(paper, {"colormap": "magma", "norm": None}, {"trace": True, "arrow": False, "expert": None},
                         ["contours:masses=0.9/0.99,color=#00ff00", "drift"], ["prediction"])  # fmt: skip
    assert style.colormap == "magma"
    assert style.norm == paper.norm
    assert style.overlays == ("world", "contours", "trace", "expert", "drift", "scale")
    assert style.overlay["contours"] == replace(paper.overlay["contours"], masses=(0.9, 0.99), color="#00ff00")
    assert with_options(paper, {}, {}, ["worms"], ["all"]).overlays == ("worms",)
    assert with_options(paper, {}, {}, [], ["all"]).overlays == ()


def test_the_arrow_goes_with_its_marks_and_is_an_error_where_it_was_asked_for():
    assert "arrow" in Style().overlays
    for name in ("prediction", "expert"):
        assert "arrow" not in with_options(Style(), {}, {name: False}).overlays
        for show, overlays in (({"arrow": True}, []), ({}, ["arrow:size=3"])):
            with pytest.raises(RenderError, match=f"draw {name} on the heatmap too, or leave out arrow"):
                with_options(Style(), {}, {name: False} | show, overlays)


def test_options_win_over_the_ends_of_a_style():
    ends, middle = replace(Style(), vmin=-14.0, vmax=-6.0), replace(Style(), center=-12.0)
    style = with_options(ends, {"center": -12.0}, {})
    assert (style.vmin, style.vmax, style.center) == (None, None, -12.0)
    style = with_options(middle, {"vmax": -6.0}, {})
    assert (style.vmin, style.vmax, style.center) == (None, -6.0, None)
    assert with_options(ends, {"norm": "rank"}, {}).vmin is None
    with pytest.raises(RenderError, match="leave out --vmin and --vmax"):
        with_options(Style(), {"center": -12.0, "vmin": -14.0}, {})
    with pytest.raises(RenderError, match="--no-overlay trace and the option that shows it contradict each other"):
        with_options(Style(), {}, {"trace": True}, [], ["trace"])


@pytest.mark.parametrize(
    ("overlays", "without", "words"),
    [
        (["contour"], [], "invalid value 'contour' for --overlay; did you mean contours"),
        (["contours:mass=1"], [], "--overlay contours: unknown key 'mass'; did you mean masses"),
        (["contours:masses"], [], "not understood at 'masses'; write name:key=value,key=value"),
        (["contours:"], [], "is not understood at ''"),
        (["contours:top=0.1,top=0.2"], [], "is not understood at 'top=0.2'"),
        (["contours:top=a"], [], "top 'a' is not allowed; give a finite number"),
        (["contours:top=inf"], [], "give a finite number"),
        (["counter:score=yes"], [], "score 'yes' is not allowed; give true or false"),
        (["trace:length=2.5"], [], "length '2.5' is not allowed; give a whole number"),
        (["contours:masses=0.5/x"], [], "masses 'x' is not allowed; give a finite number"),
        ([], ["contour"], "invalid value 'contour' for --no-overlay; did you mean contours"),
        (["worms"], ["worms"], "contradict each other"),
    ],
)
def test_overlay_options_that_mean_nothing_are_named(overlays, without, words):
    with pytest.raises(RenderError) as caught:
        with_options(Style(), NOTHING, {}, overlays, without)
    assert words in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | st.from_regex(r"(contours|worms|counter)(:[a-z]*=?[-0-9a-z./]*(,[a-z]*=[-0-9a-z./]*)?)?", fullmatch=True)
)
def test_any_text_for_an_overlay_is_one_or_a_clear_error(text):
    try:
        style = with_options(Style(), NOTHING, {}, [text])
    except RenderError as error:
        assert str(error)
    else:
        assert parse_overlay(text)[0] in style.overlays


@settings(max_examples=200, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
    st.booleans(),
    st.lists(st.floats(-9, 9), min_size=1),
)
def test_values_survive_the_way_through_text(number, whole, flag, several):
    assert convert(repr(number), float, "x") == number
    assert convert(str(whole), int, "x") == whole
    assert convert(str(flag).lower(), bool, "x") is flag
    assert convert("/".join(map(repr, several)), tuple[float, ...], "x") == tuple(several)


toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([each.name for each in fields(Style)]), toml_values)
def test_any_value_in_a_style_file_is_one_or_a_clear_error(tmp_path_factory, key, value):
    try:
        check_style(change_style(Style(), {key: value}, "style x"))
    except RenderError as error:
        assert str(error)
