/**
 * Text of figures.
 *
 * @module
 */

/**
 * Returns a number with at most three digits that matter.
 *
 * @param {number | null | undefined} value
 * @returns {string}
 */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  if (value >= 1e6) return `${trimmed(value / 1e6)} M`;
  if (value >= 1e4) return `${trimmed(value / 1e3)} k`;
  return Number.isInteger(value) ? String(value) : trimmed(value);
}

/** @param {number} value */
function trimmed(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}

/**
 * Returns a time of `value` ms.
 *
 * @param {number | null | undefined} value
 * @returns {string}
 */
export function milliseconds(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "\u2013";
  return value >= 10_000 ? `${trimmed(value / 1000)} s` : `${trimmed(value)} ms`;
}

/**
 * Returns the time of day of an instant.
 *
 * @param {number} atMs
 * @returns {string}
 */
export function timeOfDay(atMs) {
  const date = new Date(atMs);
  if (Number.isNaN(date.getTime())) return "\u2013";
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/**
 * Returns the time since an instant, in words.
 *
 * @param {number} ms
 * @returns {string}
 */
export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/**
 * Returns the parts of a request in ms, in the order of the bar. Parts that run at the same time are scaled to the total.
 *
 * @param {{ durationMs: number, verifyMs: number, waitMs: number, upstreamMs: number }} request
 * @returns {{ name: "verify" | "wait" | "upstream" | "rest", ms: number, share: number }[]}
 */
export function partsOf({ durationMs, verifyMs, waitMs, upstreamMs }) {
  const known = verifyMs + waitMs + upstreamMs;
  const rest = Math.max(0, durationMs - known);
  const whole = known + rest;
  return /** @type {const} */ ([["verify", verifyMs], ["wait", waitMs], ["upstream", upstreamMs], ["rest", rest]])
    .map(([name, ms]) => ({ name, ms, share: whole > 0 ? ms / whole : 0 }));
}
