// The view as a picture, and the step table as it is in `dlrender stats`.
import { drawPanels } from "page/draw";
import { load } from "page/episode";
import { moment } from "page/readout";
import { state } from "page/state";
import { canvases } from "page/timeline";

const SHARP = 2;
const GAP = 16;

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// One line of CSV a step; numbers to the 7 digits that a page has of them, nothing for nan.
export function csvOf({ table, column }) {
  const quote = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const texts = Object.entries(table.texts);
  const columns = table.names.map(column);
  const lines = [[...texts.map(([name]) => name), ...table.names].join(",")];
  for (let k = 0; k < (columns[0]?.length ?? 0); k++) {
    const numbers = columns.map((values) => (Number.isFinite(values[k]) ? String(Number(values[k].toPrecision(7))) : ""));
    lines.push([...texts.map(([, text]) => quote(text)), ...numbers].join(","));
  }
  return `${lines.join("\n")}\n`;
}

export async function saveCsv() {
  const episode = await load(state.episode);
  const source = episode.sources[state.a];
  save(new Blob([csvOf(source)], { type: "text/csv" }), `episode_${String(episode.episode).padStart(3, "0")}_${source.method}.csv`);
}

// Title, panels and curves on one canvas.
export async function pictureOf() {
  const episode = await load(state.episode);
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const sources = [state.a, state.b].filter((each) => each !== null).map((each) => episode.sources[each]);
  const side = 420;
  const titles = ["environment", ...["source-a", "source-b"].map((id) => document.getElementById(id).selectedOptions[0].text)];
  const panels = titles.slice(0, sources.length + 1).map((title) => ({ title, canvas: Object.assign(document.createElement("canvas"), { side }) }));
  drawPanels(episode, state.row, sources, panels.map(({ canvas }) => canvas));
  const curves = canvases();
  const width = panels.length * (side + GAP) + GAP;
  const chart = width - 2 * GAP;
  const heights = curves.map(({ canvas }) => Math.round((canvas.height / canvas.width) * chart));
  const top = 64;
  const height = top + side + GAP + heights.reduce((sum, each) => sum + each + 18, 0) + GAP;
  const picture = Object.assign(document.createElement("canvas"), { width: width * SHARP, height: height * SHARP });
  const context = picture.getContext("2d");
  context.scale(SHARP, SHARP);
  context.fillStyle = color("--page");
  context.fillRect(0, 0, width, height);
  context.fillStyle = color("--ink");
  context.font = "600 16px system-ui, sans-serif";
  context.fillText(`${document.getElementById("title").textContent} · ${moment(episode, state.row)}`, GAP, 26);
  context.font = "13px system-ui, sans-serif";
  panels.forEach(({ canvas, title }, k) => {
    const x = GAP + k * (side + GAP);
    context.fillText(title, x, top - 8, side);
    context.drawImage(canvas, x, top, side, side);
    context.strokeStyle = color("--line");
    context.strokeRect(x, top, side, side);
  });
  let y = top + side + GAP;
  curves.forEach(({ canvas, label, at }, k) => {
    context.fillText(label, GAP, y + 12);
    context.drawImage(canvas, GAP, y + 18, chart, heights[k]);
    context.fillRect(GAP + (at(state.row) / canvas.width) * chart - 0.75, y + 18, 1.5, heights[k]);
    y += heights[k] + 18;
  });
  return picture;
}

export async function savePng() {
  const picture = await pictureOf();
  const episode = await load(state.episode);
  const name = `episode_${String(episode.episode).padStart(3, "0")}_step_${state.row * episode.every}.png`;
  picture.toBlob((blob) => save(blob, name), "image/png");
}
