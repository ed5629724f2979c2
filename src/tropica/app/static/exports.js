// What a view gives away: PNG, CSV, the Python lines that make it, its address.

import { h } from "./dom.js";

function save(name, blob) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

// Rows of one shape as CSV, every number with all of its digits.
export function toCsv(rows) {
  const names = Object.keys(rows[0] ?? {});
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function showLines(text) {
  const dialog = document.getElementById("lines");
  const copied = h("span", { class: "muted", role: "status" });
  dialog.replaceChildren(
    h("h2", {}, "The same in Python"), h("pre", { tabindex: 0 }, text),
    h("p", { class: "row" },
      h("button", { type: "button", onclick: async () => { await navigator.clipboard.writeText(text); copied.textContent = "copied"; } }, "Copy"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Close"), copied));
  dialog.showModal();
}

// The row of buttons of a view; each of `png`, `csv`, `python` is a function that gives a canvas, rows, a text.
export function exportButtons(name, { png, csv, python }) {
  const note = h("span", { class: "muted", role: "status" });
  const button = (text, title, work) => h("button", { type: "button", class: "quiet", title, onclick: work }, text);
  return h("div", { class: "row exports", "data-name": name },
    png && button("PNG", "Save this picture", () => png().toBlob((blob) => save(`${name}.png`, blob))),
    csv && button("CSV", "Save these numbers", async () => save(`${name}.csv`, new Blob([toCsv(await csv())], { type: "text/csv" }))),
    python && button("Python", "The Python lines that make this", () => showLines(python())),
    button("Link", "Copy the address of this view", async () => {
      await navigator.clipboard.writeText(location.href);
      note.textContent = "address copied";
    }), note);
}
