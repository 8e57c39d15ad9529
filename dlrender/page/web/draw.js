// One picture at a time, of the newest wish: changes only ask for one, and the next frame of the screen draws it.
import { load } from "page/episode";
import { table } from "page/colours";
import { page } from "page/data";
import { RATIO_LIMIT, drawEnvironment, drawLandscape, drawRatio, endsOf } from "page/panel";
import { drawnOf, moment, number, ratioSentence, sentence } from "page/readout";
import { state, toHash } from "page/state";
import { point } from "page/timeline";
import { windowAt } from "page/view";

const $ = (id) => document.getElementById(id);
const QUIET = 150; // ms without a change, after which the address says the step

// What was drawn, for who wants to know how fast: milliseconds of the last pictures, and the steps of each panel.
export const log = { milliseconds: [], environment: [], landscape: [] };
const KEPT = 1000;
let wanted = false;
let later = 0;

export function request() {
  if (wanted) return;
  wanted = true;
  document.body.dataset.busy = "";
  requestAnimationFrame(draw);
}

function note(list, value) {
  list.push(value);
  if (list.length > KEPT) list.shift();
}

// What is chosen of episodes and landscapes, loaded. Meanwhile another may be chosen: then that one.
async function chosen() {
  for (;;) {
    const { episode: number, a, b } = state;
    const episode = await load(number);
    const sources = [a, b].filter((each) => each !== null).map((each) => episode.sources[each]);
    await Promise.all(sources.map((source) => source.ready()));
    if (state.episode === number && state.a === a && state.b === b) return [episode, sources];
  }
}

async function draw() {
  const [episode, sources] = await chosen();
  wanted = false;
  const began = performance.now();
  const { row } = state;
  const [a, b] = sources;
  const shared = drawPanels(episode, row, sources, ["canvas-world", "canvas-a", "canvas-b"].map($));
  note(log.environment, row);
  note(log.landscape, row);
  showScale($("scale-a"), a, row, shared[0]);
  if (b) showScale($("scale-b"), b, row, shared[1], state.ratio);
  point(row);
  showNumbers(episode, row, a, b);
  note(log.milliseconds, performance.now() - began);
  document.body.dataset.ready = String(row);
  delete document.body.dataset.busy;
  clearTimeout(later);
  later = setTimeout(tellAddress, QUIET);
}

// Draw a step on three canvases; for each landscape, with whom it shares its scale.
export function drawPanels(episode, row, [a, b], [world, first, second]) {
  const window = windowAt(episode, row);
  const shared = b && !state.ratio && a.density && b.density ? [[b], [a]] : [[], []];
  drawEnvironment(world, episode, row, window);
  drawLandscape(first, episode, a, row, window, shared[0]);
  if (b && state.ratio) drawRatio(second, episode, [a, b], row, window);
  else if (b) drawLandscape(second, episode, b, row, window, shared[1]);
  return shared;
}

// Changes a text that is another: the same one again would be laid out again.
function say(id, text) {
  const box = $(id);
  if (box.textContent !== text) box.textContent = text;
}

function showNumbers(episode, row, a, b) {
  say("where", moment(episode, row));
  $("slider").value = String(row);
  $("slider").setAttribute("aria-valuetext", moment(episode, row));
  say("readout-a", sentence(a, row));
  if (b) say("readout-b", state.ratio ? ratioSentence([a, b], row) : sentence(b, row));
  const legend = `☆ the policy's prediction · ✕ ${episode.action === "executed" ? "executed" : "the expert's"} action, red line: the last 20 · outline: the landscape's window`;
  say("legend", legend);
  const drifted = a.file.drifts[row];
  const told = [a, b].filter(Boolean).flatMap((each) => each.warnings.map((text) => (b ? `${each.name}: ${text}` : text)));
  say("warnings", [...told, ...(drifted ? [`at this step ${drifted}`] : [])].join(" · "));
  if (state.cell?.spoken) say("spoken", sentence(a, row));
  $("canvas-a").setAttribute("aria-label", `${drawnOf(a)}, ${moment(episode, row)}`);
  if (b) $("canvas-b").setAttribute("aria-label", `${state.ratio ? "log ratio" : drawnOf(b)}, ${moment(episode, row)}`);
}

// A bar of the colours with its ends, and what they are of.
function showScale(box, source, row, others, ratio = false) {
  const ends = ratio ? [-RATIO_LIMIT, RATIO_LIMIT] : endsOf(source, row, others);
  const key = [ends, ratio ? page.ratio : state.colormap, state.norm, source.number, ratio].join();
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  const bar = document.createElement("canvas");
  [bar.width, bar.height] = [256, 1];
  const image = new ImageData(256, 1);
  const colours = table(ratio ? page.ratio : state.colormap);
  for (let k = 0; k < 256; k++) image.data.set([colours[3 * k], colours[3 * k + 1], colours[3 * k + 2], 255], 4 * k);
  bar.getContext("2d").putImageData(image, 0, 0);
  bar.setAttribute("aria-hidden", "true");
  const units = ratio ? "nats" : state.norm === "rank" ? "rank" : source.units.replace(" / ", "/");
  const [low, high] = ends.map((each) => number(each, state.norm === "rank" && !ratio ? 0 : 1));
  const cut = (source.density && state.norm !== "rank") || ratio;
  box.replaceChildren(`${cut ? "≤ " : ""}${low}`, bar, `${ratio ? "≥ " : ""}${high} ${units}`);
  box.title = ratio ? "log ratio of the first to the second landscape" : `${drawnOf(source)}; scale: ${state.norm}`;
}

function tellAddress() {
  const hash = toHash();
  if (hash === location.hash) return;
  try {
    history.replaceState(null, "", hash);
  } catch {
    // Some browsers limit how often an address may change; the next one will be told.
  }
}
