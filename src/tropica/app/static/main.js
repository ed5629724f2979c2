// The page: waits until the server is ready, then shows the view that the address names.

import { ask, Stopped } from "./api.js";
import { go, here, onAddress } from "./address.js";
import { count, h } from "./dom.js";
import { showDefinitions } from "./glossary.js";
import { showDecisions } from "./decisions.js";
import { showPlanes } from "./planes.js";
import { showSegment } from "./segment.js";
import { showComparison } from "./comparison.js";
import { renew } from "./press.js";

const VIEWS = { decisions: ["Decisions", showDecisions], planes: ["Planes", showPlanes], segment: ["Segments", showSegment], comparison: ["Comparison", showComparison] };
const main = document.getElementById("main"), banner = document.getElementById("banner"), footer = document.getElementById("progress");
let status = null, stopView = null;

export const app = { get about() { return status.inputs; }, get status() { return status; }, fail, poll };

function say(text, kind = "error") {
  banner.hidden = !text;
  banner.className = kind;
  banner.textContent = text;
}

// An error of a view: on the page, whatever it was.
function fail(error) {
  if (error?.name === "AbortError") return;
  say(error instanceof Stopped ? "The server has stopped. Start it again with the same command, and open its new address." : error.message);
}

function bar(job) {
  const known = job.total > 0;
  return [h("progress", { max: known ? job.total : 1, ...(known ? { value: job.done } : {}), "aria-label": job.message }),
    h("span", {}, job.message, known && job.total > 1 ? ` ${count(job.done)} of ${count(job.total)}` : " …")];
}

function showProgress() {
  const running = Object.entries(status.methods ?? {}).filter(([, job]) => job.state === "running");
  const parts = running.map(([method, job]) => h("p", { class: "row" }, bar(job),
    h("button", { type: "button", class: "quiet", onclick: () => ask("cancel", { method }, { method: "POST" }).catch(fail) }, "Cancel")));
  if (!running.length && status.loading.state === "running") parts.push(h("p", { class: "row" }, bar(status.loading)));
  for (const [method, job] of Object.entries(status.methods ?? {})) {
    if (job.state !== "cancelled" && job.state !== "failed") continue;
    parts.push(h("p", { class: "row" }, job.state === "failed" ? `${method}: ${job.error}` : `The extraction (${method}) was cancelled; what was finished is kept in its store.`,
      h("button", { type: "button", class: "quiet", onclick: () => ask("extract", { method }, { method: "POST" }).then(poll).catch(fail) }, "Try again")));
  }
  renew(footer, () => footer.replaceChildren(...parts));
}

function showStart() {
  const { state, error, message } = status.loading;
  if (state === "failed") {
    main.replaceChildren(h("section", { class: "start" }, h("h2", {}, "This cannot be opened"), h("p", { class: "error" }, error),
      h("p", {}, "End the command with Ctrl-C, and start it again with what is missing.")));
    return;
  }
  main.replaceChildren(h("section", { class: "start" }, h("h2", {}, "Starting"), h("p", { class: "row" }, bar(status.loading)),
    h("p", { class: "muted" }, message === "loading PyTorch" ? "This takes some seconds the first time." : "")));
}

function showHeader() {
  const a = status.inputs;
  document.getElementById("about").replaceChildren(h("b", {}, a.model.split("/").pop()), ` ${a.input_shape.join("×")} → ${a.outputs}, ${count(a.units)} units`,
    a.data ? ` · ${a.data.split("/").pop()}, ${count(a.test_points)} test points` : " · no data");
  document.getElementById("tabs").replaceChildren(...Object.entries(VIEWS).map(([view, [name]]) =>
    h("a", { href: `#${view}`, "data-view": view, onclick: (event) => { event.preventDefault(); go({ view }, { fresh: true }); } }, name)));
}

let shown = null;

function showView(parts) {
  if (!status?.inputs) return;
  const view = VIEWS[parts.view] ? parts.view : "decisions";
  for (const link of document.querySelectorAll("#tabs a")) link.toggleAttribute("aria-current", link.dataset.view === view);
  if (shown === view) return;
  stopView?.();
  shown = view;
  say("");
  stopView = VIEWS[view][1](main, app);
}

let polling = null;

export async function poll() {
  clearTimeout(polling);
  try {
    const before = status?.inputs;
    status = await ask("status");
    if (banner.dataset.stopped) { say(""); delete banner.dataset.stopped; }
    if (!status.inputs) showStart();
    else {
      if (!before) { showHeader(); main.replaceChildren(); showView(here()); }
      showProgress();
      document.dispatchEvent(new CustomEvent("status", { detail: status }));
    }
  } catch (error) {
    fail(error);
    if (error instanceof Stopped) banner.dataset.stopped = "1";
  }
  const busy = !status || status.loading.state === "running" || Object.values(status.methods ?? {}).some((job) => job.state === "running");
  polling = setTimeout(poll, busy ? 300 : 3000);
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const set = (value) => { if (value) document.documentElement.dataset.theme = value; };
  set(localStorage.getItem("tropica-theme"));
  document.getElementById("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    localStorage.setItem("tropica-theme", next);
    set(next);
    document.dispatchEvent(new CustomEvent("theme"));
  });
}

theme();
showDefinitions();
onAddress(showView);
poll();
