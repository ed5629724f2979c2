// Words with their definitions: shown on hover, on focus and on a tap.

import { h } from "./dom.js";

const definitions = await (await fetch("/static/glossary.json")).json();

export function term(word, text = word) {
  const definition = definitions[word];
  if (!definition) throw new Error(`no definition of ${word}`);
  return h("dfn", { tabindex: 0, "data-definition": definition, "aria-description": definition }, text);
}

export function defined(element, word) {
  element.dataset.definition = definitions[word];
  element.setAttribute("aria-description", definitions[word]);
  return element;
}

export function showDefinitions() {
  const tip = document.getElementById("tip");
  const show = (event) => {
    const at = event.target.closest?.("[data-definition]");
    tip.hidden = !at;
    if (!at) return;
    tip.textContent = at.dataset.definition;
    const box = at.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left), innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    Object.assign(tip.style, { left: `${left}px`, top: `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px` });
  };
  for (const name of ["mouseover", "focusin", "click"]) document.addEventListener(name, show);
  document.addEventListener("focusout", () => { tip.hidden = true; });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
}
