// The page: read the address, load the episode, and keep pictures, curves and controls at what the state says.
import { connect, play, showRows, showSources } from "page/controls";
import { page } from "page/data";
import { request } from "page/draw";
import { load } from "page/episode";
import { fromHash, listen, set, state } from "page/state";
import { build, follow, onChange } from "page/timeline";
import { centre, move, windowAt, zoom } from "page/view";
import { WORLD } from "page/field";

const $ = (id) => document.getElementById(id);
const WHEEL = 1.0015; // zoom for a px of the wheel

async function rebuild() {
  const episode = await load(state.episode);
  const compared = state.b !== null;
  $("panel-b").classList.toggle("empty", !compared);
  $("panel-b").hidden = episode.sources.length < 2;
  $("canvas-b").hidden = $("scale-b").hidden = $("readout-b").hidden = !compared;
  document.body.classList.toggle("compared", compared);
  showSources(episode.sources);
  const shown = [state.a, state.b].filter((each) => each !== null).map((each) => episode.sources[each]);
  showRows(shown);
  build(episode, shown);
  $("slider").max = String(episode.steps - 1);
  const name = shown[0].file.name;
  $("title").textContent = `${name} · episode ${episode.episode}`;
  $("episode").value = String(state.episode);
  request();
}

// Where in the world a pointer is.
function placeOf(event, window) {
  const box = event.currentTarget.getBoundingClientRect();
  const scale = window.side / box.width;
  return [window.left + (event.clientX - box.left) * scale, window.top + (event.clientY - box.top) * scale, scale];
}

function landscape(canvas) {
  let dragged = null;
  const now = async () => windowAt(await load(state.episode), state.row);
  canvas.addEventListener("pointermove", async (event) => {
    const at = { currentTarget: canvas, clientX: event.clientX, clientY: event.clientY };
    const window = await now();
    const [x, y, scale] = placeOf(at, window);
    if (dragged) {
      move(window, (dragged.x - event.clientX) * scale, (dragged.y - event.clientY) * scale);
      dragged = { x: event.clientX, y: event.clientY };
    } else set({ cell: { x, y } });
  });
  canvas.addEventListener("pointerleave", () => !dragged && set({ cell: null }));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragged = { x: event.clientX, y: event.clientY };
    canvas.setPointerCapture(event.pointerId);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (dragged = null));
  canvas.addEventListener("dblclick", () => set({ window: "follow" }));
  canvas.addEventListener(
    "wheel",
    async (event) => {
      event.preventDefault();
      const at = { currentTarget: canvas, clientX: event.clientX, clientY: event.clientY };
      const window = await now();
      const [x, y] = placeOf(at, window);
      zoom(window, WHEEL ** event.deltaY, x, y);
    },
    { passive: false },
  );
}

// A press in the environment brings the window there.
function overview(canvas) {
  const go = async (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [((event.clientX - box.left) / box.width) * WORLD, ((event.clientY - box.top) / box.height) * WORLD];
    const window = windowAt(await load(state.episode), state.row);
    if (window.side < WORLD) centre(window, x, y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    go(event);
  });
  canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && go(event));
}

function start() {
  set(fromHash(location.hash));
  connect();
  listen((changes) => {
    if (changes.playing) play();
    request();
  });
  onChange(rebuild);
  addEventListener("hashchange", () => set(fromHash(location.hash)));
  for (const id of ["canvas-a", "canvas-b"]) landscape($(id));
  overview($("canvas-world"));
  follow();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) rebuild();
    width = innerWidth;
  });
  if (page.episodes.length) rebuild();
}

start();
