// The data of the page. Arrays stay packed until something asks for them, so that the first picture need not wait.
export const page = JSON.parse(document.getElementById("data").textContent);

const WORD = 4;

export function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return bytes;
}

async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Undo a prediction along an axis: running sums, modulo 2^32.
function integrate(values, shape, axis) {
  const at = axis < 0 ? shape.length + axis : axis;
  const stride = shape.slice(at + 1).reduce((a, b) => a * b, 1);
  const whole = stride * shape[at];
  for (let first = 0; first < values.length; first += whole) {
    for (let k = first + stride; k < first + whole; k++) values[k] = (values[k] + values[k - stride]) | 0;
  }
}

// A reader of rows: row(k) is a Float32Array or Float64Array of the k-th entry along the first axis, or along none.
export async function open(packed) {
  const planes = await Promise.all(packed.planes.map((text) => (text ? inflate(text) : null)));
  const size = packed.shape.slice(1).reduce((a, b) => a * b, 1);

  function bits(first, count) {
    const words = new Uint32Array(count);
    for (let byte = 0; byte < WORD; byte++) {
      const plane = planes[byte];
      if (plane) for (let k = 0; k < count; k++) words[k] |= plane[first + k] << (8 * byte);
    }
    return words;
  }

  function numbers(first, count, shape) {
    const words = bits(first, count);
    if (!packed.quantum) return new Float32Array(words.buffer);
    const whole = new Int32Array(words.buffer);
    for (let k = 0; k < count; k++) whole[k] = (words[k] >>> 1) ^ -(words[k] & 1);
    for (const axis of packed.axes) integrate(whole, shape, axis);
    const found = new Float64Array(count);
    for (let k = 0; k < count; k++) found[k] = whole[k] * packed.quantum;
    return found;
  }

  return {
    shape: packed.shape,
    all: () => numbers(0, packed.shape[0] * size, packed.shape),
    row: (k) => numbers(k * size, size, [1, ...packed.shape.slice(1)]),
  };
}
