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
// the cubic swing. `out`: where they go.
export function sample(values, cells, window, pixels, floor = -Infinity, out = new Float32Array(pixels * pixels)) {
  const rows = weights(window.top, window.side, pixels, cells);
  const { index, weight } = weights(window.left, window.side, pixels, cells);
  // Only the cells in view count. Each row of them is stretched; then rows are combined along lines of pixels, as they lie
  // in memory.
  const [first, last] = [rows.index[0], rows.index[4 * pixels - 1]];
  const [left, right] = [index[0], index[4 * pixels - 1]];
  const raised = new Float64Array(cells);
  const wide = new Float32Array((last - first + 1) * pixels);
  for (let j = first, to = 0; j <= last; j++) {
    for (let i = left, from = j * cells + left; i <= right; i++, from++) raised[i] = values[from] > floor ? values[from] : floor;
    for (let k = 0; k < 4 * pixels; k += 4, to++) {
      wide[to] =
        weight[k] * raised[index[k]] +
        weight[k + 1] * raised[index[k + 1]] +
        weight[k + 2] * raised[index[k + 2]] +
        weight[k + 3] * raised[index[k + 3]];
    }
  }
  for (let q = 0, to = 0; q < 4 * pixels; q += 4) {
    let a = (rows.index[q] - first) * pixels;
    let b = (rows.index[q + 1] - first) * pixels;
    let c = (rows.index[q + 2] - first) * pixels;
    let d = (rows.index[q + 3] - first) * pixels;
    const [wa, wb, wc, wd] = [rows.weight[q], rows.weight[q + 1], rows.weight[q + 2], rows.weight[q + 3]];
    for (const end = to + pixels; to < end; to++, a++, b++, c++, d++) {
      out[to] = wa * wide[a] + wb * wide[b] + wc * wide[c] + wd * wide[d];
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
