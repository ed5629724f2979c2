// The picture of a plane: cells in colors, their edges, the decision boundary, the points that the plane goes through.

import { labelColor, mapColor, sequentialColor } from "./colors.js";
import { boundaryOf, scoresAt, spans, topTwo, View } from "./raster.js";

export const VALUE_COLORS = [["value", "value"], ["map", "affine map"], ["slope", "slope"]];
export const COLORS = [["label", "label"], ["map", "affine map"], ["margin", "margin"], ["slope", "slope"], ["differs", "N ≠ N^(X)"]];

// How fast the winning score changes, per unit of distance in the inputs: from its slopes in t and the metric of the plane.
export function slopeOf(block, cell, label, metric) {
  const at = (cell * block.outputs + label) * 3, a = block.maps[at], b = block.maps[at + 1];
  return Math.sqrt(Math.max(0, a * a * metric[0][0] + 2 * a * b * metric[0][1] + b * b * metric[1][1]));
}

export class Picture {
  constructor(canvas) { this.canvas = canvas; }

  // `output` is the one whose value is shown in regression; null where labels are.
  begin(low, high, color, metric, output = null) {
    const { width, height } = this.canvas;
    Object.assign(this, { view: new View(low, high, width, height), color, metric, output, least: 0, blocks: [], boundary: [], scale: null, labels: null });
    this.image = this.canvas.getContext("2d").createImageData(width, height);
    this.ids = new Int16Array(width * height).fill(-1);
    this.others = null;
  }

  set(at, color, strength = 255) {
    const { data } = this.image, i = 4 * at;
    data[i] = color[0]; data[i + 1] = color[1]; data[i + 2] = color[2]; data[i + 3] = strength;
  }

