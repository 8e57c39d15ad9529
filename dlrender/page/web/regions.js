// Outlines of highest-density regions, by d3-contour on a fine lattice around them.
import { contours } from "d3-contour";
import { WORLD, sample } from "page/field";

const AROUND = 3; // cells beyond the regions, also beyond the world, so that outlines reach its edge
const LATTICE = [48, 160]; // points a side
const FINE = 6; // points to a cell
const CLIFF = 16; // nats below the largest score, where what is left does not show

// Rings of world px [[x, y], …] for each threshold, null where no region is. They hold the cells from the threshold up.
export function regionsOf(values, cells, thresholds, density) {
  const finite = thresholds.filter(Number.isFinite);
  if (!finite.length) return thresholds.map(() => null);
  const least = Math.min(...finite);
  let [x0, x1, y0, y1, peak] = [cells, -1, cells, -1, -Infinity];
  for (let j = 0, k = 0; j < cells; j++) {
    for (let i = 0; i < cells; i++, k++) {
      peak = Math.max(peak, values[k]);
      if (values[k] < least) continue;
      [x0, x1, y0, y1] = [Math.min(x0, i), Math.max(x1, i), Math.min(y0, j), j];
    }
  }
  if (x1 < 0) return smallest(values, cells, thresholds, peak, density);
  const cell = WORLD / cells;
  const width = Math.max(x1 - x0, y1 - y0) + 1 + 2 * AROUND;
  const window = { left: (x0 - AROUND) * cell, top: (y0 - AROUND) * cell, side: width * cell };
  return outlined(values, cells, thresholds, window, width, density ? peak - CLIFF : -Infinity);
}

// A region smaller than a cell: it is about the largest one.
function smallest(values, cells, thresholds, peak, density) {
  const at = values.indexOf(peak);
  const cell = WORLD / cells;
  const width = 1 + 2 * AROUND;
  const window = { left: ((at % cells) - AROUND) * cell, top: (Math.floor(at / cells) - AROUND) * cell, side: width * cell };
  return outlined(values, cells, thresholds, window, width, density ? peak - CLIFF : -Infinity);
}

function outlined(values, cells, thresholds, window, width, floor) {
  const count = Math.min(Math.max(width * FINE, LATTICE[0]), LATTICE[1]);
  const lattice = sample(values, cells, window, count, floor);
  const pixel = window.side / count;
  const place = ([x, y]) => [window.left + x * pixel, window.top + y * pixel];
  const draw = contours().size([count, count]);
  return thresholds.map((threshold) => {
    if (!Number.isFinite(threshold)) return null;
    const rings = draw.contour(lattice, threshold).coordinates.flat();
    return rings.length ? rings.map((ring) => ring.map(place)) : null;
  });
}
