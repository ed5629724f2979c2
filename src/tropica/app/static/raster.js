// Convex polygons in a view of a plane: pixels by their centers, the cell of a point, the decision boundary.

export class View {
  constructor(low, high, width, height) { Object.assign(this, { low, high, width, height }); }
  x(t) { return ((t - this.low[0]) / (this.high[0] - this.low[0])) * this.width; }
  y(t) { return this.height - ((t - this.low[1]) / (this.high[1] - this.low[1])) * this.height; }
  t(x, y) {
    return [this.low[0] + (x / this.width) * (this.high[0] - this.low[0]), this.low[1] + ((this.height - y) / this.height) * (this.high[1] - this.low[1])];
  }
}

// Call `fill(row, first, last)` for the pixels first … last of each row whose centers are in corners[from … to].
export function spans(view, corners, from, to, fill) {
  let top = Infinity, bottom = -Infinity;
  const n = to - from, xs = new Float64Array(n), ys = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    xs[i] = view.x(corners[2 * (from + i)]); ys[i] = view.y(corners[2 * (from + i) + 1]);
    top = Math.min(top, ys[i]); bottom = Math.max(bottom, ys[i]);
  }
  for (let row = Math.max(0, Math.ceil(top - 0.5)); row <= Math.min(view.height - 1, Math.floor(bottom - 0.5)); row++) {
    const y = row + 0.5;
    let left = Infinity, right = -Infinity;
    for (let i = 0; i < n; i++) {
      const j = i + 1 === n ? 0 : i + 1;
      if ((ys[i] <= y) === (ys[j] <= y)) continue;
      const x = xs[i] + ((y - ys[i]) / (ys[j] - ys[i])) * (xs[j] - xs[i]);
      left = Math.min(left, x); right = Math.max(right, x);
    }
    const first = Math.max(0, Math.ceil(left - 0.5)), last = Math.min(view.width - 1, Math.ceil(right - 0.5) - 1);
    if (first <= last) fill(row, first, last);
  }
}

// The number of the cell of a block that holds t; −1 for none.
export function cellAt(block, t) {
  const { starts, corners } = block;
  for (let c = 0; c + 1 < starts.length; c++) {
    let inside = true;
    for (let i = starts[c]; i < starts[c + 1] && inside; i++) {
      const j = i + 1 === starts[c + 1] ? starts[c] : i + 1;
      const side = (corners[2 * j] - corners[2 * i]) * (t[1] - corners[2 * i + 1]) - (corners[2 * j + 1] - corners[2 * i + 1]) * (t[0] - corners[2 * i]);
      inside = side >= -1e-15;
    }
    if (inside) return c;
  }
  return -1;
}

export function scoresAt(block, cell, t) {
  const { maps, outputs } = block, found = new Array(outputs);
  for (let k = 0, at = cell * outputs * 3; k < outputs; k++, at += 3) found[k] = maps[at] * t[0] + maps[at + 1] * t[1] + maps[at + 2];
  return found;
}

export function topTwo(scores) {
  let label = 0, second = -1;
  for (let k = 1; k < scores.length; k++) if (scores[k] > scores[label]) label = k;
  for (let k = 0; k < scores.length; k++) if (k !== label && (second < 0 || scores[k] > scores[second])) second = k;
  return [label, second];
}

// The decision boundary inside of a cell: segments on which two labels tie for the largest score.
export function boundaryOf(block, cell) {
  const corners = [];
  for (let i = block.starts[cell]; i < block.starts[cell + 1]; i++) corners.push([block.corners[2 * i], block.corners[2 * i + 1]]);
  const values = corners.map((t) => scoresAt(block, cell, t));
  const tops = values.map((scores) => topTwo(scores)[0]);
  if (tops.every((label) => label === tops[0])) {
    // One label at all corners of a convex cell: the label of all of it.
    return [];
  }
  const found = [], s = block.outputs;
  for (let i = 0; i < s; i++) for (let j = i + 1; j < s; j++) {
    let ends = crossing(corners, values.map((v) => v[i] - v[j]));
    for (let k = 0; k < s && ends; k++) if (k !== i && k !== j) ends = clipped(ends, (t) => { const v = scoresAt(block, cell, t); return v[i] - v[k]; });
    if (ends) found.push({ ends, labels: [i, j] });
  }
  return found;
}

function crossing(corners, values) {
  const ends = [];
  for (let i = 0; i < corners.length; i++) {
    const j = (i + 1) % corners.length, a = values[i], b = values[j];
    if ((a > 0) === (b > 0)) continue;
    const part = a / (a - b);
    ends.push([0, 1].map((c) => corners[i][c] + part * (corners[j][c] - corners[i][c])));
  }
  return ends.length === 2 ? ends : null;
}

function clipped([p, q], value) {
  const a = value(p), b = value(q);
  if (a < 0 && b < 0) return null;
  if (a >= 0 && b >= 0) return [p, q];
  const part = a / (a - b), middle = [0, 1].map((c) => p[c] + part * (q[c] - p[c]));
  return a < 0 ? [middle, q] : [p, middle];
}
