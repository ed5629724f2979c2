// The view Comparison: curves of agreement and accuracy by decomposition and by layer, beside the scatter of angles and
// distances. A rectangle over the scatter lists its test points.

import { ask, unpack } from "./api.js";
import { go, here, onAddress } from "./address.js";
import { axis, svgToCanvas } from "./chart.js";
import { choice, count, h, number, outputChoice, percent, svg } from "./dom.js";
import { exportButtons } from "./exports.js";
import { term } from "./glossary.js";
import { thumbnail } from "./pictures.js";
import { renew } from "./press.js";

const WIDTH = innerWidth < 700 ? 400 : 560, HEIGHT = 330, BOX = [52, WIDTH - 15, 14, 280];
const METHODS = ["calibrated", "minimal", "paper"];
const BLUE = "#2166ac", ORANGE = "#b35806", GRAY = "#777777";

export function showComparison(main, app) {
  const { about } = app;
  if (!about.data) {
    main.replaceChildren(h("section", { class: "start" }, h("h2", {}, "No data"), h("p", {}, "Comparisons are made on data: start the command with ", h("code", {}, "--data DATA"), ".")));
    return null;
  }
  const controls = h("div", { class: "filters" }), table = h("div", { class: "agreement-table" }), layers = h("section", { "aria-label": "By layer" }), cloud = h("section", { "aria-label": "Angles and distances" }), list = h("section", { "aria-label": "Chosen test points" }), models = h("section", { "aria-label": "Models" });
  main.replaceChildren(controls, table, h("div", { class: "charts" }, layers, cloud), list, models);
  const method = () => here().method ?? app.status.first_method, values = about.task === "regression", output = () => (values ? here().output ?? "0" : undefined);
  let run = null, drawn = "", known = "";

  const compute = (name) => h("button", { type: "button", class: "quiet", onclick: () => ask("extract", { method: name }, { method: "POST" }).then(app.poll).catch(app.fail) }, "Compute");

  const fill = (...parts) => renew(table, () => table.replaceChildren(...parts));

  function showErrors(found) {
    fill(h("h2", {}, "Decompositions: N^(X) against N"), h("table", { class: "agreement" },
      h("thead", {}, h("tr", {}, ["", "output", "mean |N − N^(X)|", "largest", "R²", "test points"].map((name) => h("th", {}, name)))),
      h("tbody", {}, METHODS.flatMap((name) => {
        const rows = found.rows.filter((row) => row.method === name);
        if (!rows.length) return [h("tr", {}, h("th", { scope: "row" }, name), h("td", { colspan: 5 }, compute(name)))];
        return rows.map((row) => h("tr", { class: name === method() ? "active" : "" }, h("th", { scope: "row" }, name), [about.class_names[row.output], number(row.mean_absolute), number(row.largest), number(row.r2, 6), count(row.points)].map((text) => h("td", {}, text))));
      }))), exportButtons("decompositions", { csv: () => found.rows, python: () => found.python }));
  }

  async function showTable() {
    const found = await ask("agreement");
    const text = JSON.stringify(found.rows);
    if (text === known) return;
    known = text;
    if (values) { showErrors(found); return; }
    const cell = (value) => h("td", {}, value === null || value === undefined ? "–" : percent(value));
    fill(h("h2", {}, "Decompositions"), h("table", { class: "agreement" },
      h("thead", {}, h("tr", {}, ["", "N^(X) = N", ...(about.labelled ? ["N^(X) = true", "N = true"] : []), "median margin", "test points"].map((name) => h("th", {}, name)))),
      h("tbody", {}, METHODS.map((name) => {
        const row = found.rows.find((one) => one.method === name);
        if (!row) return h("tr", {}, h("th", { scope: "row" }, name), h("td", { colspan: 5 }, compute(name)));
        return h("tr", { class: name === method() ? "active" : "" }, h("th", { scope: "row" }, name), cell(row.network_extracted), about.labelled ? [cell(row.extracted_true), cell(found.network_true)] : "", h("td", {}, number(row.margin)), h("td", {}, count(row.points)));
      }))), exportButtons("decompositions", { csv: () => found.rows, python: () => found.python }));
  }

  async function show() {
    const wanted = method(), all = `${wanted} ${output()}`;
    if (all === drawn) return brushFromAddress();
    drawn = all;
    known = "";
    controls.replaceChildren(choice("method", METHODS.map((name) => [name, name]), wanted, (value) => go({ method: value, brush: "" }), term("DC decomposition", "Decomposition")), values ? outputChoice(about, output(), (value) => go({ output: value, brush: "" })) : "");
    run?.abort();
    const { signal } = run = new AbortController();
    showTable().catch(app.fail);
    layers.replaceChildren(h("h2", {}, "Layers merged"), h("p", { class: "muted" }, "Waiting …"));
    cloud.replaceChildren(h("h2", {}, "Terms and the network"), h("p", { class: "muted" }, "Waiting …"));
    const waiting = (place) => (what) => { place.lastChild.textContent = `Waiting: ${what} …`; };
    const failed = (place) => (error) => { if (!signal.aborted) { place.lastChild.textContent = error.message; } };
    await Promise.all([
      ask("scatter", { method: wanted, output: output() }, { signal, waiting: waiting(cloud) }).then(drawCloud).catch(failed(cloud)),
      values ? null : drawModels(wanted, signal),
      values ? layers.replaceChildren() : ask("layers", { method: wanted }, { signal, waiting: waiting(layers) }).then(drawLayers).catch(failed(layers)),
    ]);
  }

  // The opened network (a) beside each other model or epoch (b).
  async function drawModels(wanted, signal) {
    if (!about.others.length) return;
    models.replaceChildren(h("h2", {}, "Models and epochs"), h("p", { class: "muted" }, "Waiting …"));
    try {
      const found = [];
      for (const other of about.others.keys()) found.push(await ask("models", { method: wanted, other }, { signal, waiting: (what) => { models.lastChild.textContent = `Waiting: ${what} …`; } }));
      const names = Object.keys(found[0].numbers).filter((name) => found.some((one) => one.numbers[name] !== null)), share = (name) => name.includes("=") || name.startsWith("same");
      models.replaceChildren(h("h2", {}, "Models and epochs"), h("p", { class: "muted" }, `a is ${about.model.split("/").pop()}, b the model of the column.`),
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Models" }, h("table", { class: "models" }, h("thead", {}, h("tr", {}, h("th", {}, ""), found.map((one) => h("th", {}, one.other.split("/").pop())))),
          h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, name), found.map((one) => { const v = one.numbers[name]; return h("td", {}, v === null ? "–" : share(name) ? percent(v) : number(v)); })))))),
        exportButtons("models", { csv: () => names.map((name) => ({ number: name, ...Object.fromEntries(found.map((one) => [one.other, one.numbers[name]])) })) }));
    } catch (error) { if (!signal.aborted) models.lastChild.textContent = error.message; }
  }

  function drawLayers(found) {
    const rows = found.rows, x = (i) => BOX[0] + 16 + (i / Math.max(1, rows.length - 1)) * (BOX[1] - BOX[0] - 32);
    const values = rows.flatMap((row) => [row.agreement, row.accuracy]).filter((v) => v !== null), low = Math.max(0, Math.min(...values) - 0.03);
    const y = (v) => BOX[3] - ((v - low) / (1 - low || 1)) * (BOX[3] - BOX[2]);
    const line = (key, color, dash) => rows[0][key] === null ? [] : [svg("polyline", { fill: "none", stroke: color, "stroke-width": 2, "stroke-dasharray": dash, points: rows.map((row, i) => `${x(i)},${y(row[key])}`).join(" ") }),
      rows.map((row, i) => svg("circle", { cx: x(i), cy: y(row[key]), r: 4, fill: color }, svg("title", {}, `${row.layer || "the network"}: ${percent(row[key])}`)))];
    const chart = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Agreement and accuracy by merged layers" },
      svg("path", { class: "axis", d: `M${BOX[0]},${BOX[2]}V${BOX[3]}H${BOX[1]}`, fill: "none", stroke: "currentColor" }),
      [low, (1 + low) / 2, 1].map((v) => [svg("text", { x: BOX[0] - 6, y: y(v) + 4, "text-anchor": "end" }, percent(v)), svg("line", { x1: BOX[0], x2: BOX[1], y1: y(v), y2: y(v), stroke: "currentColor", "stroke-opacity": 0.12 })]),
      rows.map((row, i) => svg("text", { x: x(i), y: BOX[3] + 16, "text-anchor": "middle" }, row.layer || "N")),
      svg("text", { x: (BOX[0] + BOX[1]) / 2, y: HEIGHT - 12, "text-anchor": "middle" }, "layer that was merged last, from the output on"), line("agreement", BLUE), line("accuracy", ORANGE, "6 4"));
    layers.replaceChildren(h("h2", {}, "Layers merged"), h("p", { class: "row muted" }, h("span", {}, swatch(BLUE), "agreement with N (fidelity)"), rows[0].accuracy === null ? "" : h("span", {}, swatch(ORANGE), "accuracy")), chart,
      exportButtons("layers", { png: () => svgToCanvas(chart), csv: () => rows, python: () => found.python }));
  }

  const swatch = (color) => h("span", { class: "swatch", style: { background: color } });
  let shown = null;

  function drawCloud(found) {
    const points = found.points.map((point, i) => ({ point, angle: found.angle[i], distance: found.distance[i], same: found.same[i], right: found.right?.[i] ?? null })).filter((p) => typeof p.angle === "number");
    const most = Math.max(...points.map((p) => p.distance), 1e-9) * 1.05, wide = Math.min(180, Math.max(...points.map((p) => p.angle), 1) * 1.05);
    const x = (v) => BOX[0] + (v / wide) * (BOX[1] - BOX[0]), y = (v) => BOX[3] - (v / most) * (BOX[3] - BOX[2]);
    const color = (p) => (p.right === null ? (p.same ? BLUE : ORANGE) : p.right ? BLUE : ORANGE);
    const brush = svg("rect", { class: "brush", visibility: "hidden" });
    const chart = svg("svg", { class: "chart cloud", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "application", "aria-label": "Angle and distance of each test point's active term: drag a rectangle to list its points" }, axis(x, y, [0, wide], [0, most], BOX.slice(0, 2), BOX.slice(2)),
      svg("text", { x: (BOX[0] + BOX[1]) / 2, y: HEIGHT - 12, "text-anchor": "middle" }, "angle between the coefficients, degrees"), svg("text", { x: BOX[0] + 6, y: BOX[2] + 8 }, "distance of the coefficients"),
      points.map((p) => svg("circle", { cx: x(p.angle).toFixed(1), cy: y(p.distance).toFixed(1), r: p.same ? 3 : 4.5, fill: color(p), "fill-opacity": 0.55, stroke: p.same ? "none" : "#111", "data-point": p.point }, svg("title", {}, `point ${p.point}: ${number(p.angle, 3)}°, ${number(p.distance, 3)}`))), brush);
    shown = { points, x, y, brush, wide, most };
    const at = (event) => { const box = chart.getBoundingClientRect(); return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT]; };
    let from = null;
    const corners = (p, q) => [Math.min(p[0], q[0]), Math.max(p[0], q[0]), Math.max(p[1], q[1]), Math.min(p[1], q[1])].map((v, i) => (i < 2 ? ((v - BOX[0]) / (BOX[1] - BOX[0])) * wide : ((BOX[3] - v) / (BOX[3] - BOX[2])) * most));
    chart.addEventListener("pointerdown", (event) => { from = at(event); chart.setPointerCapture(event.pointerId); event.preventDefault(); });
    chart.addEventListener("pointermove", (event) => { if (from) place(corners(from, at(event))); });
    chart.addEventListener("pointerup", (event) => {
      if (!from) return;
      const range = corners(from, at(event));
      from = null;
      go({ brush: range.map((v) => Number(v.toPrecision(4))).join(",") }, { replace: true });
    });
    const labels = values ? [] : about.labelled ? [[BLUE, "N^(X) is right"], [ORANGE, "N^(X) is wrong"]] : [[BLUE, "N^(X) = N"], [ORANGE, "N^(X) ≠ N"]];
    if (!found.complete) setTimeout(() => { if (live() && !run.signal.aborted) ask("scatter", { method: method(), output: output() }, { signal: run.signal }).then(drawCloud).catch(() => {}); }, 4000);
    cloud.replaceChildren(h("h2", {}, "Terms and the network"), h("p", { class: "row muted" }, labels.map(([c, text]) => h("span", {}, swatch(c), text)), values ? "" : h("span", {}, "large with a rim: N^(X) ≠ N"), h("span", {}, "drag a rectangle to list points")), chart,
      exportButtons(`scatter-${method()}`, { png: () => svgToCanvas(chart), csv: () => points, python: () => found.python }));
    return brushFromAddress();
  }

  function place([a0, a1, d0, d1]) {
    const { x, y, brush } = shown;
    for (const [name, v] of [["x", x(a0)], ["width", x(a1) - x(a0)], ["y", y(d1)], ["height", y(d0) - y(d1)], ["visibility", "visible"]]) brush.setAttribute(name, v);
  }

  async function brushFromAddress() {
    if (!shown) return;
    const range = (here().brush ?? "").split(",").map(Number);
    if (range.length !== 4) { list.replaceChildren(); shown.brush.setAttribute("visibility", "hidden"); return; }
    place(range);
    const [a0, a1, d0, d1] = range, chosen = shown.points.filter((p) => p.angle >= a0 && p.angle <= a1 && p.distance >= d0 && p.distance <= d1), some = chosen.slice(0, 120);
    const pictures = some.length ? unpack((await ask("images", { of: "test", points: some.map((p) => p.point).join(",") })).points) : null;
    list.replaceChildren(h("h2", {}, `${count(chosen.length)} test points in the rectangle`), h("div", { class: "grid" }, some.map((p, i) => h("button", { type: "button", class: `tile${p.right === false ? " wrong" : ""}${p.same ? "" : " differs"}`, "data-point": p.point, "aria-label": `test point ${p.point}`, onclick: () => go({ view: "decisions", point: p.point, method: method() }, { fresh: true }) }, thumbnail(pictures.row(i), about, ""), h("span", { class: "labels" }, String(p.point))))),
      chosen.length > some.length ? h("p", { class: "muted" }, `The first ${some.length} are shown.`) : "");
  }

  const live = () => main.contains(table) && here().view === "comparison";
  const update = () => { if (live()) show().catch(app.fail); };
  const stop = onAddress(update);
  const onStatus = () => { if (live()) showTable().catch(app.fail); };
  document.addEventListener("status", onStatus);
  update();
  return () => { stop(); document.removeEventListener("status", onStatus); run?.abort(); };
}
