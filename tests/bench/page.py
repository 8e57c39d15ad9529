"""How fast a page of `dlrender page` is in a browser: until ready, a picture, and steps a second of a drag.

    python tests/bench/page.py outputs/episode_0.html --picture data/examples/page.png

--compare asks for the second landscape; --picture saves what is seen at --hash. Numbers mean something on a quiet machine only.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DRAG = """async () => {
  const { set } = await import("page/state");
  const { log } = await import("page/draw");
  const { page } = await import("page/data");
  for (const list of Object.values(log)) list.length = 0;
  const began = performance.now();
  for (let k = 0; k < page.episodes[0].steps; k++) {
    set({ row: k });
    await new Promise(requestAnimationFrame);
  }
  const seconds = (performance.now() - began) / 1000;
  const sorted = log.milliseconds.toSorted((a, b) => a - b);
  return { steps: new Set(log.landscape).size, environment: new Set(log.environment).size, seconds,
           median_ms: sorted[sorted.length >> 1], slowest_ms: sorted.at(-1) };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--hash", default="#t=40")
    parser.add_argument("--size", default="1280x900")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto(given.page.resolve().as_uri() + given.hash + ("&b=1" if given.compare else ""))
        tab.wait_for_selector("body[data-ready]")
        found = {"megabytes": given.page.stat().st_size / 1e6, "ready_ms": tab.evaluate("performance.now()")}
        if given.picture:
            tab.screenshot(path=given.picture)
        found |= tab.evaluate(DRAG)
        print(json.dumps({**found, "steps_per_second": found["steps"] / found["seconds"]}, indent=2))
        browser.close()


if __name__ == "__main__":
    main()
