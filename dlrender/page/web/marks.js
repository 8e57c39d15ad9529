// What lies over a landscape. Every mark has a halo, so that none hangs on a hue: the policy is light on dark, the record
// dark on light.
const POLICY = ["#ffffff", "#000000"];
const RECORD = ["#850014", "#ffffff"];
const DRAWN = ["#7df9ff", "#000000"];
const ARROW = ["#ffd60a", "#000000"];
const TRACE = 20; // actions into the past

function stroke(context, path, [color, halo], width, edge = 1.3) {
  context.lineJoin = "round";
  context.lineCap = "round";
  for (const [style, wide] of [
    [halo, width + 2 * edge],
    [color, width],
  ]) {
    context.strokeStyle = style;
    context.lineWidth = wide;
    context.stroke(path);
  }
}

function line(at, points, closed = false) {
  const path = new Path2D();
  points.forEach(([x, y], k) => (k ? path.lineTo(...at(x, y)) : path.moveTo(...at(x, y))));
  if (closed) path.closePath();
  return path;
}

export function outline(context, at, points, color, width = 1.2) {
  stroke(context, line(at, points, true), [color, "#000000"], width, 0.8);
}

// The smaller a region, the thicker its outline.
export function regions(context, at, rings) {
  rings.forEach((each, k) => {
    const path = new Path2D();
    for (const ring of each ?? []) path.addPath(line(at, ring, true));
    stroke(context, path, POLICY, 1.6 - (0.8 * k) / Math.max(1, rings.length - 1), 0.9);
  });
}

export function star(context, at, [x, y], size = 9) {
  const [u, v] = at(x, y);
  const path = new Path2D();
  for (let k = 0; k < 10; k++) {
    const radius = k % 2 ? size * 0.4 : size;
    const turn = (k * Math.PI) / 5 - Math.PI / 2;
    const point = [u + radius * Math.cos(turn), v + radius * Math.sin(turn)];
    if (k) path.lineTo(...point);
    else path.moveTo(...point);
  }
  path.closePath();
  stroke(context, path, POLICY, 1.5);
}

export function cross(context, at, [x, y], size = 5.5) {
  const [u, v] = at(x, y);
  const path = new Path2D();
  for (const way of [1, -1]) {
    path.moveTo(u - size, v - way * size);
    path.lineTo(u + size, v + way * size);
  }
  stroke(context, path, RECORD, 2);
}

// From the prediction to the recorded action, where there is room for it between the two marks.
export function arrow(context, at, from, to) {
  const [[x0, y0], [x1, y1]] = [at(...from), at(...to)];
  const length = Math.hypot(x1 - x0, y1 - y0);
  const [gap, head] = [11, 8];
  if (length < 2 * gap + head) return;
  const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
  const [tx, ty] = [x1 - gap * dx, y1 - gap * dy];
  const path = new Path2D();
  path.moveTo(x0 + gap * dx, y0 + gap * dy);
  path.lineTo(tx, ty);
  for (const way of [1, -1]) {
    path.moveTo(tx, ty);
    path.lineTo(tx - head * (dx + way * 0.5 * dy), ty - head * (dy - way * 0.5 * dx));
  }
  stroke(context, path, ARROW, 1.8);
}

// The recorded actions up to now, thinner into the past.
export function trace(context, at, actionAt, row) {
  const first = Math.max(0, row - TRACE);
  const points = Array.from({ length: row - first + 1 }, (_, k) => at(...actionAt(first + k)));
  context.lineCap = "round";
  for (const wide of [true, false]) {
    context.strokeStyle = wide ? RECORD[1] : RECORD[0];
    for (let k = 1; k < points.length; k++) {
      const share = 0.4 + (0.6 * k) / (points.length - 1);
      context.lineWidth = 1.8 * share + (wide ? 2 : 0);
      context.beginPath();
      context.moveTo(...points[k - 1]);
      context.lineTo(...points[k]);
      context.stroke();
    }
  }
}

export function cloud(context, at, plans) {
  for (const [x, y] of plans.map((plan) => plan[0])) {
    context.beginPath();
    context.arc(...at(x, y), 3, 0, 2 * Math.PI);
    [context.fillStyle, context.strokeStyle, context.lineWidth] = [...DRAWN, 1];
    context.fill();
    context.stroke();
  }
}

export function worms(context, at, plans) {
  context.globalAlpha = 0.75;
  for (const plan of plans) stroke(context, line(at, plan), DRAWN, 1.1, 0.8);
  context.globalAlpha = 1;
}

export function frame(context, at, { left, top, side }, color) {
  const path = new Path2D();
  path.rect(...at(left, top), at(left + side, top)[0] - at(left, top)[0], at(left, top + side)[1] - at(left, top)[1]);
  stroke(context, path, [color, "#ffffff"], 1.4, 1);
}

// The cell that is asked for.
export function cell(context, at, [x, y], side) {
  const path = new Path2D();
  const [u, v] = at(x - side / 2, y - side / 2);
  const [r, s] = at(x + side / 2, y + side / 2);
  path.rect(u, v, r - u, s - v);
  stroke(context, path, ["#ffffff", "#000000"], 1.2, 1);
}
