// What can be pressed: lists, chips, the player and keys. All of it only changes the state.
import { load } from "page/episode";
import { page } from "page/data";
import { COLORMAPS, HEATS, MARKS, NORMS, SPEEDS, WINDOWS, canDivide, isDark, listen, set, state, system } from "page/state";
import { ROWS, rowsOf } from "page/timeline";
import { cellAt, centreOf } from "page/field";
import { openAbout, openKeys } from "page/about";
import { saveCsv, savePng } from "page/download";
import { windowAt, zoom } from "page/view";

const $ = (id) => document.getElementById(id);
const ZOOM = 1.25;

export const KEYS = [
  ["← →", "a step back, forward; with Shift ten"],
  ["Home, End", "first, last step"],
  ["Space", "play"],
  [", .", "slower, faster"],
  ["C, N, H, Z", "next colours, scale, heat, window"],
  ["+ − 0", "zoom in, out, follow again"],
  ["M, R", "next second landscape; its log ratio"],
  ["D, I, P, V", "light or dark; about; save png; save csv"],
  ["Tab, arrows", "on a landscape: the cell that is asked for; Escape forgets it"],
  [
    Object.values(MARKS)
      .map(([key]) => key.toUpperCase())
      .join(" "),
    Object.values(MARKS)
      .map(([, label]) => label)
      .join(", "),
  ],
];

function fill(select, values, labels = values) {
  select.replaceChildren(...values.map((value, k) => new Option(labels[k], value)));
}

function next(values, value) {
  return values[(values.indexOf(value) + 1) % values.length];
}

export function stepTo(row) {
  const last = page.episodes[state.episode].steps - 1;
  set({ row: Math.min(Math.max(row, 0), last) });
}

function chips(box, rows, isOn, toggle) {
  box.replaceChildren(
    ...rows.map(([name, label, title]) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip";
      chip.dataset.name = name;
      chip.textContent = label;
      chip.title = title;
      chip.setAttribute("aria-pressed", isOn(name));
      chip.addEventListener("click", () => toggle(name));
      return chip;
    }),
  );
}

function showMarks() {
  const rows = Object.entries(MARKS).map(([name, [key, label]]) => [name, label, `Show or hide (${key.toUpperCase()})`]);
  chips($("marks"), rows, (name) => state.marks[name], toggleMark);
}

function toggleMark(name) {
  set({ marks: { ...state.marks, [name]: !state.marks[name] } });
}

function isRowOn(name) {
  return state.rows[name] ?? ROWS[name][3];
}

export function showRows(sources) {
  const rows = rowsOf(sources).map((name) => [name, ROWS[name][0], "Show or hide this curve"]);
  chips($("rows"), rows, isRowOn, (name) => set({ rows: { ...state.rows, [name]: !isRowOn(name) } }));
}

// The second landscape: none, any other source, or the log ratio to it.
export function seconds(sources) {
  const found = [["", "no second landscape"]];
  sources.forEach((source, k) => k === state.a || found.push([String(k), source.name]));
  sources.forEach((source, k) => canDivide(sources[state.a], source) && found.push([`r${k}`, `log ratio to ${source.name}`]));
  return found;
}

export function showSources(sources) {
  fill($("source-a"), sources.map((_, k) => String(k)), sources.map((source) => source.name));
  const found = seconds(sources);
  fill($("source-b"), ...[0, 1].map((part) => found.map((each) => each[part])));
  $("source-a").value = String(state.a);
  $("source-b").value = state.b === null ? "" : `${state.ratio ? "r" : ""}${state.b}`;
}

function choose(value) {
  if (value === "") set({ b: null, ratio: false });
  else set({ b: Number(value.replace("r", "")), ratio: value.startsWith("r") });
}

function chooseFirst(a) {
  const { sources } = page.episodes[state.episode];
  const b = state.b === a ? null : state.b;
  set({ a, b, ratio: state.ratio && canDivide(sources[a], sources[b]) });
}

