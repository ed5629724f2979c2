// The view Planes: exact cells of the part of a plane that is in view, and a segment between two points.

import { ask, stream, unpack } from "./api.js";
import { go, here, onAddress } from "./address.js";
import { choice, count, debounce, h, outputChoice, percent } from "./dom.js";
import { exportButtons } from "./exports.js";
import { gestures } from "./gestures.js";
import { term } from "./glossary.js";
import { COLORS, Picture, VALUE_COLORS, slopeOf } from "./picture.js";
import { cellAt, scoresAt, topTwo } from "./raster.js";
import { legend, Readout, summary } from "./readout.js";
import { pointsForm } from "./points_form.js";
import { renew } from "./press.js";

export function showPlanes(main, app) {
  const { about } = app;
  const canvas = h("canvas", { id: "plane", tabindex: 0, role: "application", "aria-label": "Cells of the plane: drag or arrow keys move, wheel, two fingers or + and − zoom, 0 shows the whole" });
  const state = h("p", { class: "muted", role: "status", id: "plane-state" }), facts = h("div", { id: "plane-facts" }), key = h("div", { class: "row key" });
  const readout = new Readout(about, () => ({ ...spec(), low: low.join(","), high: high.join(","), method: method(), output: output() }), "at");
  const controls = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }), buttons = h("div", {});
  main.replaceChildren(h("div", { class: "planes" }, h("section", { class: "controls", "aria-label": "What is shown" }, controls, facts), h("section", { class: "stage" }, canvas, key, state, buttons), h("section", { class: "readout", "aria-label": "Under the pointer" }, readout.element)));
  const picture = new Picture(canvas);
  let plane = null, low = [0, 0], high = [1, 1], run = null, drawn = "", formed = "";
  const method = () => here().method ?? app.status.first_method, values = about.task === "regression", output = () => (values ? Number(here().output ?? 0) : undefined);
  const colors = values ? VALUE_COLORS : COLORS.filter(([name]) => name !== "differs" || about.data);
  const chosen = () => (colors.some(([name]) => name === here().color) ? here().color : colors[0][0]);
  const spec = () => { const { points, center, directions } = here(); return { points, center, directions }; };
  const ready = () => { const { points, center } = here(); return points || center || about.input_shape.reduce((a, b) => a * b, 1) === 2; };

  function showControls() {
    const { level = "" } = here(), color = chosen();
    const known = JSON.stringify([here().points, here().center, here().directions, color, level, output(), plane?.levels]);
    if (known === formed) return;
    formed = known;
    renew(controls, () => makeControls(color, level));
  }

  function makeControls(color, level) {
    const zoom = (factor) => move(0, 0, factor);
    controls.replaceChildren(
      pointsForm(about, 3, (changes) => go({ ...changes, low: "", high: "" })),
      values && about.outputs > 1 ? outputChoice(about, output(), (value) => go({ output: value }, { replace: true })) : "",
      choice("color", colors, color, (value) => go({ color: value }, { replace: true }), "Color by"),
      plane && plane.levels.length ? h("label", {}, "Up to layer", h("select", { name: "level", onchange: (event) => go({ level: event.target.value }, { replace: true }) },
        [...plane.levels.slice(0, -1).map((name, i) => [String(i), name]), ["", "all layers"]].map(([value, name]) => h("option", { value, selected: value === level }, name)))) : "",
      h("div", { class: "row" }, [["+", "Zoom in", () => zoom(0.5)], ["−", "Zoom out", () => zoom(2)], ["⟲", "The whole", () => go({ low: "", high: "" }, { replace: true })]].map(([text, title, work]) =>
        h("button", { type: "button", title, "aria-label": title, onclick: work }, text)),
        run ? h("button", { type: "button", class: "quiet", onclick: () => run?.abort() }, "Stop") : ""));
  }

  async function show() {
    const { level = "" } = here(), color = chosen();
    if (!ready() && about.data && about.test_points > 2) return go({ points: "test:0,test:1,test:2" }, { replace: true });  // something to look at first
    if (!ready()) {
      state.textContent = "Choose points: three of the data, or a center and two directions.";
      showControls();
      return;
    }
    const wanted = JSON.stringify([spec(), here().low, here().high, color, level, method(), output(), canvas.clientWidth]);
    if (wanted === drawn) return;
    drawn = wanted;
    run?.abort();
    const mine = run = new AbortController(), { signal } = mine, start = performance.now();
    try {
      const place = { ...spec(), low: here().low, high: here().high };
      plane = await ask("plane", place, { signal });
      [low, high] = [plane.low, plane.high];
      readout.place(plane);
      const side = Math.max(240, Math.min(canvas.parentElement.clientWidth, innerHeight - 190)), ratio = Math.min(2, devicePixelRatio);
      Object.assign(canvas.style, { width: `${side}px`, height: `${side}px` });
      canvas.width = canvas.height = Math.round(side * ratio);
      picture.begin(low, high, color, plane.metric, output() ?? null);
      picture.gram = plane.gram;
      showControls();
      const window = { ...spec(), low: low.join(","), high: high.join(","), output: output() };
      const underlay = await ask("sample", window, { signal });
      picture.underlay({ side: underlay.side, label: unpack(underlay.label), margin: unpack(underlay.margin) });
      draw();
      state.textContent = "Finding the cells … What is pale is sampled until they are there.";
      key.replaceChildren(...legend(about, color, picture));
      await showCells({ ...window, level }, signal, start);
      if (color === "differs") await showTerms(window, signal);
      finish(window, signal);
    } catch (error) {
      if (signal.aborted) { if (mine === run) { state.textContent = "Stopped."; run = null; drawn = ""; } return; }
      state.textContent = error.message;
      app.fail(error);
    }
    if (mine === run) { run = null; formed = ""; showControls(); }
  }

  async function showCells(window, signal, start) {
    let level = -1, found = 0, first = null, painted = 0;
    for await (const part of stream("cells", window, { signal })) {
      if (part.error) throw new Error(part.error);
      if (part.corners) {
        if (part.level !== level) { picture.level(); level = part.level; found = 0; }
        const block = { starts: unpack(part.starts).values, corners: unpack(part.corners).values };
        if (part.maps) { const maps = unpack(part.maps); Object.assign(block, { maps: maps.values, outputs: maps.shape[1] }); }
        picture.add(block);
        found += block.starts.length - 1;
        first ??= performance.now() - start;
        if (performance.now() - painted > 120 || part.level === plane.levels.length && found < 600) { draw(); painted = performance.now(); }
        state.textContent = `${layerName(level)}: ${count(found)} cells …`;
      }
      if (part.done) {
        draw();
        const time = `first after ${Math.round(first ?? 0)} ms, all after ${Math.round(performance.now() - start)} ms`;
        state.textContent = part.complete ? `${count(part.cells)} cells in view, all of them, exact (${layerName(part.level)}; ${time}).`
          : `The first ${count(part.cells)} cells in view (${layerName(part.level)}; ${time}). Zoom in for the rest; what is pale is sampled.`;
        canvas.dataset.cells = part.cells; canvas.dataset.level = part.level; canvas.dataset.complete = part.complete;
      }
    }
  }

  const layerName = (level) => (level >= plane.levels.length ? "all layers" : `up to ${plane.levels[level]}`);

  async function showTerms(window, signal) {
    const terms = await ask("terms", { ...window, method: method() }, { signal, waiting: (what) => { state.textContent = `Waiting: ${what} …`; } });
    picture.compare({ starts: unpack(terms.starts).values, corners: unpack(terms.corners).values, labels: terms.labels });
    draw();
    state.append(` N ≠ N^(X) on ${percent(picture.different ?? 0)} of it; ${count(new Set(terms.terms).size)} terms are active in view.`);
  }

  function finish(window) {
    canvas.dataset.boundary = picture.boundaryLength;
    canvas.dataset.view = window.low + "," + window.high;
    const counted = h("button", { type: "button", class: "quiet", onclick: async (event) => {
      event.target.disabled = true;
      try { facts.replaceChildren(summary(await ask("counts", window))); } catch (error) { app.fail(error); }
    } }, "Count regions and maps");
    renew(facts, () => facts.replaceChildren(counted, plane.axes ? h("p", { class: "muted" }, `→ ${plane.axes[0]}, ↑ ${plane.axes[1]}`) : ""));
    renew(buttons, () => buttons.replaceChildren(exportButtons("plane", {
      png: () => canvas, python: () => plane.python,
      csv: () => picture.blocks.flatMap((block, b) => Array.from({ length: block.starts.length - 1 }, (_, c) => cellRow(block, b, c))),
    })));
    key.replaceChildren(...legend(about, chosen(), picture));
  }

  function cellRow(block, b, c) {
    const t = [0, 1].map((k) => { let sum = 0; for (let i = block.starts[c]; i < block.starts[c + 1]; i++) sum += block.corners[2 * i + k]; return sum / (block.starts[c + 1] - block.starts[c]); });
    const row = { block: b, cell: c, t0: t[0], t1: t[1], corners: block.starts[c + 1] - block.starts[c] };
    if (!block.maps) return row;
    const scores = scoresAt(block, c, t), [label] = topTwo(scores);
    return { ...row, ...(values ? {} : { label: about.class_names[label] }), slope: slopeOf(block, c, output() ?? label, plane.metric), ...Object.fromEntries(scores.map((v, k) => [`score_${k}`, v])) };
  }

  const draw = () => picture.draw({ edges: true, boundary: true, marks: plane.marks });

  // ── pan and zoom ──
  const settle = debounce(() => go({ low: low.join(","), high: high.join(",") }, { replace: true }), 220);

  function move(dx, dy, factor, at = null) {
    if (!plane) return;
    const size = [high[0] - low[0], high[1] - low[1]], fixed = at ?? [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
    const next = [0, 1].map((k) => fixed[k] + (low[k] - fixed[k]) * factor + [dx, dy][k] * size[k] * factor);
    const far = [0, 1].map((k) => next[k] + size[k] * factor);
    preview(next, far);
    [low, high] = [next, far];
    run?.abort();
    settle();
  }

  // What is drawn, moved, until the cells of the new view are there.
  function preview(next, far) {
    const copy = h("canvas", {}), { width, height } = canvas;
    copy.width = width; copy.height = height;
    copy.getContext("2d").drawImage(canvas, 0, 0);
    const sx = width / (far[0] - next[0]), sy = height / (far[1] - next[1]);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(copy, (low[0] - next[0]) * sx, height - (high[1] - next[1]) * sy, (high[0] - low[0]) * sx, (high[1] - low[1]) * sy);
  }

  function where(event) {
    const box = canvas.getBoundingClientRect();
    return [low[0] + ((event.clientX - box.left) / box.width) * (high[0] - low[0]), high[1] - ((event.clientY - box.top) / box.height) * (high[1] - low[1])];
  }

  gestures(canvas, { where, move, point: (event) => { if (plane) point(where(event)); } });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.2, 0, 1], ArrowRight: [0.2, 0, 1], ArrowUp: [0, 0.2, 1], ArrowDown: [0, -0.2, 1], "+": [0, 0, 0.5], "=": [0, 0, 0.5], "-": [0, 0, 2] }[event.key];
    if (event.key === "0") go({ low: "", high: "" }, { replace: true });
    if (event.key === "Enter") point([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2]);
    if (step) { event.preventDefault(); move(...step); }
  });

  function point(t) {
    let scores = null;
    for (const block of picture.blocks ?? []) {
      if (!block.maps) continue;
      const cell = cellAt(block, t);
      if (cell >= 0) { scores = scoresAt(block, cell, t); break; }
    }
    readout.show(t, scores);
  }

  const live = () => main.contains(canvas);
  const update = () => { if (live() && here().view === "planes") { showControls(); show(); } };
  const resize = debounce(update, 300);
  addEventListener("resize", resize);
  const stop = onAddress(update);
  update();
  return () => { stop(); removeEventListener("resize", resize); run?.abort(); };
}
