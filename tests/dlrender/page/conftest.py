"""A real browser, and pages of caches whose every number is known."""

import base64
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import ROOT
from support.known import gaussian, mixture_of, write_known
from support.synthetic import write_cache

from dlrender.page.write import write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
EVIL = "</script><img onerror=alert(1) src=x>"
STEPS = 24
PATIENCE = 60  # s that a page may take for what a test asks, on a busy machine; more is a hang, and an error
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")  # containers' small /dev/shm lets tabs die
AXE = ROOT / "tests" / "support" / "vendor" / "axe.min.js"


def missing(reason: str) -> None:
    """Skip where somebody works, fail where continuous integration should have a browser."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; .ci/run installs one", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium of the system, or the one that CHROMIUM names, driven by playwright.

    One a module: playwright runs an event loop in this thread, in which the tests of other rooms should not run.
    """
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing("no Chromium on PATH (apt-get install chromium, or CHROMIUM=/path/to/it)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed; it is in the extra dev")
    os.environ["UV_USE_IO_URING"] = "0"  # of the driver: its queue in the kernel is of no use here
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield found
        found.close()


class Shown:
    """A page in the browser, with what it asked for, and what went wrong."""

    def __init__(self, context, path: Path, hash: str = "", script: str = "") -> None:
        self.requests, self.errors = [], []
        context.set_default_timeout(1000 * PATIENCE)
        self.tab = context.new_page()
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on(
            "console", lambda message: message.type in ("error", "warning") and self.errors.append(message.text)
        )
        if script:
            self.tab.add_init_script(script)
        self.tab.goto(f"{path.as_uri()}{hash}")
        self.tab.wait_for_selector("body[data-ready]")
        self.first = None if path.name == "index.html" else self.state

    def go(self, hash: str = "") -> "Shown":
        """As when the page was opened, at what a hash asks for."""
        code = """async ([first, hash]) => {
          const { fromHash, set } = await import("page/state");
          set({ ...first, ...fromHash(hash) });
          document.activeElement.blur(); }"""
        self(code, [self.first, hash])
        self.settle()
        return self

    def __call__(self, code: str, argument: object = None):
        """What a function of the page's own modules returns: `import` finds them by their names.

        playwright waits for ever for a promise that nobody keeps, so it races a clock.
        """
        bounded = f"""async (argument) => {{
          let clock;
          const late = new Promise((_, fail) => {{
            clock = setTimeout(() => fail(new Error("no answer after {PATIENCE} s")), {1000 * PATIENCE}); }});
          try {{ return await Promise.race([({code})(argument), late]); }} finally {{ clearTimeout(clock); }} }}"""
        return self.tab.evaluate(bounded, argument)

    def settle(self) -> None:
        """Wait until the newest wish is drawn; while a page plays there is always a newer one, so not for ever."""
        self("""async () => {
          const end = performance.now() + 30_000;
          for (let k = 0; k < 3 || ("busy" in document.body.dataset && performance.now() < end); k++)
            await new Promise((next) => { requestAnimationFrame(next); setTimeout(next, 1000); }); }""")

    def set(self, **changes: object) -> None:
        """Change the state as controls do."""
        self("async (changes) => (await import('page/state')).set(changes)", changes)
        self.settle()

    @property
    def state(self) -> dict:
        """What is chosen."""
        return self("async () => ({...(await import('page/state')).state})")

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.tab.text_content(selector)

    def problems(self) -> list[tuple[str, list[str]]]:
        """What axe finds serious. The policy of a page forbids another script, so axe is evaluated."""
        self(f"() => {{ {AXE.read_text()}\n }}")
        found = self(
            "async () => (await axe.run()).violations.filter((v) => ['serious', 'critical'].includes(v.impact))"
        )
        return [(each["id"], [node["html"][:90] for node in each["nodes"]][:3]) for each in found]

    def pixels(self, canvas: str) -> np.ndarray:
        """(H, W, 4) uint8 of a canvas."""
        code = """id => {
          const c = document.getElementById(id);
          const own = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
          own.drawImage(c, 0, 0);
          const { data } = own.getImageData(0, 0, c.width, c.height);
          let s = "";
          for (let k = 0; k < data.length; k += 8192) s += String.fromCharCode(...data.subarray(k, k + 8192));
          return [c.height, c.width, btoa(s)]; }"""
        height, width, data = self(code, canvas)
        return np.frombuffer(base64.b64decode(data), dtype=np.uint8).reshape(height, width, 4)


@pytest.fixture(scope="module")
def opener(browser):
    """opener(path, hash="", script="", **options of the browser's context) -> Shown."""

    def call(path: Path, hash: str = "", script: str = "", **options) -> Shown:
        context = browser.new_context(
            **{"viewport": {"width": 1000, "height": 700}, "accept_downloads": True, **options}
        )
        return Shown(context, path, hash, script)

    return call


@pytest.fixture
def show(opener):
    """The same, closed at the end of a test, when nothing may have gone wrong."""
    opened = []

    def call(*args, **options) -> Shown:
        opened.append(opener(*args, **options))
        return opened[-1]

    yield call
    for page in opened:
        page.tab.context.close()
        assert page.errors == []


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def one_cache(page_folder) -> Path:
    """A Gaussian about a recorded action that moves down and to the right, and a score that is no density."""
    ramp = np.linspace(0, 1, STEPS)[:, None]
    actions = np.array([120.0, 180.0]) + ramp * [200.0, 120.0]
    return write_cache(
        page_folder / "episode_003.h5", episode=3, steps=STEPS, resolution=40, expert=actions, sigma=28.0
    )


@pytest.fixture(scope="session")
def one_page(one_cache) -> Path:
    """A page of it: two methods of one file, without statistics."""
    return write_page([one_cache], one_cache.with_name("one.html"))


@pytest.fixture(scope="session")
def pair(page_folder) -> tuple[Path, Path]:
    """Two policies on the same steps, of which the second has two modes and an evil name."""
    actions = np.array([150.0, 200.0]) + np.linspace(0, 1, STEPS)[:, None] * [150.0, 100.0]
    one = [gaussian(action, 25.0) for action in actions]
    two = [mixture_of([(0.6, action, 18.0), (0.4, action + [110.0, 40.0], 18.0)]) for action in actions]
    return (
        write_known(page_folder / "a.h5", one, actions=actions, episode=7, success=True),
        write_known(page_folder / "b.h5", two, actions=actions, episode=7, policy=EVIL),
    )


@pytest.fixture(scope="session")
def other(page_folder) -> Path:
    """Another episode, of which each fifth step is scored."""
    return write_known(page_folder / "c.h5", [gaussian([400, 100])] * 5, episode=9, every=5)


@pytest.fixture(scope="session")
def pages(pair, other) -> Path:
    """A page of two episodes, the first with two policies."""
    return write_page([*pair, other], other.with_name("pages.html"))


@pytest.fixture(scope="module")
def one(one_page, opener):
    """The page of one cache, open for all tests of a module: `go` takes it back to its start."""
    page = opener(one_page)
    yield page
    page.tab.context.close()
    assert page.errors == []


@pytest.fixture(scope="module")
def two(pages, opener):
    """The page of two episodes, open for all tests of a module."""
    page = opener(pages)
    yield page
    page.tab.context.close()
    assert page.errors == []


@pytest.fixture(scope="session")
def held():
    """held(path) -> the data in a page."""

    def read(path: Path) -> dict:
        text = path.read_text().split('<script type="application/json" id="data">')[1]
        return json.loads(text.split("</script>")[0])

    return read
