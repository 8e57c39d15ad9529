// Colours of values: the twin of dlrender's shading.make_shades, whose constants come with the data.
import { bytesOf, page } from "page/data";

const COLOURS = 1024;
const TABLE = 256;
const { fade: FADE, whole_above: WHOLE_ABOVE, strength: STRENGTH } = page.shading;
const tables = new Map();

export function table(name) {
  if (!tables.has(name)) tables.set(name, bytesOf(page.colormaps[name]));
  return tables.get(name);
}

function smooth(share) {
  const s = Math.min(Math.max(share, 0), 1);
  return s * s * (3 - 2 * s); // without a kink at either end
}

// How opaque a log density is that is `shown` nats whole, and fades below.
export function opacity(value, shown) {
  return shown === null ? 1 : smooth((value - (shown - FADE)) / (FADE + WHOLE_ABOVE));
}

// { low, high, colours }: RGBA words for values from low to high. `shown` null: nothing fades. `over`: those that fade are clear.
export function shades(ends, name, shown, over) {
  const colours = table(name);
  const words = new Uint32Array(COLOURS);
  const bytes = new Uint8Array(words.buffer);
  let [low, high] = ends;
  if (shown !== null) [low, high] = [Math.min(shown - FADE, high - FADE), Math.max(high, shown)];
  for (let k = 0; k < COLOURS; k++) {
    const value = low + ((high - low) * k) / (COLOURS - 1);
    const span = ends[1] - ends[0];
    const unit = span > 0 ? Math.min(Math.max((value - ends[0]) / span, 0), 1) : 0;
    const row = Math.floor(unit * (COLOURS - 1) + 0.5);
    const at = 3 * Math.min(TABLE - 1, Math.floor((row / (COLOURS - 1)) * TABLE));
    const alpha = opacity(value, shown);
    const clear = over && shown !== null;
    for (let c = 0; c < 3; c++) {
      const own = colours[at + c];
      bytes[4 * k + c] = (clear ? own : colours[c] + (own - colours[c]) * alpha) + 0.5;
    }
    bytes[4 * k + 3] = 255 * (clear ? STRENGTH * alpha : 1) + 0.5;
  }
  return { low, high, words };
}

// The lowest score that is drawn whole needs no cliff below what fades.
export function floorOf(shown) {
  return shown === null ? -Infinity : shown - FADE - 1;
}

// Write the colours of values into words of an image.
export function paint(values, scale, out) {
  const factor = (COLOURS - 1) / Math.max(scale.high - scale.low, 1e-9);
  const offset = 0.5 - scale.low * factor;
  const { words } = scale;
  for (let k = 0; k < values.length; k++) {
    const index = values[k] * factor + offset;
    out[k] = words[index > 0 ? (index < COLOURS ? index | 0 : COLOURS - 1) : 0];
  }
}

// Colours of log a - log b from -limit to limit, as opaque as the denser of the two, `shown` being the log densities from
// which each is whole.
export function paintRatio(a, b, shown, limit, over, out) {
  const words = new Uint32Array(TABLE);
  const parts = new Uint8Array(words.buffer);
  table(page.ratio).forEach((each, k) => (parts[4 * Math.floor(k / 3) + (k % 3)] = each));
  const bytes = new Uint8Array(out.buffer, out.byteOffset, 4 * out.length);
  const strength = over ? STRENGTH : 1;
  for (let k = 0; k < a.length; k++) {
    const unit = (a[k] - b[k]) / (2 * limit) + 0.5;
    out[k] = words[unit > 0 ? (unit < 1 ? Math.floor(unit * TABLE) : TABLE - 1) : 0];
    bytes[4 * k + 3] = 255 * strength * opacity(Math.max(a[k] - shown[0], b[k] - shown[1]), 0) + 0.5;
  }
}
