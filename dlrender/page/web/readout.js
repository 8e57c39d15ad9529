// Numbers in words: the moment, the cell that is asked for, the ends of a colour scale.
import { cellAt, cellNumbers, centreOf } from "page/field";
import { state } from "page/state";

const minus = (text) => text.replace("-", "−");

export function number(value, digits = 2) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  return minus(Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 10 ** -digits) ? value.toExponential(1) : value.toFixed(digits));
}

export function percent(share) {
  const value = 100 * share;
  if (value >= 99.95 && share < 1) return "> 99.9 %"; // "100.0 %" would say that nothing is beyond
  return `${value === 0 || value >= 0.05 ? value.toFixed(1) : value.toExponential(1)} %`;
}

export function moment(episode, row) {
  const step = row * episode.every;
  return `step ${step} of ${episode.length - 1} · ${episode.time[row].toFixed(1)} s`;
}

export function drawnOf(source) {
  return source.density ? `${source.quantity}` : `${source.quantity} [${source.units}]`;
}

// What a source says of the cell that is asked for: { place, score, mass, rank }, or null beyond the world.
export function asked(source, row) {
  if (!state.cell) return null;
  const cell = cellAt(source.cells, state.cell.x, state.cell.y);
  return cell && { place: centreOf(source.cells, cell), ...cellNumbers(source.scores(row), source.cells, cell, source.density) };
}

export function sentence(source, row) {
  const found = asked(source, row);
  if (!found) return "point at a cell for its numbers";
  const place = found.place.map((each) => each.toFixed(0)).join(", ");
  const parts = [`action (${place}) px`];
  if (source.density) {
    parts.push(`log p ${number(found.score)} ${source.units.replace(" / ", "/")}`, `p ${percent(found.mass)}`, `HDR rank ${percent(found.rank)}`);
  } else {
    parts.push(`${number(found.score)} ${source.units}`);
  }
  return parts.join(" · ");
}

export function ratioSentence([a, b], row) {
  const [one, other] = [asked(a, row), asked(b, row)];
  if (!one || !other) return "point at a cell for its numbers";
  const place = one.place.map((each) => each.toFixed(0)).join(", ");
  const log = one.score - other.score;
  const times = Math.exp(Math.abs(log));
  const much = times < 1000 ? times.toFixed(times < 10 ? 1 : 0) : "> 1000";
  return `action (${place}) px · log ratio ${number(log)} nats: ${much} times as likely ${log >= 0 ? "left" : "under the second"}`;
}