  // Labels and margins on a grid, pale, below the cells that are still to come.
  underlay({ side, label, margin }) {
    const { width, height } = this.view;
    const most = margin.values.reduce((a, b) => Math.max(a, b), this.output === null ? 0 : -Infinity) || 1;
    this.least = this.output === null ? 0 : margin.values.reduce((a, b) => Math.min(a, b), Infinity);
    this.scale ??= most;
    for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
      if (this.ids[row * width + column] >= 0) continue;
      const i = Math.floor(((height - 1 - row) / height) * side) * side + Math.floor((column / width) * side);
      const color = this.color === "label" ? labelColor(label.values[i]) : this.color === "margin" || this.color === "value" ? sequentialColor(this.part(margin.values[i])) : [128, 128, 128];
      this.set(row * width + column, color, 90);
    }
  }

  // Where a margin or a value lies between the least and the largest of the sample.
  part(value) { return (value - this.least) / ((this.scale ?? 1) - this.least || 1); }

  // A new level takes the place of the one before.
  level() { this.blocks = []; this.boundary = []; }

  add(block) {
    this.blocks.push(block);
    for (let c = 0; c + 1 < block.starts.length; c++) {
      this.fill(block, c);
      if (block.maps && block.outputs > 1 && this.output === null) this.boundary.push(...boundaryOf(block, c));
    }
  }

  fill(block, c) {
    const { width } = this.view, { maps, outputs } = block;
    if (!maps) return; // of the first layers only the edges are drawn
    let color = null;
    if (this.color === "map") color = mapColor(maps, c * outputs * 3, (c + 1) * outputs * 3);
    const steady = (this.color === "label" || this.color === "differs") ? oneLabel(block, c) : -1;
    const middle = this.color === "slope" ? this.output ?? topTwo(scoresAt(block, c, centerOf(block, c)))[0] : 0;
    if (this.color === "slope") {
      const slope = slopeOf(block, c, middle, this.metric);
      this.steepest ??= slope || 1;
      color = sequentialColor(0.5 + 0.35 * Math.log10((slope || 1e-9) / this.steepest));
    }
    spans(this.view, block.corners, block.starts[c], block.starts[c + 1], (row, first, last) => {
      if (steady >= 0) {
        this.ids.fill(steady, row * width + first, row * width + last + 1);
        for (let column = first; column <= last; column++) this.set(row * width + column, this.color === "label" ? labelColor(steady) : [225, 225, 225], this.color === "label" ? 215 : 255);
        return;
      }
      for (let column = first; column <= last; column++) {
        const at = row * width + column;
        const scores = scoresAt(block, c, this.view.t(column + 0.5, row + 0.5)), [label, second] = topTwo(scores);
        this.ids[at] = label;
        if (color) this.set(at, color);
        else if (this.color === "label") this.set(at, labelColor(label), 215);
        else if (this.color === "value") this.set(at, sequentialColor(this.part(scores[this.output])));
        else if (this.color === "margin") this.set(at, sequentialColor(second < 0 ? 1 : this.part(scores[label] - scores[second])));
        else this.set(at, [225, 225, 225]);
      }
    });
  }

  // Where N^(X) has another label than N, by the centers of the pixels.
  compare(terms) {
    const { width, height } = this.view;
    this.others = new Int16Array(width * height).fill(-1);
    for (let c = 0; c + 1 < terms.starts.length; c++) spans(this.view, terms.corners, terms.starts[c], terms.starts[c + 1], (row, first, last) => this.others.fill(terms.labels[c], row * width + first, row * width + last + 1));
    if (this.color === "differs") this.paintDifference();
  }

  paintDifference() {
    for (let at = 0; at < this.ids.length; at++) {
      if (this.ids[at] < 0 || !this.others || this.others[at] < 0) continue;
      this.set(at, this.ids[at] === this.others[at] ? [225, 232, 238] : [179, 88, 6]);
    }
  }

  // The share of the view where the labels of N and of N^(X) differ.
  get different() {
    let known = 0, other = 0;
    for (let at = 0; this.others && at < this.ids.length; at++) if (this.ids[at] >= 0 && this.others[at] >= 0) { known++; other += this.ids[at] !== this.others[at]; }
    return known ? other / known : null;
  }

  // The length of the boundary, in units of the inputs.
  get boundaryLength() {
    const [[a, b], [, c]] = this.gram ?? [[1, 0], [0, 1]];
    return this.boundary.reduce((sum, { ends: [p, q] }) => { const x = q[0] - p[0], y = q[1] - p[1]; return sum + Math.sqrt(a * x * x + 2 * b * x * y + c * y * y); }, 0);
  }

  draw({ edges = true, boundary = true, marks = [] } = {}) {
    const context = this.canvas.getContext("2d"), { view } = this;
    if (this.color === "differs") this.paintDifference();
    context.putImageData(this.image, 0, 0);
    if (edges) {
      context.beginPath();
      for (const { starts, corners } of this.blocks) for (let c = 0; c + 1 < starts.length; c++) {
        for (let i = starts[c]; i < starts[c + 1]; i++) context[i === starts[c] ? "moveTo" : "lineTo"](view.x(corners[2 * i]), view.y(corners[2 * i + 1]));
        context.closePath();
      }
      const cells = this.blocks.reduce((sum, block) => sum + block.starts.length - 1, 0);
      context.strokeStyle = `rgba(20,30,40,${cells > 5000 ? 0.25 : 0.5})`;
      context.lineWidth = cells > 2000 ? 0.5 : 1;
      context.stroke();
    }
    if (boundary) {
      for (const [style, size] of [["#fff", 5], ["#000", 2.5]]) {
        context.beginPath();
        for (const { ends: [p, q] } of this.boundary) { context.moveTo(view.x(p[0]), view.y(p[1])); context.lineTo(view.x(q[0]), view.y(q[1])); }
        context.strokeStyle = style; context.lineWidth = size; context.lineCap = "round";
        context.stroke();
      }
    }
    context.font = "600 14px sans-serif";
    for (const { name, t } of marks) {
      const x = view.x(t[0]), y = view.y(t[1]);
      context.beginPath(); context.arc(x, y, 5, 0, 7);
      context.fillStyle = "#fff"; context.fill(); context.lineWidth = 2; context.strokeStyle = "#000"; context.stroke();
      context.lineWidth = 4; context.strokeStyle = "#fff"; context.strokeText(name, x + 9, y - 6); context.fillStyle = "#000"; context.fillText(name, x + 9, y - 6);
    }
  }
}

// The label of a cell that has only one: that of all corners; −1 for none.
function oneLabel(block, c) {
  let label = -1;
  for (let i = block.starts[c]; i < block.starts[c + 1]; i++) {
    const [here] = topTwo(scoresAt(block, c, [block.corners[2 * i], block.corners[2 * i + 1]]));
    if (label >= 0 && here !== label) return -1;
    label = here;
  }
  return label;
}

export function centerOf({ starts, corners }, c) {
  const n = starts[c + 1] - starts[c], t = [0, 0];
  for (let i = starts[c]; i < starts[c + 1]; i++) { t[0] += corners[2 * i] / n; t[1] += corners[2 * i + 1] / n; }
  return t;
}
