// Small helpers for making elements and writing numbers.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "style") Object.assign(element.style, value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
}

// Four digits, as far as they say something.
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace(/\.?0+e/, "e").replaceAll("-", "−").replace("e+", "e");
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
}

export const count = (n) => n.toLocaleString("en-US");
export const percent = (share) => `${(100 * share).toFixed(share === 1 || share === 0 ? 0 : 1)} %`;

export function debounce(work, ms = 120) {
  let timer;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => work(...given), ms); };
}

// A choice of one word, as a row of radio buttons: arrow keys move it.
export function choice(name, options, value, change, label) {
  return h("fieldset", { class: "choice", "data-choice": name }, h("legend", {}, label),
    options.map(([key, text, title]) => h("label", { title },
      h("input", { type: "radio", name, value: key, checked: key === value, onchange: () => change(key) }), h("span", {}, text))));
}

// In regression the output that is looked at.
export function outputChoice(about, output, change) {
  return h("label", {}, "Output", h("select", { name: "output", onchange: (event) => change(event.target.value) },
    about.class_names.map((name, i) => h("option", { value: i, selected: String(i) === String(output) }, name))));
}
