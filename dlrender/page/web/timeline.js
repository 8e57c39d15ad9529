// Curves of the episode's statistics, one row a kind, all on one axis of steps. The curves are drawn once; a line in front
// of them moves with the step.
import { listen, set, state } from "page/state";
import { number } from "page/readout";

// name: [label, units, curves of the first landscape's table, on at the start, decimals]
export const ROWS = {
  surprise: ["surprise, entropy", "nats", ["surprise", "entropy"], true, 2],
  rank: ["HDR rank", "", ["rank"], true, 3],
  modes: ["modes", "", ["modes"], true, 0],
  chunks: ["chunk consistency", "px", ["chunk_distance"], true, 1],
  prediction: ["prediction to action", "px", ["prediction_distance"], false, 1],
  drift: ["drift", "px", ["drift_agent", "drift_block"], false, 2],
  reward: ["reward", "", ["reward"], true, 2],
};
const HEIGHT = 62;
const LAST = 22; // of the axis below the last row
const AXIS = 46;
// The first landscape's curves are whole and the second's dashed; what is expected, beside what was, is dotted.
const DASHES = [undefined, [7, 3]];
const DOTS = [2, 3];

let plots = [];
let steps = [];
let left = null; // px from the edge of the timeline to its first step, measured once, since asking lays out the page

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const finite = (values) => values?.some(Number.isFinite) ?? false;

// The rows that any of the sources has numbers for.
export function rowsOf(sources) {
  return Object.keys(ROWS).filter((name) => sources.some((source) => ROWS[name][2].some((each) => finite(source.column(each)))));
}

function curvesOf(name, sources) {
  const curves = [];
  sources.forEach((source, k) => {
    ROWS[name][2].forEach((column, j) => {
      const values = source.column(column);
      if (!finite(values)) return;
      const error = column === "surprise" ? source.column("surprise_error") : null;
      curves.push({ values, error: finite(error) ? error : null, source, hue: k ? "--b" : "--a", dash: j ? DOTS : DASHES[k], thin: j > 0 });
    });
  });
  return curves;
}

function options(name, curves, width, last) {
  const series = [{}];
  const bands = [];
  for (const { hue, dash, thin, error } of curves) {
    const stroke = color(hue);
    series.push({ stroke, dash, width: thin ? 1.2 : 1.8, points: { show: false }, spanGaps: false });
    if (!error) continue;
    const soft = { stroke: "transparent", width: 0, points: { show: false } };
    series.push(soft, soft);
    bands.push({ series: [series.length - 2, series.length - 1], fill: `${stroke}33` });
  }
  const grid = { stroke: color("--grid"), width: 1 };
  const axis = { stroke: color("--muted"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width,
    height: HEIGHT + (last ? LAST : 0),
    padding: [5, 8, last ? 0 : 5, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { time: false, range: [steps[0], Math.max(steps.at(-1), steps[0] + 1)] }, y: name === "rank" ? { range: [0, 1.02] } : {} },
    axes: [
      { ...axis, show: true, size: last ? LAST : 0, values: last ? (_, splits) => splits.map((each) => (Number.isInteger(each) ? each : "")) : () => [] },
      { ...axis, size: AXIS, space: 22, values: (_, splits) => splits.map((each) => (name === "modes" && !Number.isInteger(each) ? "" : String(+each.toPrecision(6)).replace("-", "−"))) },
    ],
    series,
    bands,
  };
}

const NEVER = 1e5; // the table has 1e6 nats where the policy never takes the recorded action: no point of a curve

function dataOf(curves) {
  const clean = (values) => Array.from(values, (each) => (Number.isFinite(each) && each < NEVER ? each : null));
  const data = [steps];
  for (const { values, error } of curves) {
    data.push(clean(values));
    if (!error) continue;
    for (const way of [1, -1]) data.push(clean(Float64Array.from(values, (each, k) => each + way * (Number.isFinite(error[k]) ? error[k] : 0))));
  }
  return data;
}

export function build(episode, sources) {
  const box = document.getElementById("timeline");
  for (const { plot, row } of plots) {
    plot.destroy();
    row.remove();
  }
  steps = Array.from({ length: episode.steps }, (_, k) => k * episode.every);
  const shown = rowsOf(sources).filter((name) => state.rows[name] ?? ROWS[name][3]);
  plots = shown.map((name, k) => {
    const [label, units] = ROWS[name];
    const row = document.createElement("div");
    row.className = "row";
    row.dataset.row = name;
    const [title, chart, value] = ["name", "chart", "value"].map((kind) => {
      const part = document.createElement("div");
      part.className = kind;
      row.append(part);
      return part;
    });
    title.textContent = units ? `${label} [${units}]` : label;
    box.append(row);
    const curves = curvesOf(name, sources);
    value.replaceChildren(
      ...curves.map(({ hue, thin }) => {
        const part = document.createElement("span");
        part.className = `${hue === "--a" ? "of-a" : "of-b"}${thin ? " thin" : ""}`;
        part.append("");
        return part;
      }),
    );
    const plot = new globalThis.uPlot(options(name, curves, Math.max(chart.clientWidth, 120), k === shown.length - 1), dataOf(curves), chart);
    return { plot, row, value, curves, digits: ROWS[name][4] };
  });
  box.hidden = !plots.length;
  left = null; // uPlot places its parts a moment later
}

// Move the line to a step, and say the values there.
export function point(row) {
  const now = document.getElementById("now");
  now.hidden = !plots.length;
  if (!plots.length) return;
  left ??= plots[0].plot.over.getBoundingClientRect().left - now.parentElement.getBoundingClientRect().left;
  now.style.transform = `translateX(${left + plots[0].plot.valToPos(steps[row], "x")}px)`;
  for (const { value, curves, digits } of plots) {
    curves.forEach(({ values }, k) => {
      const text = number(values[row], digits) || "–";
      const { firstChild } = value.children[k];
      if (firstChild.data !== text) firstChild.data = text;
    });
  }
}

// The drawn rows, and where in each a step is [device px].
export function canvases() {
  return plots.map(({ plot, row }) => ({
    canvas: plot.ctx.canvas,
    label: row.querySelector(".name").textContent,
    at: (k) => plot.valToPos(steps[k], "x", true),
  }));
}

// A press or a drag over the curves goes to that step.
export function follow() {
  const box = document.getElementById("timeline");
  let down = false;
  const go = (event) => {
    const { plot } = plots[0];
    const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    const every = steps.length > 1 ? steps[1] - steps[0] : 1;
    set({ row: Math.min(Math.max(Math.round(at / every), 0), steps.length - 1) });
  };
  box.addEventListener("pointerdown", (event) => {
    if (!plots.length || event.button !== 0 || !event.target.closest(".chart")) return;
    down = true;
    box.setPointerCapture(event.pointerId);
    go(event);
  });
  box.addEventListener("pointermove", (event) => down && go(event));
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => (down = false));
}

export function onChange(rebuild) {
  listen((changes) => ["a", "b", "episode", "rows", "theme"].some((each) => each in changes) && rebuild());
}
