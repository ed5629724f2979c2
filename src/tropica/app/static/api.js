// Requests to the server, with the token of the address.

const token = new URLSearchParams(location.search).get("token") ?? "";
const WAIT = 400;

export class Stopped extends Error {}

function wait(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); });
  });
}

export async function request(name, parameters = {}, { signal, method = "GET" } = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== ""));
  const text = query.toString();
  let answer;
  try {
    answer = await fetch(`/api/${name}${text ? `?${text}` : ""}`, { method, signal, headers: { Authorization: `Bearer ${token}` } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Stopped("the server does not answer");
  }
  return answer;
}

// The answer to a question; it is asked again while the server is still busy with what it needs.
export async function ask(name, parameters = {}, { signal, waiting, method } = {}) {
  for (;;) {
    const answer = await request(name, parameters, { signal, method });
    const found = await answer.json();
    if (answer.status === 202) {
      waiting?.(found.waiting);
      await wait(WAIT, signal);
      continue;
    }
    if (!answer.ok) throw new Error(found.error ?? `error ${answer.status}`);
    return found;
  }
}

// Lines of JSON, each handed on as it comes.
export async function* stream(name, parameters, { signal } = {}) {
  const answer = await request(name, parameters, { signal });
  if (!answer.ok || answer.status === 202) {
    const found = await answer.json();
    throw new Error(found.error ?? found.waiting ?? `error ${answer.status}`);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}

const KINDS = { float64: Float64Array, float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

// The numbers of an array that the server packed; `row(i)` is its i-th row.
export function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  const values = new KINDS[packed.dtype](bytes.buffer);
  const width = packed.shape.slice(1).reduce((a, b) => a * b, 1);
  return { values, shape: packed.shape, row: (i) => values.subarray(i * width, (i + 1) * width) };
}
