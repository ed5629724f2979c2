// The choice of points for a plane or a segment, by their numbers; or of a center and two directions.

import { here } from "./address.js";
import { h } from "./dom.js";

const HINT = "test:8, training:3, or numbers:0.5/1 with all inputs";

export function pointsForm(about, wanted, change) {
  const given = (here().points ?? "").split(",").filter(Boolean);
  const sets = about.data ? [["test", about.test_points], ["training", about.training_points]] : [];
  const random = () => Array.from({ length: wanted }, () => `test:${Math.floor(Math.random() * about.test_points)}`).join(",");
  const fields = Array.from({ length: wanted }, (_, i) => h("input", { type: "text", "aria-label": `Point ${i + 1}`, name: `point${i}`, placeholder: sets.length ? `test:${i}` : "numbers:…", value: given[i] ?? "", title: HINT }));
  const directions = (here().directions ?? "random:0,random:1").split(",");
  const center = h("input", { type: "text", "aria-label": "Center", name: "center", value: here().center ?? "", placeholder: sets.length ? "test:0" : "numbers:…", title: HINT });
  const two = [0, 1].map((i) => h("input", { type: "text", "aria-label": `Direction ${i + 1}`, name: `direction${i}`, value: directions[i] ?? "", title: "axis:3, an input, or random:7, a seed" }));
  const pick = () => { const names = fields.map((field, i) => field.value.trim() || field.placeholder); change({ points: names.join(","), center: "", directions: "" }); };
  const turn = () => change({ points: "", center: center.value.trim() || center.placeholder, directions: two.map((field) => field.value.trim()).join(",") });
  const onEnter = (work) => (event) => { if (event.key === "Enter") { event.preventDefault(); work(); } };
  for (const field of fields) field.addEventListener("keydown", onEnter(pick));
  for (const field of [center, ...two]) field.addEventListener("keydown", onEnter(turn));
  const button = (text, work) => h("button", { type: "button", onclick: work }, text);
  return h("div", { class: "filters" },
    h("div", { class: "row" }, h("span", {}, wanted === 3 ? "Plane through" : "From, to"), fields, button("Show", pick), sets.length ? button("Random", () => change({ points: random(), center: "", directions: "" })) : ""),
    wanted === 3 ? h("details", { open: Boolean(here().center) }, h("summary", {}, "A center and two directions"), h("div", { class: "row" }, center, two, button("Show", turn))) : "");
}
