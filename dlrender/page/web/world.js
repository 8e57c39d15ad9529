// The environment as shapes: as exact as the stored picture, sharp at every zoom, in either theme, and no bytes.
import { page } from "page/data";

const world = page.world;

export function turned(points, [x, y, angle]) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return points.map(([u, v]) => [x + c * u - s * v, y + s * u + c * v]);
}

function bar([left, top, right, bottom], wider) {
  return [
    [left - wider, top - wider],
    [right + wider, top - wider],
    [right + wider, bottom + wider],
    [left - wider, bottom + wider],
  ];
}

function bytes(color) {
  return [1, 3, 5].map((k) => parseInt(color.slice(k, k + 2), 16));
}

const mixed = new Map(); // by colour, ground and opacity

// A colour of the environment on the ground of the page, which shows through. On a dark ground its lightness is inverted and
// its hue stays, as dlrender does it.
export function onGround(color, ground, alpha) {
  const key = color + ground + alpha;
  if (!mixed.has(key)) mixed.set(key, mix(color, ground, alpha));
  return mixed.get(key);
}

function mix(color, ground, alpha) {
  const own = bytes(color);
  const floor = bytes(ground);
  const luminance = floor.reduce((sum, each, k) => sum + [0.2126, 0.7152, 0.0722][k] * (each / 255) ** 2.2, 0);
  let shown = own;
  if (luminance <= 0.18) {
    const [least, most] = [Math.min(...own), Math.max(...own)];
    shown = own.map((each, k) => floor[k] + (1 - floor[k] / 255) * (255 + each - least - most));
  }
  return `rgb(${shown.map((each, k) => Math.round(each * alpha + floor[k] * (1 - alpha))).join(" ")})`;
}

function polygon(context, at, points, color) {
  context.beginPath();
  points.forEach(([x, y], k) => (k ? context.lineTo(...at(x, y)) : context.moveTo(...at(x, y))));
  context.closePath();
  context.fillStyle = color;
  context.fill();
}

function block(context, at, pose, layers) {
  for (const [color, wider] of layers) {
    for (const each of world.bars) polygon(context, at, turned(bar(each, wider), pose), color);
  }
}

// Walls, goal, block and agent in a state, in a panel of `scale` px for a px of the world.
export function drawWorld(context, at, scale, state, ground, alpha = 1) {
  const shade = (name) => onGround(world.colours[name], ground, alpha);
  const [near, far] = world.walls;
  const half = world.wall_half;
  for (const wall of [near, far]) {
    polygon(context, at, bar([wall, near, wall, far], half), shade("wall"));
    polygon(context, at, bar([near, wall, far, wall], half), shade("wall"));
  }
  block(context, at, world.goal, [[shade("goal"), 0]]);
  block(context, at, state.slice(2), [
    [shade("block_edge"), world.edge],
    [shade("block"), -world.edge],
  ]);
  for (const [radius, name] of [
    [world.agent_radius, "agent_edge"],
    [world.inner_radius, "agent"],
  ]) {
    context.beginPath();
    context.arc(...at(state[0], state[1]), radius * scale, 0, 2 * Math.PI);
    context.fillStyle = shade(name);
    context.fill();
  }
}

// Outlines of goal, block and agent, for a landscape that hides them: [points, colour] each.
export function outlines(state) {
  const ring = Array.from({ length: 40 }, (_, k) => {
    const turn = (k * Math.PI) / 20;
    return [state[0] + world.agent_radius * Math.cos(turn), state[1] + world.agent_radius * Math.sin(turn)];
  });
  return [
    [turned(world.outline, world.goal), "#7ddc7d"],
    [turned(world.outline, state.slice(2)), "#c9d3df"],
    [ring, "#8fb0ff"],
  ];
}
