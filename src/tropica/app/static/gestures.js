// Wheel, mouse and fingers over a plane: one pointer drags, two fingers zoom and drag at once, a tap points.

const TAP = 6;  // pixels that a finger may slip

// `where(place)` gives the coordinates t of a place on the screen, `move(dx, dy, factor, fixed)` changes the view, `point(event)` looks at a point.
export function gestures(canvas, { where, move, point }) {
  const held = new Map();
  let start = null;

  const middle = () => {
    const places = [...held.values()], mean = (name) => places.reduce((sum, one) => sum + one[name], 0) / places.length;
    return { clientX: mean("clientX"), clientY: mean("clientY") };
  };
  const spread = () => {
    const [a, b] = held.values();
    return b ? Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)) : 1;
  };
  const place = ({ clientX, clientY }) => ({ clientX, clientY });

  canvas.addEventListener("wheel", (event) => { event.preventDefault(); move(0, 0, Math.exp(event.deltaY * 0.002), where(event)); }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, place(event));
    start = held.size === 1 ? place(event) : null;
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => {
    held.delete(event.pointerId);
    if (name === "pointerup" && start && !held.size) point(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held.has(event.pointerId)) { point(event); return; }
    if (start && Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) < TAP) return;
    start = null;
    const before = middle(), apart = spread(), fixed = where(before);
    held.set(event.pointerId, place(event));
    const after = middle(), box = canvas.getBoundingClientRect();
    move((before.clientX - after.clientX) / box.width, (after.clientY - before.clientY) / box.height, apart / spread(), fixed);
  });
}
