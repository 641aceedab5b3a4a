/**
 * The text format of Prometheus.
 *
 * @module
 */

/** One sample of an exposition. */
export interface PrometheusSample {
  /** The name, with its suffix: `db_client_connection_wait_time_seconds_bucket`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = /^[a-zA-Z_:][\w:]*/;
const LABEL = /^\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?/;
const MAX_SAMPLES = 200_000;

function numberOf(text: string): number | undefined {
  if (text === "+Inf" || text === "Inf") return Infinity;
  if (text === "-Inf") return -Infinity;
  if (text === "NaN") return NaN;
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? undefined : value;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, char: string) => char === "n" ? "\n" : char);
}

/** Reads one line; `undefined` if it is not a sample. */
function sampleOf(line: string): PrometheusSample | undefined {
  const name = NAME.exec(line)?.[0];
  if (name === undefined) return undefined;
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith("{")) {
    rest = rest.slice(1);
    for (let label = LABEL.exec(rest); label !== null; label = LABEL.exec(rest)) {
      labels[label[1] ?? ""] = unescaped(label[2] ?? "");
      rest = rest.slice(label[0].length);
    }
    rest = rest.trimStart();
    if (!rest.startsWith("}")) return undefined;
    rest = rest.slice(1);
  }
  const value = numberOf(rest.trim().split(/\s+/, 1)[0] ?? "");
  return value === undefined ? undefined : { name, labels, value };
}

/**
 * Reads an exposition. Comments and lines that are not samples are left out.
 *
 * @throws {Error} if the text holds no sample.
 */
export function readPrometheus(text: string): PrometheusSample[] {
  const samples: PrometheusSample[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const sample = sampleOf(line);
    if (sample) samples.push(sample);
    if (samples.length >= MAX_SAMPLES) break;
  }
  if (samples.length === 0 && text.trim() !== "") {
    if (!/^#/m.test(text)) throw new Error("the response is not the text format of Prometheus");
  }
  return samples;
}
