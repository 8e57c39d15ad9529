// What is chosen, in one place. The step and what is compared are also in the address, so that a link shows a moment.
import { page } from "page/data";

export const MARKS = {
  regions: ["g", "regions", true],
  star: ["s", "prediction ☆", true],
  cross: ["x", "recorded ✕", true],
  arrow: ["a", "arrow", false],
  trace: ["t", "trace", true],
  cloud: ["o", "cloud", false],
  worms: ["w", "worms", false],
  world: ["k", "block and agent", true],
};
export const NORMS = ["episode", "frame", "global", "rank"];
export const WINDOWS = ["follow", "fit", "full", "free"];
export const HEATS = ["over", "opaque", "off"];
export const SPEEDS = [0.25, 0.5, 1, 2, 5, 10];
export const COLORMAPS = Object.keys(page.colormaps).filter((name) => name !== page.ratio);

export const state = {
  episode: 0,
  row: 0,
  a: 0,
  b: null, // a source, or null for no second landscape
  ratio: false, // instead of the second landscape, log a - log b
  colormap: COLORMAPS[0],
  norm: "episode",
  heat: "over",
  window: "follow",
  free: null, // the window that was moved by hand
  marks: Object.fromEntries(Object.entries(MARKS).map(([name, [, , on]]) => [name, on])),
  rows: {},
  theme: null, // null: as the system has it
  speed: 1,
  playing: false,
  cell: null, // { x, y } px of the action that is asked for
};

const listeners = [];

export function listen(listener) {
  listeners.push(listener);
}

export function set(changes) {
  Object.assign(state, changes);
  for (const listener of listeners) listener(changes);
}

export const system = matchMedia("(prefers-color-scheme: dark)");
let systemIsDark = system.matches; // asking brings the page's styles up to date, which takes time in the midst of a picture
system.addEventListener("change", (event) => (systemIsDark = event.matches));

export function isDark() {
  return state.theme === null ? systemIsDark : state.theme === "dark";
}

// The state as the address has it: #t=40 or #e=1&t=40&a=0&b=2. Steps are those of the episode.
export function toHash() {
  const parts = new URLSearchParams();
  if (state.episode) parts.set("e", state.episode);
  parts.set("t", state.row * page.episodes[state.episode].every);
  if (state.a) parts.set("a", state.a);
  if (state.b !== null) parts.set(state.ratio ? "ratio" : "b", state.b);
  if (state.window !== "follow") {
    const { left, top, side } = state.free ?? {};
    parts.set("w", state.window === "free" ? [left, top, side].map((each) => each.toFixed(1)).join(",") : state.window);
  }
  return `#${parts}`;
}

// Whether two sources have a log ratio: densities of the same cells.
export function canDivide(a, b) {
  return Boolean(a && b && a !== b && a.density && b.density && a.cells === b.cells);
}

function whole(text, below) {
  const number = /^\d{1,9}$/.test(text ?? "") ? Number(text) : -1;
  return number >= 0 && number < below ? number : null;
}

// What a hash asks for; what it does not say, or says wrongly, is as it is when a page is opened.
export function fromHash(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const number = whole(parts.get("e"), page.episodes.length) ?? 0;
  const episode = page.episodes[number];
  const step = whole(parts.get("t"), Infinity) ?? 0;
  const found = { episode: number, row: Math.min(Math.floor(step / episode.every), episode.steps - 1) };
  found.a = whole(parts.get("a"), episode.sources.length) ?? 0;
  found.b = whole(parts.get("b") ?? parts.get("ratio"), episode.sources.length);
  found.ratio = !parts.has("b") && canDivide(episode.sources[found.a], episode.sources[found.b]);
  const asked = parts.get("w") ?? "follow";
  const free = asked.split(",").map(Number);
  const [left, top, side] = free;
  if (free.length === 3 && free.every(Number.isFinite) && side >= 8 && side <= 2048) {
    return { ...found, window: "free", free: { left, top, side } };
  }
  return { ...found, window: WINDOWS.includes(asked) && asked !== "free" ? asked : "follow", free: null };
}
