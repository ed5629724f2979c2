// What decides one test point, and what one training point decides.

import { ask, unpack } from "./api.js";
import { go } from "./address.js";
import { count, h, number, percent } from "./dom.js";
import { exportButtons } from "./exports.js";
import { term } from "./glossary.js";
import { coefficientPicture, commonScale, drawBars, thumbnail } from "./pictures.js";
import { figure } from "./figure.js";

export async function showPoint({ about, point, output, method, signal, waiting }) {
  const found = await ask("explain", { point, method, output }, { signal, waiting });
  const name = (label) => about.class_names[label], of = (label) => (about.task === "regression" ? `for ${name(label)}` : `for label ${name(label)}`);
  const x = unpack(found.x).values, own = unpack(found.own).values, terms = unpack(found.coefficients), training = unpack(found.training);
  const coefficients = found.terms.map((_, i) => terms.row(i));
  const scale = commonScale([own, ...coefficients], about);
  const active = found.terms[0], nearest = found.nearest;
  const later = { cells: found.terms.map(() => h("td", {}, "…")), table: h("div", {}, h("p", { class: "muted" }, "…")) };
  const all = ask("shared", { point, method, output }, { signal }).then((more) => {
    Object.assign(found, more);
    later.table.replaceChildren(sharedTable(found));
    later.cells.forEach((cell, i) => { const row = more.shared[i] ?? []; cell.textContent = row.length ? percent(row.reduce((a, b) => a + b, 0) / row.length) : "–"; });
  });
  all.catch((error) => { later.table.textContent = error.message; });
  const exports = exportButtons(`point-${point}-${method}`, {
    png: () => figure(about, found, { x, own, coefficients, training, scale }),
    csv: async () => { await all; return rows(found, about); }, python: () => found.python,
  });
  return [
    h("h2", {}, `Test point ${found.point}`),
    found.note && h("p", { class: "error" }, found.note),
    h("p", { class: "verdict" }, about.task === "regression" ? valueVerdict(found, name) : verdict(found, name)),
    h("div", { class: "pair" },
      card("the test point", thumbnail(x, about, "the test point"), found.true === null ? "" : `true label ${name(found.true)}`),
      card("the deciding training point", thumbnail(training.row(0), about, "the deciding training point"), about.task === "regression" ? `number ${active.term}` : labelLine(active, name), () => go({ term: active.term, point: "" })),
      card("nearest training point", thumbnail(training.row(found.terms.length), about, "the nearest training point"),
        `${nearest.label === null ? "" : `label ${name(nearest.label)}, `}distance ${number(nearest.distance, 3)}`, () => go({ term: nearest.term, point: "" }))),
    h("p", { class: "row" }, "Look at them together:",
      h("button", { type: "button", class: "quiet", onclick: () => go({ view: "planes", points: planePoints(found) }, { fresh: true }) }, "the plane through these points"),
      h("button", { type: "button", class: "quiet", onclick: () => go({ view: "segment", points: `test:${found.point},training:${active.term}` }, { fresh: true }) }, "the segment to the deciding point")),
    exports,
    h("h3", {}, "Terms: the active one and the runners-up"),
    termTable(found, about, coefficients, training, scale, name, later.cells),
    h("h3", {}, "Coefficients on one scale"),
    scaleLine(scale),
    h("div", { class: "pair" },
      card("N at the test point", coefficientPicture(own, about, scale, "coefficients of N"), of(found.network)),
      coefficients.map((row, i) => card(i ? `runner-up ${i}` : "active term", coefficientPicture(row, about, scale, `coefficients of term ${i + 1}`), of(found.terms[i].label)))),
    about.picture ? null : featureTable(found, about, x, own, coefficients[0], training),
    h("h3", {}, "Outputs"), outputTable(found, about),
    h("h3", {}, "Shared activations, by layer"), later.table,
  ].filter(Boolean);
}

// Test point, deciding point and nearest point; the first runner-up where two of these are one.
function planePoints(found) {
  const [active, ...others] = found.terms, third = found.nearest.term !== active.term ? found.nearest.term : others[0]?.term ?? active.term;
  return `test:${found.point},training:${active.term},training:${third}`;
}

function valueVerdict(found, name) {
  const at = found.network;
  return [`At ${name(at)} `, h("b", {}, `N gives ${number(found.logits[at], 6)}`), ", ", term("extracted function N^(X)", "N^(X)"), h("b", {}, ` gives ${number(found.values[at], 6)}`),
    `; the runner-up is ${number(found.margin)} behind`];
}

