// The window that all landscapes share: it follows the density, or is moved by hand.
import { WORLD } from "page/field";
import { set, state } from "page/state";

const LEAST = 16;
const MOST = 1024;
const REACH = 0.5; // of a window that may lie outside the world

export function windowAt(episode, k) {
  const file = episode.sources[state.a].file;
  if (state.window === "free" && state.free) return state.free;
  if (state.window === "full") return { left: 0, top: 0, side: WORLD };
  if (state.window === "fit") return { left: file.fit[0], top: file.fit[1], side: file.fit[2] };
  return file.window(k);
}

function keep({ left, top, side }) {
  const low = -REACH * side;
  const high = WORLD - (1 - REACH) * side;
  const clip = (each) => Math.min(Math.max(each, Math.min(low, high)), Math.max(low, high));
  return { left: clip(left), top: clip(top), side };
}

export function move(window, dx, dy) {
  set({ window: "free", free: keep({ ...window, left: window.left + dx, top: window.top + dy }) });
}

// Zoom by a factor about a place of the world, which stays where it is.
export function zoom(window, factor, x = window.left + window.side / 2, y = window.top + window.side / 2) {
  const side = Math.min(Math.max(window.side * factor, LEAST), MOST);
  const by = side / window.side;
  set({ window: "free", free: keep({ left: x - (x - window.left) * by, top: y - (y - window.top) * by, side }) });
}

export function centre(window, x, y) {
  move(window, x - window.left - window.side / 2, y - window.top - window.side / 2);
}
