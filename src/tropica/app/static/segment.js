// The view Segments: the outputs along a segment, every breakpoint and every change of the label.

import { ask, unpack } from "./api.js";
import { go, here, onAddress } from "./address.js";
import { count, h, number, svg } from "./dom.js";
import { exportButtons } from "./exports.js";
import { term } from "./glossary.js";
import { labelColor, rgb } from "./colors.js";
import { axis, svgToCanvas } from "./chart.js";
import { pointsForm } from "./points_form.js";
import { Readout } from "./readout.js";

const NARROW = innerWidth < 700, WIDTH = NARROW ? 430 : 860, HEIGHT = NARROW ? 330 : 380, LEFT = 56, RIGHT = 16, TOP = 14, BOTTOM = 84;

export function showSegment(main, app) {
  const { about } = app;
  const stage = h("section", { class: "stage" }), controls = h("section", { class: "controls", "aria-label": "What is shown" });
  const method = () => here().method ?? app.status.first_method, values = about.task === "regression";
  const readout = new Readout(about, () => ({ points: here().points, method: method() }), "at_segment");
  main.replaceChildren(h("div", { class: "planes" }, controls, stage, h("section", { class: "readout", "aria-label": "Under the pointer" }, readout.element)));
  let run = null, drawn = "";

  async function show() {
    const { points = "" } = here();
    if (!points && about.data && about.test_points > 1) return go({ points: "test:0,test:1" }, { replace: true });
    if (points === drawn) return;
    drawn = points;
    controls.replaceChildren(pointsForm(about, 2, (changes) => go({ points: changes.points })));
    if (!points) { stage.replaceChildren(h("p", { class: "hint" }, "Choose two points. The outputs of the network are straight lines between the breakpoints.")); return; }
    run?.abort();
    const { signal } = run = new AbortController();
    stage.replaceChildren(h("p", { class: "muted" }, "Finding all breakpoints …"));
    try {
      const found = await ask("segment", { points }, { signal });
      const t = unpack(found.t).values, scores = unpack(found.scores), ends = unpack(found.ends);
      readout.place({ origin: rowOf(ends, 0), basis: difference(ends) });
      const chart = draw(found, t, scores);
      stage.replaceChildren(h("p", { role: "status" }, `${count(found.cells)} `, term("cell", "cells"), ` and ${count(found.regions)} `, term("linear region", "linear regions"), ` on a length of ${number(found.length)}${values ? "" : `; the label changes ${count(found.changes.t.length)} time${found.changes.t.length === 1 ? "" : "s"}`}. `, found.certified ? ["The breakpoints are ", term("certified"), "."] : "Not certified."),
        chart, key(t, scores),
        values ? "" : changes(found),
        exportButtons("segment", { png: () => svgToCanvas(chart), csv: () => [...t].map((v, i) => ({ t: v, ...Object.fromEntries([...scores.row(i)].map((s, k) => [`score_${k}`, s])) })), python: () => found.python }));
    } catch (error) { if (!signal.aborted) { stage.replaceChildren(h("p", { class: "error" }, error.message)); app.fail(error); } }
  }

  const rowOf = (ends, i) => pack(ends.row(i));
  const difference = (ends) => pack(ends.row(1).map((v, i) => v - ends.row(0)[i]));
  const pack = (values) => ({ dtype: "float64", shape: [values.length], data: btoa(String.fromCharCode(...new Uint8Array(new Float64Array(values).buffer))) });

  // The outputs with the largest values somewhere; the others would only be lines at the bottom.
  function shownOutputs(t, scores) {
    const most = scores.shape[1];
    if (most <= 10) return [...Array(most).keys()];
    const best = Array.from({ length: most }, (_, k) => { let top = -Infinity; for (let i = 0; i < t.length; i++) top = Math.max(top, scores.row(i)[k]); return [top, k]; });
    return best.sort((a, b) => b[0] - a[0]).slice(0, 10).map(([, k]) => k);
  }

  function draw(found, t, scores) {
    const outputs = shownOutputs(t, scores);
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < t.length; i++) for (const k of outputs) { low = Math.min(low, scores.row(i)[k]); high = Math.max(high, scores.row(i)[k]); }
    if (high === low) high = low + 1;
    const x = (value) => LEFT + value * (WIDTH - LEFT - RIGHT), y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const edges = [0, ...found.changes.t, 1], labels = [found.label, ...found.changes.labels.map((pair) => pair[1])];
    const bar = svg("line", { y1: TOP, y2: HEIGHT - BOTTOM + 40, stroke: "currentColor", "stroke-dasharray": "3 3", visibility: "hidden" });
    const chart = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "img", "aria-label": "Outputs along the segment; arrow keys move the place", "data-breakpoints": t.length - 2 },
      axis(x, y, [0, 1], [low, high], [LEFT, WIDTH - RIGHT], [TOP, HEIGHT - BOTTOM]),
      svg("text", { x: LEFT, y: HEIGHT - 6 }, found.names[0]), svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, found.names[1]),
      outputs.map((k) => svg("polyline", { fill: "none", stroke: rgb(labelColor(k)), "stroke-width": 2, points: [...t].map((v, i) => `${x(v).toFixed(2)},${y(scores.row(i)[k]).toFixed(2)}`).join(" ") })),
      svg("path", { d: [...t].map((v) => `M${x(v).toFixed(2)},${HEIGHT - BOTTOM + 18}v9`).join(""), stroke: "currentColor", "stroke-width": 0.6, fill: "none" }),
      (values ? [] : labels).map((label, i) => svg("rect", { x: x(edges[i]), width: Math.max(0.5, x(edges[i + 1]) - x(edges[i])), y: HEIGHT - BOTTOM + 30, height: 22, fill: rgb(labelColor(label)) })),
      (values ? [] : labels).map((label, i) => (x(edges[i + 1]) - x(edges[i]) > 24 ? svg("text", { x: (x(edges[i]) + x(edges[i + 1])) / 2, y: HEIGHT - BOTTOM + 46, "text-anchor": "middle", class: "on-color" }, about.class_names[label]) : null)), bar);
    let place = 0;
    const at = (value) => {
      place = Math.max(0, Math.min(1, value));
      for (const [name, v] of [["x1", x(place)], ["x2", x(place)], ["visibility", "visible"]]) bar.setAttribute(name, v);
      readout.show([place], between(t, scores, place));
    };
    chart.addEventListener("pointermove", (event) => { const box = chart.getBoundingClientRect(); at((((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT)); });
    chart.addEventListener("keydown", (event) => { const step = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key]; if (step) { event.preventDefault(); at(place + step); } });
    return chart;
  }

  function between(t, scores, place) {
    let i = 1;
    while (i < t.length - 1 && t[i] < place) i++;
    const part = (place - t[i - 1]) / (t[i] - t[i - 1] || 1), a = scores.row(i - 1), b = scores.row(i);
    return [...a].map((value, k) => value + part * (b[k] - value));
  }

  const key = (t, scores) => h("div", { class: "row key" }, shownOutputs(t, scores).sort((a, b) => a - b).map((k) => h("span", {}, h("span", { class: "swatch", style: { background: rgb(labelColor(k)) } }), about.class_names[k])),
    h("span", { class: "muted" }, values ? "marks below: breakpoints" : "marks below: breakpoints; band: the label"));

  function changes(found) {
    if (!found.changes.t.length) return h("p", { class: "muted" }, "The label is the same all along.");
    return h("table", {}, h("thead", {}, h("tr", {}, ["t", "from label", "to label"].map((text) => h("th", {}, text)))),
      h("tbody", {}, found.changes.t.slice(0, 30).map((value, i) => h("tr", {}, h("td", {}, number(value, 8)), found.changes.labels[i].map((label) => h("td", {}, about.class_names[label]))))));
  }

  const update = () => { if (main.contains(stage) && here().view === "segment") show(); };
  const stop = onAddress(update);
  update();
  return () => { stop(); run?.abort(); };
}
