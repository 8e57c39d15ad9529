// What the run is, what the numbers mean and how exact they are, one click away.
import { page } from "page/data";
import { load } from "page/episode";
import { state } from "page/state";
import { ROWS } from "page/timeline";

const $ = (id) => document.getElementById(id);

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function tableOf(rows) {
  return element("table", "", element("tbody", "", ...rows.map(([name, value]) => element("tr", "", Object.assign(element("th", name), { scope: "row" }), element("td", value)))));
}

function show(title, parts) {
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(...parts);
  $("dialog").showModal();
}

export async function openAbout() {
  const { sources, files } = await load(state.episode);
  const parts = files.flatMap((file) => [element("h3", files.length > 1 ? file.name : "run"), tableOf(file.facts)]);
  for (const source of sources) parts.push(element("h3", source.name), tableOf(source.facts));
  const curves = Object.values(ROWS).flatMap(([, , columns]) => columns);
  const notes = curves.map((name) => [name.replaceAll("_", " "), `${page.columns[name][1]}${page.columns[name][0] ? ` [${page.columns[name][0]}]` : ""}`]);
  parts.push(element("h3", "curves"), tableOf([...notes, ["band around surprise", "its estimated error"]]));
  parts.push(
    element("h3", "picture"),
    tableOf([
      ["environment", "block (gray), goal (green) and agent (blue) at the moment of choice; the outline is the window of the landscapes"],
      ["landscape", "log density of each action, px of the 512 × 512 world, y down; colours fade where the estimate does not resolve it"],
      ["regions", "the smallest that hold 50, 80 and 95 % of the probability; of a score that is no density, the best tenth of the cells"],
      ["star, cross", "the policy's prediction; the recorded action"],
      ["HDR rank", "the probability of the actions that are denser: 0 % at the peak"],
      ["rounding", "scores to 1/64 nat or 1/16 px, positions to 1/16 px"],
    ]),
  );
  show("about this run", parts);
}

export function openKeys(keys) {
  show("keys", [tableOf(keys)]);
}
