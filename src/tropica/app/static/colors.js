// Colors of labels and of numbers. Those of the labels are told apart by common kinds of color vision, and have names beside them.

const LABELS = [[51, 34, 136], [221, 204, 119], [17, 119, 51], [204, 102, 119], [136, 204, 238], [136, 34, 85], [68, 170, 153], [153, 153, 51], [170, 68, 153], [187, 187, 187], [230, 130, 40], [90, 90, 90]];
const SEQUENCE = [[0, 32, 77], [49, 68, 107], [102, 105, 112], [149, 143, 120], [203, 186, 105], [255, 234, 70]];

export const labelColor = (label) => LABELS[((label % LABELS.length) + LABELS.length) % LABELS.length];

// 0 dark blue … 1 yellow.
export function sequentialColor(value) {
  const place = Math.max(0, Math.min(1, value)) * (SEQUENCE.length - 1);
  const i = Math.min(SEQUENCE.length - 2, Math.floor(place)), part = place - i;
  return SEQUENCE[i].map((c, k) => Math.round(c + part * (SEQUENCE[i + 1][k] - c)));
}

// One color for one affine map: equal numbers, up to rounding, give equal colors.
export function mapColor(maps, from, to) {
  let hash = 2166136261;
  for (let i = from; i < to; i++) {
    const text = maps[i] === 0 ? "0" : maps[i].toPrecision(7);
    for (let k = 0; k < text.length; k++) hash = Math.imul(hash ^ text.charCodeAt(k), 16777619);
  }
  const a = (hash >>> 8) & 255, b = (hash >>> 16) & 255;
  const light = 130 + (a / 255) * 105, tint = (b / 255 - 0.5) * 60;
  return [light - tint, light, light + tint].map((c) => Math.max(0, Math.min(255, Math.round(c))));
}

export const rgb = (color) => `rgb(${color.join(",")})`;
