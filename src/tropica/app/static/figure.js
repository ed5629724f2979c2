// The picture of a decision that is saved: test point, deciding point, nearest point and the coefficients, with their captions.

import { number } from "./dom.js";
import { coefficientPicture, thumbnail } from "./pictures.js";

const SIZE = 150, GAP = 18, HEAD = 56;

export function figure(about, found, { x, own, coefficients, training, scale }) {
  const name = (label) => about.class_names[label];
  const last = found.terms.length;
  const cells = [
    [thumbnail(x, about, ""), "test point", found.true === null ? "" : `true ${name(found.true)}`],
    [thumbnail(training.row(0), about, ""), `training point ${found.terms[0].term}`, `decides: ${name(found.terms[0].label)}`],
    [thumbnail(training.row(last), about, ""), `nearest: ${found.nearest.term}`, `distance ${number(found.nearest.distance, 3)}`],
    [coefficientPicture(own, about, scale, ""), "coefficients of N", `± ${number(scale, 3)}`],
    ...coefficients.map((row, i) => [coefficientPicture(row, about, scale, ""), i ? `runner-up ${i}: ${name(found.terms[i].label)}` : `active term: ${name(found.terms[0].label)}`,
      i ? `behind ${number(found.terms[i].behind, 3)}` : `angle ${number(found.terms[0].angle, 3)}°`]),
  ];
  const canvas = document.createElement("canvas"), ratio = 2, columns = Math.min(cells.length, 5), lines = Math.ceil(cells.length / columns);
  const width = columns * (SIZE + GAP) + GAP, height = HEAD + lines * (SIZE + 56);
  canvas.width = width * ratio; canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = "#fff"; context.fillRect(0, 0, width, height);
  context.fillStyle = "#111"; context.font = "600 15px sans-serif";
  const said = about.task === "regression" ? `N gives ${number(found.logits[found.network], 6)}, N^(X) ${number(found.values[found.network], 6)} at ${name(found.network)}` : `N says ${name(found.network)}, N^(X) says ${name(found.extracted)}`;
  context.fillText(`test point ${found.point}: ${said}, margin ${number(found.margin)} (${found.method})`, GAP, 32, width - 2 * GAP);
  context.imageSmoothingEnabled = false;
  cells.forEach(([picture, title, text], i) => {
    const left = GAP + (i % columns) * (SIZE + GAP), top = HEAD + Math.floor(i / columns) * (SIZE + 56);
    const shrink = SIZE / Math.max(picture.width, picture.height);
    context.drawImage(picture, left, top, picture.width * shrink, picture.height * shrink);
    context.font = "600 12px sans-serif"; context.fillText(title, left, top + SIZE + 16, SIZE);
    context.font = "12px sans-serif"; context.fillText(text, left, top + SIZE + 32, SIZE);
  });
  return canvas;
}
