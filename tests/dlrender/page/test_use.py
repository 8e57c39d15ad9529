"""What people do with the page: keys, chips, lists, links, downloads, drags; on any screen, and by keyboard alone."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from support.known import gaussian, write_known

from dlrender.page.index import summary_of, write_index
from dlrender.page.pack import pack
from dlrender.page.write import write_page

# Key: what it changes, from and to.
KEYS = {
    "ArrowRight": ("row", 5, 6), "ArrowLeft": ("row", 5, 4), "Shift+ArrowRight": ("row", 5, 15), "Home": ("row", 5, 0),
    "End": ("row", 5, 23), "c": ("colormap", "viridis", "magma"), "n": ("norm", "episode", "frame"),
    "h": ("heat", "over", "opaque"), "z": ("window", "follow", "fit"), "+": ("window", "follow", "free"),
    "-": ("window", "follow", "free"), "m": ("b", None, 1), "r": ("ratio", False, True), ".": ("speed", 1, 2),
    ",": ("speed", 1, 0.5), "d": ("theme", None, "dark"),
}  # fmt: skip
MARKS = {
    "g": "regions",
    "s": "star",
    "x": "cross",
    "a": "arrow",
    "t": "trace",
    "o": "cloud",
    "w": "worms",
    "k": "world",
}
LOOP = 1.8  # ms of the loop beside pictures, on a quiet machine
LISTS = {"colormap": "cividis", "norm": "rank", "heat": "off", "window": "full", "speed": "5"}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_changes_one_thing(two, key):
    page, (name, before, after) = two.go("#t=5"), KEYS[key]
    assert page.state[name] == before
    page.tab.keyboard.press(key)
    page.settle()
    assert page.state[name] == after


def test_each_overlay_is_seen_and_has_a_key_and_a_chip(one):
    page = one.go("#t=5&w=110,130,160")
    for key, name in MARKS.items():
        before, was = page.pixels("canvas-a"), page.state["marks"][name]
        page.tab.keyboard.press(key)
        page.settle()
        assert page.state["marks"][name] is not was
        assert (page.pixels("canvas-a") != before).any(), name
        chip = page.tab.locator(f'#marks [data-name="{name}"]')
        assert chip.get_attribute("aria-pressed") == str(not was).lower()
        chip.click()
        page.settle()
        assert page.state["marks"][name] is was
        assert (page.pixels("canvas-a") == before).all(), name


def test_lists_change_the_picture(one):
    page = one.go("#t=5")
    for name, value in LISTS.items():
        before = page.pixels("canvas-a")
        page.tab.select_option(f"#{name}", value)
        page.settle()
        assert str(page.state[name]) == value
        assert (page.pixels("canvas-a") != before).any() or name == "speed"


def test_a_second_landscape_shares_the_scale_and_the_window(two):
    page = two.go("#t=5")
    assert not page.tab.locator("#canvas-b").is_visible()
    alone = page.text("#scale-a")
    page.tab.select_option("#source-b", "1")
    page.settle()
    assert page.tab.locator("#canvas-b").is_visible()
    assert page.text("#scale-a") == page.text("#scale-b") != alone
    page.tab.select_option("#source-b", "r1")
    page.settle()
    assert page.text("#scale-b") == "≤ −3.0≥ 3.0 nats"


def test_zoom_keeps_the_place_under_the_pointer_and_drags_move_it(two):
    page = two.go("#t=5&w=full")
    box = page.tab.locator("#canvas-a").bounding_box()
    x, y = box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["width"]
    page.tab.mouse.move(x, y)
    page.tab.mouse.wheel(0, -400)
    page.tab.wait_for_selector("body[data-ready]")
    page.settle()
    free = page.state["free"]
    assert free["side"] < 300
    assert (free["left"] + 0.25 * free["side"], free["top"] + 0.5 * free["side"]) == pytest.approx((128, 256), abs=2)
    page.tab.mouse.down()
    page.tab.mouse.move(x + 30, y)
    page.tab.mouse.up()
    page.settle()
    assert page.state["free"]["left"] == pytest.approx(free["left"] - 30 * free["side"] / box["width"], abs=2)
    page.tab.dblclick("#canvas-a")
    page.settle()
    assert page.state["window"] == "follow"


def test_a_link_shows_a_moment_and_the_address_follows(two):
    page = two.go("")
    page("() => { location.hash = '#t=12&b=1&w=10.0,20.0,100.0'; }")
    page.tab.wait_for_selector('body[data-ready="12"]')
    page.settle()
    assert (page.state["b"], page.state["free"]) == (1, {"left": 10, "top": 20, "side": 100})
    page.tab.keyboard.press("ArrowRight")
    page.tab.wait_for_selector('body[data-ready="13"]')
    page.tab.wait_for_timeout(400)  # the address is told when all is quiet
    assert page.tab.url.endswith("#t=13&b=1&w=10.0%2C20.0%2C100.0")
    for nonsense in ("#t=-1", "#t=x&a=99&b=99&e=99&w=1,2,x", "#%%%", "#t=1e9"):
        page("async (hash) => { const s = await import('page/state'); s.set(s.fromHash(hash)); }", nonsense)
        page.settle()
        assert page.state["row"] in (0, 23)


def test_the_timeline_and_the_slider_lead_to_steps(two):
    page = two.go("#t=2")
    over = page.tab.locator(".u-over").first.bounding_box()
    for row in (12, 23):
        page.tab.mouse.click(over["x"] + row / 23 * over["width"] - 1, over["y"] + 20)
        page.settle()
        assert page.state["row"] == row
    line = page.tab.locator("#now").bounding_box()
    assert line["x"] + 1 == pytest.approx(over["x"] + over["width"], abs=2)
    page.tab.locator("#slider").focus()
    page.tab.keyboard.press("ArrowLeft")
    page.settle()
    assert page.state["row"] == 22
    assert page.text("#where").startswith("step 22 of 23")
    shown = page.tab.locator(".row").count()
    page.tab.click('#rows [data-name="rank"]')
    page.settle()
    assert page.tab.locator(".row").count() == shown - 1


def test_it_plays_in_real_time_also_with_a_coarse_clock(pages, show):
    coarse = "const now = performance.now.bind(performance); performance.now = () => Math.floor(now() / 100) * 100;"
    page = show(pages, "#t=0", script=coarse)
    page.tab.click("#play")
    assert page.text("#play") == "pause"
    for _ in range(100):
        page.settle()
        if page.state["row"] > 5:
            break
    page.tab.keyboard.press(" ")  # the button has the focus
    page.settle()
    assert page.state["row"] > 5
    assert not page.state["playing"]


def test_the_view_is_saved_as_a_picture(two):
    page = two.go("#t=5&b=1")
    with page.tab.expect_download() as saved:
        page.tab.click("#png")
    assert saved.value.suggested_filename == "episode_007_step_5.png"
    with Image.open(io.BytesIO(saved.value.path().read_bytes())) as image:
        assert image.width == 2 * (3 * 436 + 16)
        # The second panel is the first landscape, as the page shows it.
        box = (2 * (16 + 436), 2 * 64, 2 * (16 + 436 + 420), 2 * (64 + 420))
        saved_panel = np.asarray(image.convert("RGB").crop(box).resize((200, 200), Image.Resampling.BOX)).astype(int)
    shown = Image.fromarray(page.pixels("canvas-a")[..., :3]).resize((200, 200), Image.Resampling.BOX)
    assert np.abs(saved_panel - np.asarray(shown)).mean() < 6
    assert saved_panel.std() > 10


def test_about_and_keys_are_told(two):
    page = two.go("")
    page.tab.click("#about")
    page.tab.wait_for_selector("dialog[open]")
    told = page.text("#dialog-body")
    assert "total variation from the truth: median 0.020" in told
    assert "</script><img onerror=alert(1) src=x>" in told
    page.tab.keyboard.press("Escape")
    page.tab.keyboard.press("?")
    assert "regions, prediction" in page.text("#dialog-body")
    page.tab.keyboard.press("Escape")


def test_the_keyboard_alone_asks_for_a_cell(pages, show):
    page = show(pages, "#t=5", reduced_motion="reduce")
    for _ in range(60):
        page.tab.keyboard.press("Tab")
        if page("() => document.activeElement.id") == "canvas-a":
            break
    page.tab.keyboard.press("ArrowRight")
    page.settle()
    first = page.text("#readout-a")
    page.tab.keyboard.press("ArrowRight")
    page.settle()
    places = [int(re.match(r"action \((\d+)", text)[1]) for text in (first, page.text("#readout-a"))]
    assert places[1] - places[0] == 16  # a cell
    assert page.text("#spoken") == page.text("#readout-a")
    page.tab.keyboard.press("Escape")
    page.settle()
    assert page.text("#readout-a") == "point at a cell for its numbers"
    assert page.state["row"] == 5


def test_only_the_page_itself_is_asked_for(two, one):
    for page in (one, two):
        asked = {url for url in page.requests if not url.startswith(("data:", "blob:"))}
        assert len(asked) == 1


@pytest.mark.parametrize(("width", "theme"), [(360, "light"), (2560, "dark")])
def test_it_fits_any_screen_whatever_the_language(pages, show, width, theme):
    wrong = "Object.defineProperty(navigator, 'language', { value: 'x_not a language', configurable: true });"
    page = show(pages, "#t=5&b=1", script=wrong, viewport={"width": width, "height": 800}, color_scheme=theme)
    assert page("() => document.documentElement.scrollWidth <= innerWidth")
    assert page("() => document.documentElement.dataset.theme") == theme
    assert page.problems() == []


def test_while_dragging_the_environment_keeps_up(two):
    page = two.go("#b=1")
    page(
        "async () => { const { log } = await import('page/draw'); for (const list of Object.values(log)) list.length = 0; }"
    )
    box = page.tab.locator("#slider").bounding_box()
    page.tab.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.tab.mouse.down()
    for k in range(24):
        page.tab.mouse.move(box["x"] + 8 + k * (box["width"] - 16) / 23, box["y"] + box["height"] / 2)
    page.tab.mouse.up()
    page.settle()
    log = page("async () => (await import('page/draw')).log")
    assert len(set(log["landscape"])) >= 10
    assert len(set(log["environment"]) & set(log["landscape"])) >= 0.8 * len(set(log["landscape"]))


@pytest.mark.parametrize(("hash", "landscapes"), [("#t=0", 1), ("#t=0&b=1", 2), ("#t=0&ratio=1", 2)])
def test_a_landscape_is_drawn_in_8_ms_of_a_quiet_machine(two, hash, landscapes):
    # A loop of known length, timed before each picture, tells how slow this machine is now. Of both the lower quartile: what
    # was interrupted by other programs says nothing of the page.
    drawn, loop = two.go(hash)("""async () => {
      const { set } = await import("page/state");
      const { log } = await import("page/draw");
      const loops = [];
      let sum = 0;
      log.milliseconds.length = 0;
      while (log.milliseconds.length < 60) {
        const began = performance.now();
        for (let k = 0; k < 250_000; k++) sum = Math.sqrt(sum + k);
        loops.push(performance.now() - began);
        set({ row: loops.length % 24 });
        await new Promise(requestAnimationFrame); }
      const quartile = (list) => list.slice(20).toSorted((a, b) => a - b)[10];
      return [quartile(log.milliseconds), quartile(loops), sum]; }""")[:2]
    assert drawn <= 8 * landscapes * loop / LOOP


def test_a_cache_without_a_density_has_a_page(one):
    page = one.go("#t=3&a=1")
    assert page.text("#scale-a").endswith("px")
    assert page.tab.locator('#rows [data-name="prediction"]').count() == 1
    assert page.tab.locator('#rows [data-name="surprise"]').count() == 0


def test_an_action_that_the_policy_never_takes_is_no_value_of_an_index():
    surprise = np.array([5.0, 1e6, 7.0, np.nan])
    table = {"names": ["step", "surprise"], "values": pack(np.stack([np.arange(4.0), surprise]), None)}
    episode = {"episode": 0, "dataset": "", "steps": 4, "files": [{"name": "a"}], "sources": [{"table": table}]}
    found = summary_of(episode)
    assert (found["worst"], found["at"], found["surprise"], found["curve"]) == (7.0, 2, 6.0, [5.0, 7.0])


def test_an_index_leads_to_the_worst_moment(tmp_path, show):
    actions = np.full((6, 2), 256.0)
    for episode, off in ((1, 60.0), (2, 120.0)):
        odd = actions + np.eye(6)[3][:, None] * off
        write_known(
            tmp_path / f"{episode}.h5", [gaussian([256, 256])] * 6, actions=odd, episode=episode, success=episode == 1
        )
    written = write_index(sorted(tmp_path.glob("*.h5")), tmp_path / "pages")
    assert [path.name for path in written] == ["index.html", "episode_001.html", "episode_002.html"]
    page = show(written[0], viewport={"width": 360, "height": 700})
    assert page("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.problems() == []
    assert page.text("#where").startswith("policy known · data synthetic · ")  # once, not in each row
    assert page.tab.locator("tbody tr").count() == 2
    page.tab.click("th button >> text=worst surprise")
    assert page.tab.locator("tbody tr").first.locator("td").first.text_content() == "2"
    assert "failed" in page.tab.locator("tbody tr").first.text_content()
    page.tab.click("tbody tr:first-child a >> nth=1")
    page.tab.wait_for_selector('body[data-ready="3"]')
    assert page.tab.url.endswith("episode_002.html#t=3")
    assert page.tab.locator("#index").get_attribute("href") == "index.html"


def test_without_provenance_no_name_is_in_the_page(pair, tmp_path, held):
    page = write_page(pair, tmp_path / "blind.html", provenance=False)
    text = page.read_text()
    assert "onerror" not in text
    assert "synthetic" not in text
    assert [file["name"] for file in held(page)["episodes"][0]["files"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["A"], 2, "name the page with -o, such as -o page.html, or a folder of pages with --index"),
        (["A", "-o", "OUT.html", "--index", "OUT"], 2, "name the page with -o"),
        (["A", "-o", "OUT.pdf"], 1, "end its name in .html"),
        (["A", "A", "-o", "OUT.html"], 1, "was given twice; name each cache once"),
        (["A", "--index", "A"], 1, "is a file; name a folder"),
        (["A", "--index", "OUT", "-j", "0"], 1, "--jobs 0 is not allowed; choose 1 or more"),
        (["A", "SHORT", "-o", "OUT.html"], 1, "score the same steps, or make a page of each"),
        (["A", "MOVED", "-o", "OUT.html"], 1, "they have other recorded actions; make a page of each"),
        (["none.h5", "-o", "OUT.html"], 1, "none.h5 is not a file"),
    ],
)
def test_what_makes_no_page_is_told_in_one_line(argv, code, told, pair, tmp_path, dlrender):
    moved = {"episode": 7, "actions": np.full((24, 2), 200.0)}
    made = {
        "A": lambda: pair[0],
        "OUT": lambda: tmp_path / "out",
        "OUT.html": lambda: tmp_path / "out.html",
        "OUT.pdf": lambda: tmp_path / "out.pdf",
        "SHORT": lambda: write_known(tmp_path / "short.h5", [gaussian([200, 200])] * 3, episode=7),
        "MOVED": lambda: write_known(tmp_path / "moved.h5", [gaussian([200, 200])] * 24, **moved),
    }
    found, out, err = dlrender("page", *(made[word]() if word in made else word for word in argv))
    assert (found, out) == (code, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out.html").exists()


def test_files_of_others_are_kept(pair, tmp_path, dlrender):
    (tmp_path / "index.html").write_text("<title>mine</title>")
    code, _, err = dlrender("page", pair[0], "--index", tmp_path)
    assert code == 1
    assert "index.html exists and was not made by dlrender page; move it, or choose another --index" in err
    assert (tmp_path / "index.html").read_text() == "<title>mine</title>"