function showState() {
  for (const name of ["colormap", "norm", "heat", "window", "speed"]) $(name).value = String(state[name]);
  $("play").textContent = state.playing ? "pause" : "play";
  $("play").setAttribute("aria-pressed", state.playing);
  const dark = isDark();
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

async function cycleSecond(ratio) {
  const { sources } = await load(state.episode);
  const values = seconds(sources).map(([value]) => value).filter((value) => ratio || !value.startsWith("r"));
  const now = $("source-b").value;
  if (!ratio) choose(next(values, now));
  else if (state.b !== null && canDivide(sources[state.a], sources[state.b])) set({ ratio: !state.ratio });
  else if (values.some((value) => value.startsWith("r"))) choose(values.find((value) => value.startsWith("r")));
}

export async function zoomBy(factor) {
  const episode = await load(state.episode);
  zoom(windowAt(episode, state.row), factor);
}

// A key, by its name in lower case.
const ACTIONS = {
  arrowleft: (event) => stepTo(state.row - (event.shiftKey ? 10 : 1)),
  arrowright: (event) => stepTo(state.row + (event.shiftKey ? 10 : 1)),
  home: () => stepTo(0),
  end: () => stepTo(Infinity),
  " ": () => set({ playing: !state.playing }),
  ",": () => set({ speed: SPEEDS[Math.max(SPEEDS.indexOf(state.speed) - 1, 0)] }),
  ".": () => set({ speed: SPEEDS[Math.min(SPEEDS.indexOf(state.speed) + 1, SPEEDS.length - 1)] }),
  c: () => set({ colormap: next(COLORMAPS, state.colormap) }),
  n: () => set({ norm: next(NORMS, state.norm) }),
  h: () => set({ heat: next(HEATS, state.heat) }),
  z: () => set({ window: next(WINDOWS.slice(0, 3), state.window) }),
  "+": () => zoomBy(1 / ZOOM),
  "=": () => zoomBy(1 / ZOOM),
  "-": () => zoomBy(ZOOM),
  "−": () => zoomBy(ZOOM),
  0: () => set({ window: "follow" }),
  m: () => cycleSecond(false),
  r: () => cycleSecond(true),
  d: () => set({ theme: isDark() ? "light" : "dark" }),
  i: openAbout,
  "?": () => openKeys(KEYS),
  p: savePng,
  v: saveCsv,
  escape: () => set({ cell: null }),
  ...Object.fromEntries(Object.entries(MARKS).map(([name, [key]]) => [key, () => toggleMark(name)])),
};

function pressed(event) {
  const { target } = event;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  // What has a use for a key keeps it.
  if (target.matches("select, input") && !(target.matches("input") && !/^(arrow|home|end|page)/.test(key))) return;
  if (key === " " && target.matches("button, a")) return;
  if (target.matches("canvas[tabindex]") && moveCell(key, event)) return;
  const action = ACTIONS[key];
  if (!action) return;
  event.preventDefault();
  action(event);
}

// Arrows on a landscape move the cell that is asked for.
function moveCell(key, event) {
  const way = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }[key];
  if (!way) return false;
  event.preventDefault();
  const cells = page.episodes[state.episode].sources[event.target.id === "canvas-b" && state.b !== null ? state.b : state.a].cells;
  load(state.episode).then((episode) => {
    const window = windowAt(episode, state.row);
    const from = state.cell ?? { x: window.left + window.side / 2, y: window.top + window.side / 2 };
    const cell = cellAt(cells, Math.min(Math.max(from.x, 0), 511.9), Math.min(Math.max(from.y, 0), 511.9));
    const by = state.cell ? (event.shiftKey ? 5 : 1) : 0; // the first press shows where one is
    const clip = (each) => Math.min(Math.max(each, 0), cells - 1);
    const [x, y] = centreOf(cells, { i: clip(cell.i + by * way[0]), j: clip(cell.j + by * way[1]) });
    set({ cell: { x, y, spoken: true } });
  });
  return true;
}

export function connect() {
  fill($("colormap"), COLORMAPS);
  fill($("norm"), NORMS);
  fill($("heat"), HEATS);
  fill($("window"), WINDOWS);
  fill($("speed"), SPEEDS.map(String), SPEEDS.map((each) => (each === 1 ? "real speed" : `${each} ×`)));
  fill($("episode"), page.episodes.map((_, k) => String(k)), page.episodes.map(({ dataset, episode }) => `${episode}${dataset && ` of ${dataset}`}`));
  $("episode-box").hidden = page.episodes.length < 2;
  $("index").hidden = !page.index;
  if (page.index) $("index").href = page.index;
  for (const name of ["colormap", "norm", "heat"]) $(name).addEventListener("change", (event) => set({ [name]: event.target.value }));
  $("window").addEventListener("change", (event) => (event.target.value === "free" ? zoomBy(1) : set({ window: event.target.value })));
  $("speed").addEventListener("change", (event) => set({ speed: Number(event.target.value) }));
  $("episode").addEventListener("change", (event) => set({ episode: Number(event.target.value), row: 0, a: 0, b: null, ratio: false, free: null, window: "follow", cell: null }));
  $("source-a").addEventListener("change", (event) => chooseFirst(Number(event.target.value)));
  $("source-b").addEventListener("change", (event) => choose(event.target.value));
  $("slider").addEventListener("input", (event) => stepTo(Number(event.target.value)));
  for (const [id, key] of [["play", " "], ["back", "arrowleft"], ["next", "arrowright"], ["in", "+"], ["out", "-"], ["theme", "d"], ["about", "i"], ["keys", "?"], ["png", "p"], ["csv", "v"]]) {
    $(id).addEventListener("click", (event) => ACTIONS[key](event));
  }
  document.addEventListener("keydown", pressed);
  system.addEventListener("change", () => state.theme === null && set({ theme: null }));
  listen((changes) => {
    if ("marks" in changes) for (const chip of $("marks").children) chip.setAttribute("aria-pressed", state.marks[chip.dataset.name]);
    if ("rows" in changes) for (const chip of $("rows").children) chip.setAttribute("aria-pressed", isRowOn(chip.dataset.name));
    if (Object.keys(changes).some((name) => !["row", "cell"].includes(name))) showState();
  });
  showMarks();
  showState();
}

// Real time is that of the episode, whatever the rate of the screen or of its clock.
export function play() {
  let [before, left] = [null, 0];
  const tick = (now) => {
    if (!state.playing) return;
    const episode = page.episodes[state.episode];
    if (before !== null) left += ((now - before) / 1000) * (episode.fps / episode.every) * state.speed;
    before = now;
    const steps = Math.floor(left);
    left -= steps;
    if (state.row + steps >= episode.steps - 1 && steps) set({ row: episode.steps - 1, playing: false });
    else {
      if (steps) stepTo(state.row + steps);
      requestAnimationFrame(tick);
    }
  };
  if (state.row >= page.episodes[state.episode].steps - 1) stepTo(0);
  requestAnimationFrame(tick);
}
