// The index: a row an episode, sorted by what is looked for. The order is in the address, so that it can be sent.
const { rows, title } = JSON.parse(document.getElementById("data").textContent);
const SPARK = [160, 26];
const minus = (text) => text.replace("-", "−");

// key: [title, what a cell says, first order]
const COLUMNS = {
  episode: ["episode", (row) => row.episode, 1],
  policy: ["policy", (row) => row.policy, 1],
  dataset: ["data", (row) => row.dataset, 1],
  steps: ["steps", (row) => row.steps, -1],
  success: ["outcome", (row) => ["failed", "success"][row.success] ?? "", 1],
  worst: ["worst surprise [nats]", (row) => row.worst, -1],
  surprise: ["mean surprise", (row) => row.surprise, -1],
  entropy: ["mean entropy", (row) => row.entropy, -1],
  drift: ["drift [px]", (row) => row.drift, -1],
  curve: ["surprise over time", null, 0],
};

// What all rows have in common is said once, above them.
const shared = rows.length > 1 ? ["policy", "dataset"].filter((each) => rows.every((row) => row[each] === rows[0][each])) : [];

function link(address, text) {
  return Object.assign(document.createElement("a"), { href: address, textContent: text });
}

function spark(values, top) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const [width, height] = SPARK;
  const low = Math.min(...values);
  const points = values.map((value, k) => [(k / Math.max(values.length - 1, 1)) * width, height - 2 - Math.min((value - low) / Math.max(top - low, 1e-9), 1) * (height - 4)]);
  line.setAttribute("points", points.map((each) => each.map((part) => part.toFixed(1)).join()).join(" "));
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `surprise, ${minus(low.toFixed(1))} to ${minus(Math.max(...values).toFixed(1))} nats` })) svg.setAttribute(name, value);
  svg.append(line);
  return svg;
}

function cellOf(row, key, top) {
  const cell = document.createElement("td");
  if (key === "curve") {
    if (row.curve) cell.append(spark(row.curve, top));
    return cell;
  }
  const value = COLUMNS[key][1](row);
  if (key === "episode") cell.append(link(row.page, String(value)));
  else if (key === "worst" && value !== null) cell.append(link(`${row.page}#t=${row.at}`, `${minus(value.toFixed(2))} at step ${row.at}`));
  else cell.textContent = typeof value !== "number" ? (value ?? "") : minus(key === "steps" ? String(value) : value.toFixed(2));
  if (typeof value === "number") cell.className = "number";
  if (key === "success") cell.className = value;
  if (["policy", "dataset"].includes(key)) cell.className = "words";
  return cell;
}

// One scale for all curves, to what nine in ten episodes reach, so that a single moment does not make the rest flat.
function topOf(peaks) {
  const ordered = peaks.toSorted((a, b) => a - b);
  return ordered[Math.floor(0.9 * (ordered.length - 1))] ?? 1;
}

// Rows without a value come last, whichever the order.
export function sorted(key, way) {
  const known = rows.filter((row) => row[key] !== null);
  known.sort((one, other) => way * (one[key] < other[key] ? -1 : one[key] > other[key] ? 1 : 0) || one.episode - other.episode);
  return [...known, ...rows.filter((row) => row[key] === null)];
}

function show(key, way) {
  const top = topOf(rows.flatMap((row) => (row.curve ? [Math.max(...row.curve)] : [])));
  const kept = Object.keys(COLUMNS).filter((each) => !shared.includes(each) && rows.some((row) => row[each] !== null && row[each] !== ""));
  document.getElementById("head").replaceChildren(
    ...kept.map((each) => {
      const head = document.createElement("th");
      head.scope = "col";
      const [label, , first] = COLUMNS[each];
      if (!first) head.textContent = label;
      else {
        head.setAttribute("aria-sort", each !== key ? "none" : way > 0 ? "ascending" : "descending");
        const button = Object.assign(document.createElement("button"), { textContent: `${label}${each === key ? (way > 0 ? " ↑" : " ↓") : ""}` });
        button.addEventListener("click", () => order(each, each === key ? -way : first));
        head.append(button);
      }
      return head;
    }),
  );
  document.getElementById("rows").replaceChildren(
    ...sorted(key, way).map((row) => {
      const line = document.createElement("tr");
      line.append(...kept.map((each) => cellOf(row, each, top)));
      return line;
    }),
  );
}

function order(key, way) {
  show(key, way);
  try {
    history.replaceState(null, "", `#${way < 0 ? "-" : ""}${key}`);
  } catch {
    // Some browsers limit how often an address may change.
  }
}

const asked = location.hash.replace(/^#/, "");
const key = asked.replace(/^-/, "");
document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
document.getElementById("title").textContent = title;
document.getElementById("where").textContent = [
  ...shared.filter((each) => rows[0][each]).map((each) => `${COLUMNS[each][0]} ${rows[0][each]}`),
  "press a heading to sort; the worst moment of each episode is a link",
].join(" · ");
if (COLUMNS[key]?.[2]) show(key, asked.startsWith("-") ? -1 : 1);
else show("episode", 1);
document.body.dataset.ready = "index";
