// Scores between the centres of cells, and where one stands among all. The twin of dlrender's shading.sample.
export const WORLD = 512;

// For each of `pixels` from `start`: the four cells around it and their weights (cubic convolution, Keys 1981). The
// outermost cells continue outwards.
function weights(start, side, pixels, cells) {
  const index = new Int32Array(4 * pixels);
  const weight = new Float64Array(4 * pixels);
  for (let k = 0; k < pixels; k++) {
    const where = ((start + ((k + 0.5) * side) / pixels) * cells) / WORLD - 0.5;
    const before = Math.floor(where);
    const t = where - before;
    const four = [
      (((2 - t) * t - 1) * t) / 2,
      ((3 * t - 5) * t * t + 2) / 2,
      (((4 - 3 * t) * t + 1) * t) / 2,
      ((t - 1) * t * t) / 2,
    ];
    for (let j = 0; j < 4; j++) {
      index[4 * k + j] = Math.min(Math.max(before - 1 + j, 0), cells - 1);
      weight[4 * k + j] = four[j];
    }
  }
  return { index, weight };
}

// Values (N x N) at the pixels (P x P) of a window. `floor`: lower values are raised to it first, so that no cliff makes
// the cubic swing.
export function sample(values, cells, window, pixels, floor = -Infinity) {
  const rows = weights(window.top, window.side, pixels, cells);
  const columns = weights(window.left, window.side, pixels, cells);
  // Only the cells in view are raised and combined.
  const [first, last] = [columns.index[0], columns.index[4 * pixels - 1]];
  const width = last - first + 1;
  const band = new Float32Array(pixels * width);
  for (let p = 0; p < pixels; p++) {
    for (let j = 0; j < 4; j++) {
      const w = rows.weight[4 * p + j];
      const from = rows.index[4 * p + j] * cells + first;
      const to = p * width;
      for (let x = 0; x < width; x++) band[to + x] += w * Math.max(values[from + x], floor);
    }
  }
  const out = new Float32Array(pixels * pixels);
  const { index, weight } = columns;
  for (let q = 0; q < pixels; q++) {
    const k = 4 * q;
    const [a, b, c, d] = [index[k] - first, index[k + 1] - first, index[k + 2] - first, index[k + 3] - first];
    const [wa, wb, wc, wd] = [weight[k], weight[k + 1], weight[k + 2], weight[k + 3]];
    for (let p = 0, from = 0, to = q; p < pixels; p++, from += width, to += pixels) {
      out[to] = wa * band[from + a] + wb * band[from + b] + wc * band[from + c] + wd * band[from + d];
    }
  }
  return out;
}

// Each cell's rank, the share of cells below it; equal scores share one.
export function ranksOfCells(values) {
  const sorted = Float64Array.from(values).sort();
  const below = new Map();
  sorted.forEach((value, k) => below.has(value) || below.set(value, k));
  return Float64Array.from(values, (value) => below.get(value) / (values.length - 1));
}

export function cellAt(cells, x, y) {
  const inside = x >= 0 && y >= 0 && x < WORLD && y < WORLD;
  return inside ? { i: Math.floor((x * cells) / WORLD), j: Math.floor((y * cells) / WORLD) } : null;
}

export function centreOf(cells, cell) {
  return [((cell.i + 0.5) * WORLD) / cells, ((cell.j + 0.5) * WORLD) / cells];
}

// What is known of a cell: its score, and for a density its probability and HDR rank, the mass of denser cells with half
// of its own and of its equals, as the mean over a point in it.
export function cellNumbers(values, cells, cell, density) {
  const score = values[cell.j * cells + cell.i];
  if (!density) return { score };
  const area = (WORLD / cells) ** 2;
  let [denser, equal] = [0, 0];
  for (const value of values) {
    if (value > score) denser += Math.exp(value);
    else if (value === score) equal += Math.exp(value);
  }
  return { score, mass: Math.exp(score) * area, rank: (denser + equal / 2) * area };
}
