// A square canvas that shows a window of the world: the environment, a landscape, or the log ratio of two.
import { floorOf, paint, paintRatio, shades } from "page/colours";
import { WORLD, centreOf, cellAt, ranksOfCells, sample } from "page/field";
import * as marks from "page/marks";
import { regionsOf } from "page/regions";
import { isDark, state } from "page/state";
import { drawWorld, outlines } from "page/world";
import { page } from "page/data";

export const RATIO_LIMIT = 3; // nats: 20 times as likely
const SHARPEST = 2; // device pixels to a px that are drawn
const PIXELS = 360; // of a landscape a side, at most
const UNDER = 0.6; // of the environment's colours under those of a landscape
const whole = { left: 0, top: 0, side: WORLD };
const outlined = new WeakMap(); // source -> what was outlined last

export function ground() {
  return isDark() ? "#14171c" : "#ffffff";
}

// Make the canvas as sharp as the screen, or one that is on no screen as sharp as it gets; { context, side, at, scale } in
// CSS px.
function prepare(canvas, window) {
  const side = canvas.isConnected ? Math.max(canvas.clientWidth, 40) : canvas.side;
  const sharp = canvas.isConnected ? Math.min(globalThis.devicePixelRatio || 1, SHARPEST) : SHARPEST;
  const pixels = Math.round(side * sharp);
  if (canvas.width !== pixels) [canvas.width, canvas.height] = [pixels, pixels];
  const context = canvas.getContext("2d");
  context.setTransform(pixels / side, 0, 0, pixels / side, 0, 0);
  context.fillStyle = ground();
  context.fillRect(0, 0, side, side);
  const scale = side / window.side;
  return { context, side, scale, at: (x, y) => [(x - window.left) * scale, (y - window.top) * scale] };
}

export function drawEnvironment(canvas, episode, row, window) {
  const { context, at, scale } = prepare(canvas, whole);
  const file = episode.sources[state.a].file;
  drawWorld(context, at, scale, file.state(row), ground());
  if (state.marks.trace) marks.trace(context, at, episode.action_at, row);
  if (state.marks.cross) marks.cross(context, at, episode.action_at(row), 4.5);
  if (state.marks.star) marks.star(context, at, file.prediction(row), 7);
  if (window.side < WORLD) marks.frame(context, at, window, isDark() ? "#6cb2ff" : "#1a5fb4");
  if (state.cell) marks.cell(context, at, [state.cell.x, state.cell.y], 10);
}

// The ends of the colours of a source at a step; `others` share them.
export function endsOf(source, row, others = []) {
  if (state.norm === "rank") return [0, 1];
  const own = (each) => {
    if (state.norm === "frame") return each.frameEnds(row);
    return state.norm === "global" ? page.global[each.method] : each.ends.episode;
  };
  const all = [source, ...others].map(own);
  return [Math.min(...all.map(([low]) => low)), Math.max(...all.map(([, high]) => high))];
}

// The lowest score that is drawn whole; null where nothing fades.
export function shownOf(source, row) {
  return source.density && state.norm !== "rank" ? source.frameEnds(row)[1] - source.depth : null;
}

// What the colours stand for at the pixels of a window: the twin of dlrender's StepView.values.
export function valuesOf(source, row, window, pixels, ends, out) {
  const scores = source.scores(row);
  const shown = shownOf(source, row);
  if (shown !== null) return sample(scores, source.cells, window, pixels, floorOf(shown), out);
  const prepared = state.norm === "rank" ? ranksOfCells(scores) : scores.map((each) => Math.min(Math.max(each, ends[0]), ends[1]));
  return sample(prepared, source.cells, window, pixels, -Infinity, out);
}

function pixelsFor(source, window, side) {
  // A pixel is no larger than a cell, or cells would be skipped.
  return Math.max(Math.min(Math.round(side), PIXELS), Math.ceil((source.cells * window.side) / WORLD));
}

const heats = new Map(); // by size: a canvas, its pixels and two fields of values, which are used again

function putHeat(context, side, pixels, fill) {
  if (!heats.has(pixels)) {
    const canvas = new OffscreenCanvas(pixels, pixels);
    const image = new ImageData(pixels, pixels);
    const fields = [0, 1].map(() => new Float32Array(pixels * pixels));
    heats.set(pixels, { canvas, own: canvas.getContext("2d"), image, words: new Uint32Array(image.data.buffer), fields });
  }
  const { canvas, own, image, words, fields } = heats.get(pixels);
  fill(words, ...fields);
  own.putImageData(image, 0, 0);
  context.drawImage(canvas, 0, 0, side, side);
}

