// Pictures of points and of coefficients on canvases.

import { h } from "./dom.js";

// Blue below zero, orange above: told apart by all common kinds of color vision.
const NEGATIVE = [[247, 247, 247], [146, 197, 222], [33, 102, 172], [5, 48, 97]];
const POSITIVE = [[247, 247, 247], [253, 184, 99], [179, 88, 6], [127, 59, 8]];

export function divergingColor(value) {
  const table = value < 0 ? NEGATIVE : POSITIVE;
  const place = Math.min(1, Math.abs(value)) * (table.length - 1);
  const i = Math.min(table.length - 2, Math.floor(place)), part = place - i;
  return table[i].map((c, k) => Math.round(c + part * (table[i + 1][k] - c)));
}

function paint(canvas, height, width, color) {
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    const [r, g, b] = color(i);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// A point as it is; its numbers are channel by channel.
export function drawPoint(canvas, values, about) {
  const [height, width, channels] = about.picture, [low, high] = about.range, plane = height * width;
  const gray = (value) => Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low || 1))));
  return paint(canvas, height, width, (i) => [0, 1, 2].map((c) => gray(values[i + plane * (channels === 3 ? c : 0)])));
}

// Coefficients; of color pictures the sum over the channels. `scale` is the number that gets the full color.
export function drawCoefficients(canvas, values, about, scale) {
  const [height, width, channels] = about.picture, plane = height * width;
  return paint(canvas, height, width, (i) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += values[i + plane * c];
    return divergingColor(scale > 0 ? sum / scale : 0);
  });
}

// The largest |coefficient| that is drawn, over several rows: one scale for all of them.
export function commonScale(rows, about) {
  const channels = about.picture?.[2] ?? 1, plane = about.picture ? about.picture[0] * about.picture[1] : rows[0].length;
  let most = 0;
  for (const row of rows) for (let i = 0; i < plane; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += row[i + plane * c];
    most = Math.max(most, Math.abs(sum));
  }
  return most;
}

// A small drawing of any point: a picture, or its numbers as bars.
export function thumbnail(values, about, label) {
  const canvas = h("canvas", { class: "picture", role: "img", "aria-label": label });
  return about.picture ? drawPoint(canvas, values, about) : drawBars(canvas, values);
}

export function coefficientPicture(values, about, scale, label) {
  const canvas = h("canvas", { class: "picture", role: "img", "aria-label": label });
  return about.picture ? drawCoefficients(canvas, values, about, scale) : drawBars(canvas, values, scale);
}

export function drawBars(canvas, values, scale) {
  const width = Math.max(24, Math.min(160, values.length * 6)), height = 48;
  canvas.width = width; canvas.height = height;
  canvas.classList.add("bars");
  const context = canvas.getContext("2d");
  const most = scale ?? values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const step = width / values.length;
  for (let i = 0; i < values.length; i++) {
    const size = most > 0 ? (values[i] / most) * (height / 2 - 1) : 0;
    context.fillStyle = `rgb(${divergingColor(values[i] < 0 ? -0.66 : 0.66)})`;
    context.fillRect(i * step, size > 0 ? height / 2 - size : height / 2, Math.max(1, step - 1), Math.max(1, Math.abs(size)));
  }
  return canvas;
}
