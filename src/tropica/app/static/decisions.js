// The view Decisions: a grid of test points, and beside it what decides the one that was clicked.

import { ask, unpack } from "./api.js";
import { go, here, onAddress } from "./address.js";
import { choice, count, debounce, h, number, outputChoice } from "./dom.js";
import { defined, term } from "./glossary.js";
import { thumbnail } from "./pictures.js";
import { renew } from "./press.js";
import { showPoint, showTerm } from "./detail.js";

const PAGE = 60;
const FILTERS = [["all", "all"], ["correct", "correct"], ["wrong", "wrong"], ["differs", "N ≠ N^(X)"], ["extracted wrong", "N^(X) wrong"]];
const METHODS = { calibrated: "calibrated", minimal: "minimal", paper: "paper" };

export function showDecisions(main, app) {
  const { about } = app;
  if (!about.data) {
    main.replaceChildren(h("section", { class: "start" }, h("h2", {}, "No data"),
      h("p", {}, "Decisions are those of test points by training points. This model was opened without data: start the command with ", h("code", {}, "--data DATA"), ".")));
    return null;
  }
  const grid = h("div", { class: "grid", role: "listbox", "aria-label": "Test points" });
  const found = h("p", { class: "muted", role: "status" }), pages = h("p", { class: "row" });
  const detail = h("section", { class: "detail", "aria-live": "polite", "aria-label": "What decides" });
  const controls = h("form", { class: "filters", onsubmit: (event) => event.preventDefault() });
  main.replaceChildren(h("div", { class: "two" }, h("section", { class: "list", "aria-label": "Test points" }, controls, found, grid, pages), detail));
  let busy = false, listing = null, pending = null, last = "", seen = "";
  const method = () => here().method ?? app.status.first_method, values = about.task === "regression";

  function showControls() {
    const { by = "all", label = "", order = "number", output = "0" } = here();
    const set = (changes) => go({ first: "", ...changes }, { replace: true });
    const typed = debounce((name, value) => set({ [name]: value }), 350);
    const filters = about.labelled ? FILTERS : FILTERS.filter(([key]) => key === "all" || key === "differs");
    if (values) filters.length = 0;
    const margin = (name, text) => h("label", {}, text, h("input", { type: "number", step: "any", name, value: here()[name] ?? "", oninput: (event) => typed(name, event.target.value) }));
    controls.replaceChildren(
      choice("method", Object.entries(METHODS), method(), (value) => go({ method: value }), term("DC decomposition", "Decomposition")),
      filters.length ? choice("by", filters, by, (value) => set({ by: value }), "Show") : "",
      h("div", { class: "row" },
        values ? outputChoice(about, output, (value) => set({ output: value })) : h("label", {}, about.labelled ? "True label" : "Label", h("select", { name: "label", onchange: (event) => set({ label: event.target.value }) },
          h("option", { value: "" }, "any"), about.class_names.map((name, i) => h("option", { value: i, selected: label === String(i) }, name)))),
        margin("low", values ? "Runner-up behind, from" : [term("margin", "Margin"), " from"]), margin("high", "to"),
        h("label", {}, "Order", h("select", { name: "order", onchange: (event) => set({ order: event.target.value }) },
          [["number", "number"], ["margin", values ? "runner-up closest" : "smallest margin"], ...(values ? [["difference", "largest |N − N^(X)|"]] : [])].map(([key, text]) => h("option", { value: key, selected: order === key }, text))))));
  }

  async function showList(again = false) {
    const { by, label, low, high, order, output, first = "0" } = here();
    const wanted = { method: method(), by, label, output, low, high, order, first, count: PAGE };
    const key = JSON.stringify(wanted);
    if (key === last && !again) return;
    if (again && busy) return;
    last = key;
    busy = true;
    listing?.abort();
    listing = new AbortController();
    const { signal } = listing;
    try {
      const page = await ask("points", wanted, { signal });
      const text = JSON.stringify(page);
      if (again && text === seen) return;
      seen = text;
      const pictures = page.rows.length ? unpack((await ask("images", { of: "test", points: page.rows.map((row) => row.point).join(",") }, { signal })).points) : null;
      const part = page.known < page.points ? ` (N^(X) is known of ${count(page.known)} of ${count(page.points)})` : "";
      found.textContent = `${count(page.total)} of ${count(page.points)} test points${part}`;
      const none = page.known < page.points && (by === "differs" || by === "extracted wrong") ? "None so far: N^(X) is still being computed." : "No test point is like this.";
      showTiles(page.rows.length ? page.rows.map((row, i) => tile(row, pictures.row(i))) : [h("p", { class: "muted" }, none)]);
      renew(pages, () => turnPages(page));
    } catch (error) { if (!signal.aborted) app.fail(error); }
    finally { if (!signal.aborted) busy = false; }
  }

  // Tiles of the same points stay in the page and change; other ones take their place when no tile is pressed.
  function showTiles(tiles) {
    const shown = [...grid.children];
    if (shown.length === tiles.length && shown.every((tile, i) => tile.dataset.point && tile.dataset.point === tiles[i].dataset.point)) {
      renew(grid, () => {});  // these tiles, whatever was to come
      shown.forEach((tile, i) => changeTile(tile, tiles[i]));
      return;
    }
    renew(grid, () => {
      const focused = document.activeElement?.dataset?.point;
      grid.replaceChildren(...tiles);
      if (focused) grid.querySelector(`[data-point="${focused}"]`)?.focus();
      mark();
    });
  }

  function changeTile(tile, next) {
    if (tile.title === next.title && tile.innerHTML === next.innerHTML) return;
    for (const name of ["class", "aria-label", "title"]) tile.setAttribute(name, next.getAttribute(name));
    tile.replaceChildren(...next.childNodes);
  }

  function valueTile(row, picture) {
    const words = `point ${row.point}, N gives ${number(row.network)}, N^(X) gives ${number(row.extracted)}`;
    return h("button", { type: "button", role: "option", class: "tile", "data-point": row.point, "aria-label": words, title: `${words}\nrunner-up ${number(row.margin)} behind`, onclick: () => go({ point: row.point, term: "" }) },
      thumbnail(picture, about, ""), h("span", { class: "labels" }, number(row.network, 3)), h("span", { class: "labels other" }, number(row.extracted, 3)));
  }

  function tile(row, picture) {
    if (values) return valueTile(row, picture);
    const name = (i) => (i === null ? "…" : about.class_names[i]);
    const wrong = row.true !== null && row.network !== null && row.true !== row.network;
    const differs = row.extracted !== null && row.network !== null && row.extracted !== row.network;
    const words = [`point ${row.point}`, row.true === null ? "" : `true ${name(row.true)}`, `N says ${name(row.network)}`, `N^(X) says ${name(row.extracted)}`];
    return h("button", { type: "button", role: "option", class: `tile${wrong ? " wrong" : ""}${differs ? " differs" : ""}`, "data-point": row.point,
      "aria-label": words.filter(Boolean).join(", "), title: `${words.filter(Boolean).join("\n")}\nmargin ${number(row.margin)}`, onclick: () => go({ point: row.point, term: "" }) },
      thumbnail(picture, about, ""),
      h("span", { class: "labels" }, name(row.network), wrong ? h("b", { class: "bad" }, ` ✗ ${name(row.true)}`) : "", differs ? h("b", { class: "other" }, ` ≠ ${name(row.extracted)}`) : ""));
  }

  function turnPages({ total, first }) {
    const turn = (to, text) => h("button", { type: "button", disabled: to < 0 || to >= total, onclick: () => go({ first: to || "" }, { replace: true }) }, text);
    pages.replaceChildren(...(total > PAGE ? [turn(first - PAGE, "← Before"), h("span", {}, `${first + 1} – ${Math.min(total, first + PAGE)}`), turn(first + PAGE, "Next →")] : []));
  }

  function mark() {
    const { point } = here();
    for (const tile of grid.querySelectorAll(".tile")) tile.setAttribute("aria-selected", String(tile.dataset.point === point));
  }

  let detailed = "";

  async function showDetail() {
    const { point, term: training, output } = here();
    const key = JSON.stringify([point, training, output, method()]);
    if (key === detailed) return;
    const moved = detailed !== "";
    detailed = key;
    pending?.abort();
    pending = new AbortController();
    const { signal } = pending;
    mark();
    if (point === undefined && training === undefined) {
      detail.replaceChildren(h("p", { class: "hint" }, "Click a test point to see the training point that decides it."),
        h("p", { class: "hint" }, "N is the network. ", term("extracted function N^(X)", "N^(X)"), " is the function made of the ", term("linear term", "linear terms"), " of the training points alone. ", values ? "Below each point stand the value of N, then that of N^(X)." : "A mark ✗ is a wrong label, ≠ a label that N^(X) gives otherwise than N."));
      return;
    }
    const waiting = (what) => detail.replaceChildren(h("p", { class: "hint" }, `Waiting: ${what} …`));
    try {
      const show = training !== undefined ? showTerm : showPoint;
      const parts = await show({ about, point, training, output, method: method(), signal, waiting });
      if (signal.aborted) return;
      renew(detail, () => detail.replaceChildren(...parts));
      if (moved && innerWidth < 800) detail.scrollIntoView({ behavior: "instant" });
    } catch (error) {
      if (signal.aborted) return;
      detail.replaceChildren(h("p", { class: "error" }, error.message));
      app.fail(error);
      detailed = "";
    }
  }

  // Arrow keys move from test point to test point.
  grid.addEventListener("keydown", (event) => {
    const tiles = [...grid.querySelectorAll(".tile")], at = tiles.indexOf(document.activeElement);
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step === undefined || at < 0) return;
    event.preventDefault();
    tiles[Math.min(tiles.length - 1, Math.max(0, at + step))].focus();
  });

  const live = () => main.contains(grid);
  const update = () => { if (live() && here().view === "decisions") { showControlsIfNew(); showList(); showDetail(); } };
  let controlled = "";
  function showControlsIfNew() {
    const { by, label, order, output } = here(), key = JSON.stringify([by, label, order, output, method()]);
    if (key === controlled) return;
    controlled = key;
    renew(controls, () => {
      const kept = document.activeElement?.name;
      showControls();
      if (kept) controls.querySelector(`[name="${kept}"]:checked, select[name="${kept}"]`)?.focus();
    });
  }
  const stopAddress = onAddress(update);
  const onStatus = () => { if (live()) showList(true); };
  document.addEventListener("status", onStatus);
  update();
  return () => { stopAddress(); document.removeEventListener("status", onStatus); listing?.abort(); pending?.abort(); };
}
