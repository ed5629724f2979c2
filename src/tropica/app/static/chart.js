// Axes of charts, and charts as pictures.

import { number, svg } from "./dom.js";

// About `count` round numbers from low to high.
export function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}

export function axis(x, y, [x0, x1], [y0, y1], [left, right], [top, bottom]) {
  return svg("g", {},
    svg("path", { class: "axis", d: `M${left},${top}V${bottom}H${right}`, fill: "none", stroke: "currentColor" }),
    ticks(x0, x1).map((v) => svg("text", { x: x(v), y: bottom + 14, "text-anchor": "middle" }, number(v, 3))),
    ticks(y0, y1).map((v) => [svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, number(v, 3)), svg("line", { x1: left, x2: right, y1: y(v), y2: y(v), stroke: "currentColor", "stroke-opacity": 0.12 })]));
}

// Lines, polylines, boxes, circles and texts of an SVG on a canvas: what the policy allows without a picture of another address.
export function svgToCanvas(chart) {
  const [, , width, height] = chart.getAttribute("viewBox").split(" ").map(Number), canvas = document.createElement("canvas"), ratio = 2;
  canvas.width = width * ratio; canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = "#fff"; context.fillRect(0, 0, width, height);
  const value = (element, name) => Number(element.getAttribute(name));
  for (const element of chart.querySelectorAll("path, line, polyline, rect, circle, text")) {
    const style = getComputedStyle(element);
    if (style.visibility === "hidden" || style.display === "none") continue;
    const stroke = element.getAttribute("stroke") ?? "none", fill = element.getAttribute("fill");
    context.globalAlpha = Number(element.getAttribute("stroke-opacity") ?? element.getAttribute("fill-opacity") ?? 1);
    context.strokeStyle = stroke === "currentColor" ? "#333" : stroke; context.lineWidth = Number(element.getAttribute("stroke-width") ?? 1);
    context.fillStyle = fill ?? "#111";
    if (element.tagName === "text") {
      context.font = "12px sans-serif";
      context.textAlign = { middle: "center", end: "right" }[element.getAttribute("text-anchor")] ?? "left";
      context.fillText(element.textContent, value(element, "x"), value(element, "y"));
    } else if (element.tagName === "rect") context.fillRect(value(element, "x"), value(element, "y"), value(element, "width"), value(element, "height"));
    else {
      const path = element.tagName === "path" ? new Path2D(element.getAttribute("d")) : element.tagName === "line" ? new Path2D(`M${value(element, "x1")},${value(element, "y1")}L${value(element, "x2")},${value(element, "y2")}`)
        : element.tagName === "polyline" ? new Path2D(`M${element.getAttribute("points").replaceAll(" ", "L")}`) : disc(element, value);
      if (element.tagName === "circle") context.fill(path);
      if (stroke !== "none") context.stroke(path);
    }
  }
  return canvas;
}

function disc(element, value) {
  const path = new Path2D();
  path.arc(value(element, "cx"), value(element, "cy"), value(element, "r"), 0, 7);
  return path;
}
