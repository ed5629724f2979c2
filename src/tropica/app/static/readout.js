// What is under the pointer of a plane or a segment: the input, the scores, N^(X), the pattern, the coefficients.

import { ask, unpack } from "./api.js";
import { go } from "./address.js";
import { count, debounce, h, number } from "./dom.js";
import { term } from "./glossary.js";
import { labelColor, rgb, sequentialColor } from "./colors.js";
import { coefficientPicture, commonScale, thumbnail } from "./pictures.js";

export class Readout {
  constructor(about, window, question) {
    Object.assign(this, { about, window, question, run: null });
    this.element = h("div", {}, h("p", { class: "hint" }, "Move the pointer over it: the input there, its outputs, and what N^(X) says."));
    this.ask = debounce((t) => this.more(t), 90);
  }

  place(plane) {
    const basis = unpack(plane.basis);
    this.flat = { origin: unpack(plane.origin).values, basis: basis.shape.length > 1 ? Array.from({ length: basis.shape[0] }, (_, i) => basis.row(i)) : [basis.values] };
  }

  // At once what is known on the page: the interpolated input and the outputs of its cell.
  show(t, scores) {
    const { origin, basis } = this.flat;
    const x = origin.map((value, i) => value + t.reduce((sum, part, k) => sum + part * basis[k][i], 0));
    this.element.replaceChildren(this.head(t, x), scores ? this.table(scores) : h("p", { class: "muted" }, "…"));
    this.ask(t);
  }

  head(t, x) {
    return h("div", {}, h("p", { class: "muted" }, `t = ${t.map((v) => number(v, 6)).join(", ")}`), thumbnail(x, this.about, "the input at the pointer"));
  }

  async more(t) {
    this.run?.abort();
    const { signal } = this.run = new AbortController();
    try {
      const found = await ask(this.question, { ...this.window(), t: t.join(",") }, { signal });
      const { about } = this, own = unpack(found.own).values, x = unpack(found.x).values, name = (label) => about.class_names[label];
      const said = found.extracted ? h("p", {}, term("extracted function N^(X)", "N^(X)"), h("b", { class: found.extracted.label === found.label ? "" : "other" }, found.extracted.value === undefined ? ` says ${name(found.extracted.label)}` : ` gives ${number(found.extracted.value, 6)}`), ", by training point ",
        h("button", { type: "button", class: "quiet", onclick: () => go({ view: "decisions", term: found.extracted.term }, { fresh: true }) }, found.extracted.term)) : "";
      this.element.replaceChildren(this.head(t, x), h("p", { class: "verdict" }, h("b", {}, about.task === "regression" ? `N gives ${number(found.scores[found.label], 6)} at ${name(found.label)}` : `N says ${name(found.label)}`)), said, this.table(found.scores),
        h("h3", {}, "Coefficients of N there"), coefficientPicture(own, about, commonScale([own], about), "coefficients of N at the pointer"),
        h("p", { class: "muted pattern" }, term("activation pattern"), ` ${found.pattern.slice(0, 24)}${found.pattern.length > 24 ? "…" : ""}`),
        about.picture ? "" : this.features(x, own));
      this.element.dataset.t = t.join(",");
    } catch (error) { if (!signal.aborted) this.element.replaceChildren(h("p", { class: "error" }, error.message)); }
  }

  table(scores) {
    const best = scores.indexOf(Math.max(...scores)), order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, 10);
    return h("table", { class: "scores" }, h("tbody", {}, order.map((i) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "swatch", style: { background: rgb(labelColor(i)) } }), this.about.class_names[i]), h("td", { class: i === best ? "top" : "" }, number(scores[i], 6))))));
  }

  features(x, own) {
    const { feature_names: names } = this.about;
    return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Feature", "Value", "Coefficient"].map((text) => h("th", {}, text)))),
      h("tbody", {}, [...x.keys()].slice(0, 20).map((i) => h("tr", {}, h("th", { scope: "row" }, names?.[i] ?? `x${i}`), h("td", {}, number(x[i])), h("td", {}, number(own[i])))))));
  }
}

export function legend(about, color, picture) {
  if (color === "label") {
    const seen = picture.ids ? new Set(picture.ids) : new Set();
    return about.class_names.map((name, i) => [name, i]).filter(([, i]) => seen.has(i)).map(([name, i]) => h("span", {}, h("span", { class: "swatch", style: { background: rgb(labelColor(i)) } }), name));
  }
  if (color === "value") return [h("span", {}, `value of ${about.class_names[picture.output]}: ${number(picture.least, 3)} `), ...Array.from({ length: 7 }, (_, i) => h("span", { class: "swatch", style: { background: rgb(sequentialColor(i / 6)) } })), h("span", {}, number(picture.scale, 3))];
  if (color === "differs") return [h("span", {}, h("span", { class: "swatch", style: { background: "rgb(179,88,6)" } }), "N and N^(X) give different labels")];
  if (color === "map") return [h("span", { class: "muted" }, "one color, one ", term("affine map"))];
  const steps = Array.from({ length: 7 }, (_, i) => h("span", { class: "swatch", style: { background: rgb(sequentialColor(i / 6)) } }));
  return color === "margin" ? [h("span", {}, term("margin"), " 0 "), ...steps, h("span", {}, number(picture.scale, 3))] : [h("span", {}, "slope of the winning output, flat "), ...steps, h("span", {}, "steep (a step is a factor of 3)")];
}

export function summary(found) {
  if (!found.complete) return h("p", { class: "muted" }, `There are more than ${count(found.cells)} cells in view: zoom in to count regions and maps.`);
  return h("ul", { class: "plain" }, h("li", {}, `${count(found.cells)} `, term("cell", "cells")), h("li", {}, `${count(found.regions)} `, term("linear region", "linear regions")), h("li", {}, `${count(found.maps)} distinct `, term("affine map", "affine maps")),
    found.boundary === null ? "" : h("li", {}, `boundary of length ${number(found.boundary, 6)}, in units of the inputs`), h("li", {}, found.certified ? [term("certified"), ": proven exact"] : "not certified"));
}
