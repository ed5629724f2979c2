// The view is in the address: #decisions?point=8&method=minimal. Whoever opens it sees the same.

const listeners = new Set();

export function here() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view: view || "decisions", ...Object.fromEntries(new URLSearchParams(query)) };
}

export function address(parts) {
  const { view, ...rest } = parts;
  const query = new URLSearchParams(Object.entries(rest).filter(([, value]) => value !== undefined && value !== null && value !== ""));
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `#${view}${text ? `?${text}` : ""}`;
}

// Change parts of the address; `replace` for changes that the back button is not to undo one by one.
export function go(changes, { replace = false, fresh = false, silent = false } = {}) {
  const next = address({ ...(fresh ? {} : here()), ...changes });
  if (next !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", next);
  if (!silent) tell();
}

export function onAddress(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() { for (const listener of listeners) listener(here()); }

addEventListener("popstate", tell);
