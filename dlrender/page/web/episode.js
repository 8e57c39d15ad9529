// An episode as numbers. Scores are inflated when their method is first shown.
import { open, page } from "page/data";

const loaded = new Map();

async function all(packed) {
  return (await open(packed)).all();
}

async function openFile(file) {
  const [place, angle, predicted, follow] = await Promise.all(
    [file.place, file.angle, file.predicted, file.follow].map(all),
  );
  const chunks = await open(file.chunks);
  return {
    ...file,
    // Agent x, y, block x, y [px], angle [rad].
    state: (k) => [...place.subarray(4 * k, 4 * k + 4), angle[k]],
    prediction: (k) => [predicted[2 * k], predicted[2 * k + 1]],
    window: (k) => ({ left: follow[3 * k], top: follow[3 * k + 1], side: follow[3 * k + 2] }),
    // The sampled chunks from the current action on, as lists of points.
    plans(k) {
      const [, count, length] = file.chunks.shape;
      const flat = chunks.row(k);
      const point = (m, h) => [flat[2 * (m * length + h)], flat[2 * (m * length + h) + 1]];
      return Array.from({ length: count }, (_, m) => Array.from({ length }, (__, h) => point(m, h)));
    },
  };
}

async function openSource(source, number, files) {
  const [ends, thresholds, values] = await Promise.all([source.ends.frame, source.thresholds, source.table.values].map(all));
  const steps = source.ends.frame.shape[0];
  const levels = source.thresholds.shape[1];
  let reader = null;
  let kept = { row: -1, values: null };
  return {
    ...source,
    number,
    file: files[source.file],
    name: files.length > 1 ? `${files[source.file].name}: ${source.method}` : source.method,
    frameEnds: (k) => [ends[2 * k], ends[2 * k + 1]],
    regionThresholds: (k) => Array.from(thresholds.subarray(levels * k, levels * (k + 1))),
    // A statistic at all steps, nan where there is none; null where the table lacks it.
    column(name) {
      const at = source.table.names.indexOf(name);
      return at < 0 ? null : values.subarray(at * steps, (at + 1) * steps);
    },
    ready: async () => {
      reader ??= await open(source.scores);
    },
    scores(k) {
      if (kept.row !== k) kept = { row: k, values: reader.row(k) };
      return kept.values;
    },
  };
}

export function load(number) {
  if (!loaded.has(number)) loaded.set(number, read(page.episodes[number]));
  return loaded.get(number);
}

async function read(episode) {
  const files = await Promise.all(episode.files.map(openFile));
  const sources = await Promise.all(episode.sources.map((source, k) => openSource(source, k, files)));
  const [time, recorded] = await Promise.all([all(episode.time), all(episode.recorded)]);
  return { ...episode, files, sources, time, action_at: (k) => [recorded[2 * k], recorded[2 * k + 1]] };
}