function verdict(found, name) {
  const parts = [h("b", {}, `N says ${name(found.network)}`), ", ", term("extracted function N^(X)", "N^(X)"), h("b", {}, ` says ${name(found.extracted)}`),
    " by a ", term("margin", "margin"), ` of ${number(found.margin)}`];
  if (found.true !== null) parts.push(found.network === found.true ? h("span", { class: "good" }, " ✓ correct") : h("span", { class: "bad" }, ` ✗ it is ${name(found.true)}`));
  if (found.network !== found.extracted) parts.push(h("span", { class: "other" }, " ≠ N and N^(X) differ"));
  return parts;
}

function card(title, picture, text, onclick) {
  const inside = [picture, h("span", { class: "title" }, title), h("span", { class: "muted" }, text)];
  return onclick ? h("button", { type: "button", class: "card", onclick, title: "Show every test point that this training point decides" }, inside) : h("div", { class: "card" }, inside);
}

const labelLine = (row, name) => `number ${row.term}, label ${name(row.label)}${row.true_label !== null && row.true_label !== row.label ? ` (true ${name(row.true_label)})` : ""}`;

function termTable(found, about, coefficients, training, scale, name, shared) {
  const head = ["Training point", "Coefficients", about.task === "regression" ? "Of" : "Label", "Value", "Behind", "Angle", "Coefficients apart", "Points apart", "Shared"];
  const titles = ["", "", "The label that the network gives the training point: the one its term speaks for", "What N^(X) gives this label by this term", "The value of the active term less this one: at 0 the label would change",
    "Between these coefficients and those of N, in degrees", "Euclidean distance of the coefficients", "Euclidean distance of the points, in units of the inputs", "Share of units with the same active piece at both points, mean over the layers"];
  const body = found.terms.map((row, i) => {
    return h("tr", { class: i ? "" : "active" },
      h("td", {}, h("button", { type: "button", class: "point", title: "Show every test point that it decides", onclick: () => go({ term: row.term, point: "" }) }, thumbnail(training.row(i), about, `training point ${row.term}`), h("span", {}, row.term))),
      h("td", {}, coefficientPicture(coefficients[i], about, scale, "its coefficients")),
      h("td", {}, name(row.label), row.true_label !== null && row.true_label !== row.label ? h("span", { class: "bad" }, ` ✗ ${name(row.true_label)}`) : ""),
      h("td", {}, number(row.value)), h("td", {}, i ? number(row.behind) : "–"), h("td", {}, `${number(row.angle, 3)}°`), h("td", {}, number(row.coefficient_distance, 3)),
      h("td", {}, number(row.point_distance, 3), row.is_nearest ? h("span", { class: "muted" }, " nearest") : ""), shared[i]);
  });
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Terms" }, h("table", { class: "terms" },
    h("thead", {}, h("tr", {}, head.map((text, i) => h("th", titles[i] ? { "data-definition": titles[i], tabindex: 0 } : {}, text)))), h("tbody", {}, body)));
}

function scaleLine(scale) {
  const canvas = h("canvas", { class: "scale", "aria-hidden": "true" });
  drawBars(canvas, Array.from({ length: 21 }, (_, i) => (i - 10) / 10), 1);
  return h("p", { class: "row muted" }, `−${number(scale, 3)}`, h("span", { class: "ramp", role: "img", "aria-label": `colors from −${number(scale, 3)}, blue, to ${number(scale, 3)}, orange` }), number(scale, 3));
}

// Small tables whole, wide ones the largest coefficients first.
function featureTable(found, about, x, own, active, training) {
  const order = [...x.keys()];
  if (x.length > 30) order.sort((a, b) => Math.abs(own[b]) - Math.abs(own[a]));
  const most = Math.max(...own.map(Math.abs), ...active.map(Math.abs)) || 1;
  const bar = (value) => h("td", { class: "bar" }, h("span", { class: value < 0 ? "negative" : "positive", style: { width: `${(48 * Math.abs(value)) / most}%` } }), h("i", {}, number(value)));
  const last = found.terms.length;
  return h("div", {}, h("h3", {}, "Features"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Features" }, h("table", { class: "features" },
    h("thead", {}, h("tr", {}, ["Feature", "Test point", "Coefficient of N", "Of the active term", "Deciding point", "Nearest point"].map((text) => h("th", {}, text)))),
    h("tbody", {}, order.slice(0, 30).map((i) => h("tr", {}, h("th", { scope: "row" }, about.feature_names?.[i] ?? `x${i}`), h("td", {}, number(x[i])), bar(own[i]), bar(active[i]), h("td", {}, number(training.row(0)[i])), h("td", {}, number(training.row(last)[i]))))))),
    x.length > 30 ? h("p", { class: "muted" }, `The 30 largest of ${count(x.length)} coefficients of N; CSV has all terms.`) : "");
}

