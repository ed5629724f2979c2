// A click needs its press and its release on one element: what holds the pressed element is renewed when the press has ended.

const AFTER = 50;  // ms from the release: the click of a finger comes a little after it
const later = new Map();
let pressed = null, timer = null;

// Renew an element by some work, now or once it is not pressed any more; of several the last one counts.
export function renew(element, work) {
  if (pressed && element.contains(pressed)) { later.set(element, work); return; }
  later.delete(element);
  work();
}

function release() {
  pressed = null;
  const due = [...later.values()];
  later.clear();
  for (const work of due) work();
}

addEventListener("pointerdown", (event) => { clearTimeout(timer); pressed = event.target; }, true);
// A list of choices keeps the release for itself: then a change, or a move without a button, says that the press is over.
const ended = (event) => { if (pressed && !(event.type === "pointermove" && event.buttons)) { clearTimeout(timer); timer = setTimeout(release, AFTER); } };
for (const name of ["pointerup", "pointercancel", "change", "pointermove"]) addEventListener(name, ended, true);