export function drawLandscape(canvas, episode, source, row, window, others) {
  const { context, at, scale, side } = prepare(canvas, window);
  const over = state.heat === "over";
  const file = source.file;
  if (state.heat !== "opaque" && state.marks.world) drawWorld(context, at, scale, file.state(row), ground(), UNDER);
  if (state.heat !== "off") {
    const pixels = pixelsFor(source, window, side);
    const ends = endsOf(source, row, others);
    const scale = shades(ends, state.colormap, shownOf(source, row), over);
    putHeat(context, side, pixels, (words, field) => paint(valuesOf(source, row, window, pixels, ends, field), scale, words));
  }
  drawMarks(context, at, scale, episode, source, row, side, window);
}

export function drawRatio(canvas, episode, [a, b], row, window) {
  const { context, at, scale, side } = prepare(canvas, window);
  if (state.marks.world) drawWorld(context, at, scale, a.file.state(row), ground(), UNDER);
  const pixels = Math.max(pixelsFor(a, window, side), pixelsFor(b, window, side));
  const depths = [a, b].map((each) => each.frameEnds(row)[1] - each.depth);
  putHeat(context, side, pixels, (words, ...fields) => {
    [a, b].forEach((each, k) => sample(each.scores(row), each.cells, window, pixels, floorOf(depths[k]), fields[k]));
    paintRatio(...fields, depths, RATIO_LIMIT, state.heat !== "opaque", words);
  });
  drawMarks(context, at, scale, episode, { ...a, scores: null }, row, side, window);
}

function drawMarks(context, at, scale, episode, source, row, side, window) {
  const { marks: on } = state;
  const file = source.file;
  if (on.world && state.heat !== "over") for (const [points, color] of outlines(file.state(row))) marks.outline(context, at, points, color);
  const plans = on.cloud || on.worms ? file.plans(row) : [];
  if (on.worms) marks.worms(context, at, plans);
  if (on.cloud) marks.cloud(context, at, plans);
  if (on.regions && source.scores) {
    context.save();
    context.beginPath();
    context.rect(...at(0, 0), WORLD * scale, WORLD * scale);
    context.clip();
    marks.regions(context, at, regionsAt(source, row).filter(Boolean));
    context.restore();
  }
  if (on.trace) marks.trace(context, at, episode.action_at, row);
  if (on.arrow) marks.arrow(context, at, file.prediction(row), episode.action_at(row));
  if (on.cross) marks.cross(context, at, episode.action_at(row));
  if (on.star) marks.star(context, at, file.prediction(row));
  if (state.cell) {
    const cell = cellAt(source.cells, state.cell.x, state.cell.y);
    if (cell) marks.cell(context, at, centreOf(source.cells, cell), WORLD / source.cells);
  }
  if (window.side < WORLD) scaleBar(context, side, window);
}

export function regionsAt(source, row) {
  let found = outlined.get(source);
  if (found?.row !== row) {
    found = { row, rings: regionsOf(source.scores(row), source.cells, source.regionThresholds(row), source.density) };
    outlined.set(source, found);
  }
  return found.rings;
}

// A bar of a round length, since a window may be of any size.
function scaleBar(context, side, window) {
  const about = window.side / 5;
  const power = 10 ** Math.floor(Math.log10(about));
  const length = power * [1, 2, 5, 10].reduce((best, each) => (Math.abs(Math.log((each * power) / about)) < Math.abs(Math.log((best * power) / about)) ? each : best));
  const wide = (length / window.side) * side;
  const [x, y] = [side - 12, side - 12];
  const dark = isDark();
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  for (const [color, edge] of [
    [dark ? "#000000" : "#ffffff", 3],
    [dark ? "#ffffff" : "#202020", 0],
  ]) {
    context.strokeStyle = color;
    context.lineWidth = 2 + edge;
    context.beginPath();
    context.moveTo(x - wide, y);
    context.lineTo(x, y);
    context.stroke();
    context.lineWidth = edge;
    if (edge) context.strokeText(`${length} px`, x, y - 7);
    context.fillStyle = color;
    context.fillText(`${length} px`, x, y - 7);
  }
}