function outputTable(found, about) {
  const best = (list) => list.indexOf(Math.max(...list.map((v) => (typeof v === "number" ? v : -Infinity))));
  const columns = [found.logits, found.values], tops = about.task === "regression" ? [found.network, found.network] : columns.map(best);
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Outputs" }, h("table", { class: "outputs" },
    h("thead", {}, h("tr", {}, h("th", {}, about.task === "regression" ? "Output" : "Label"), h("th", {}, about.task === "regression" ? "N" : "N (logits)"), h("th", {}, "N^(X)"))),
    h("tbody", {}, found.logits.map((_, i) => h("tr", {}, h("th", { scope: "row" }, about.class_names[i]), columns.map((list, c) => h("td", { class: tops[c] === i ? "top" : "" }, number(list[i], 6))))))));
}

function sharedTable(found) {
  if (!found.layers.length) return h("p", { class: "muted" }, "The network has no nonlinearity.");
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Shared activations" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Layer"), found.terms.map((row, i) => h("th", {}, `${i ? "" : "active: "}${row.term}`)))),
    h("tbody", {}, found.layers.map((layer, j) => h("tr", {}, h("th", { scope: "row" }, layer), found.terms.map((_, i) => h("td", {}, percent(found.shared[i][j]))))))));
}

function rows(found, about) {
  return found.terms.map((row, i) => ({
    point: found.point, rank: i + 1, term: row.term, label: about.class_names[row.label], value: row.value, angle: row.angle, coefficient_distance: row.coefficient_distance,
    true_label_of_training_point: row.true_label === null ? "" : about.class_names[row.true_label], point_distance: row.point_distance, is_nearest: row.is_nearest ? "True" : "False",
    ...Object.fromEntries(found.layers.map((layer, j) => [`shared_${layer}`, found.shared[i][j]])),
    network_label: about.class_names[found.network], true_label: found.true === null ? "" : about.class_names[found.true], margin: found.margin,
  }));
}

export async function showTerm({ about, training, output, method, signal, waiting }) {
  const found = await ask("decides", { term: training, method, output }, { signal, waiting });
  const values = about.task === "regression", name = (label) => (label === null ? "…" : values ? number(label, 3) : about.class_names[label]);
  const image = unpack((await ask("images", { of: "training", points: training }, { signal })).points).row(0);
  const shown = found.rows.slice(0, 200);
  const tests = shown.length ? unpack((await ask("images", { of: "test", points: shown.map((row) => row.point).join(",") }, { signal })).points) : null;
  const known = found.known < found.points ? ` of the ${count(found.known)} that are computed so far` : "";
  return [
    h("h2", {}, `Training point ${found.term}`),
    h("div", { class: "pair" }, card(`training point ${found.term}`, thumbnail(image, about, "the training point"), values ? "" : `N says ${name(found.label)}${found.true === null ? "" : `, true ${name(found.true)}`}`)),
    h("p", { class: "verdict" }, h("b", {}, `It decides ${count(found.rows.length)} test point${found.rows.length === 1 ? "" : "s"}`), known,
      values ? `, at ${about.class_names[found.label]}` : found.wrong === null ? "" : found.wrong ? h("span", { class: "bad" }, `, ${count(found.wrong)} wrongly`) : ", none wrongly", "."),
    h("p", { class: "muted" }, "Its ", term("linear term"), " is the ", term("active term"), " there", values ? ". Below each stands the value of N^(X)." : [": N^(X) says ", h("b", {}, name(found.label)), " at each of them."]),
    exportButtons(`training-${found.term}-${method}`, { csv: () => found.rows, python: () => found.python }),
    h("div", { class: "grid" }, shown.map((row, i) => h("button", { type: "button", class: `tile${row.true != null && row.extracted !== row.true ? " wrong" : ""}`, "aria-label": `test point ${row.point}`, onclick: () => go({ point: row.point, term: "" }) },
      thumbnail(tests.row(i), about, ""), h("span", { class: "labels" }, name(row.extracted), row.true != null && row.extracted !== row.true ? h("b", { class: "bad" }, ` ✗ ${name(row.true)}`) : "")))),
    found.rows.length > shown.length ? h("p", { class: "muted" }, `The first ${shown.length} are shown; CSV has all.`) : "",
  ];
}
