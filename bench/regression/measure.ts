/**
 * A process that measures one case on two checkouts, in interleaved slices of
 * some 20 ms, and prints its series as a line of JSON.
 *
 *     deno run -A --v8-flags=--expose-gc bench/regression/measure.ts <case> <before> <after> <warm-ups> <rounds> <login>
 *
 * @module
 */
import { cpuUsage } from "node:process";
import { tidy } from "../support/heap.ts";
import { type Checkout, importCheckout, type Side, SIDES } from "./checkout.ts";
import type { CaseModule, OpenCase, Sample, Series, Work } from "./work.ts";

/** The processor time of one slice, in ns. Short slices let noise fall on both sides alike. */
const SLICE_NS = 20e6;

const MAX_OPS = 200_000;

/** One slice of work, per operation. */
interface Slice {
  readonly value: number;
  readonly wall: number;
}

async function slice(work: Work, ops: number): Promise<Slice> {
  if (work.unit === "bytes") return { value: await work.bytes(), wall: NaN };
  // Garbage of the other side must not be collected on the time of this one.
  tidy();
  const cpu = cpuUsage();
  const start = performance.now();
  await work.run(ops);
  const wall = (performance.now() - start) * 1e6;
  const { user, system } = cpuUsage(cpu);
  return { value: (user + system) * 1e3 / ops, wall: wall / ops };
}

/**
 * Measures a round of eight slices: A B B A A B B A, so that a drift of the
 * machine's speed cancels. `first` is A.
 */
async function measureRound(pair: Readonly<Record<Side, Work>>, ops: number, first: Side): Promise<Sample> {
  const second: Side = first === "before" ? "after" : "before";
  const sums = { before: 0, after: 0 };
  const walls = { before: 0, after: 0 };
  const order = [first, second, second, first];
  for (const side of [...order, ...order]) {
    const { value, wall } = await slice(pair[side], ops);
    sums[side] += value / 4;
    walls[side] += wall / 4;
  }
  return { ...sums, wallBefore: walls.before, wallAfter: walls.after };
}

/**
 * Measures pairs of work.
 *
 * @param before The work on the first side, in the same order as `after`.
 */
export async function measure(
  before: readonly Work[],
  after: readonly Work[],
  { warmUps, rounds }: { readonly warmUps: number; readonly rounds: number },
): Promise<Series[]> {
  const pairs = before.map((work, index) => {
    const other = after[index];
    if (other?.id !== work.id) throw new Error(`The sides differ in their work: ${work.id}, ${other?.id}`);
    return { pair: { before: work, after: other }, ops: 100, samples: new Array<Sample>() };
  });
  for (let round = -warmUps; round < rounds; round++) {
    for (const entry of pairs) {
      const sample = await measureRound(entry.pair, entry.ops, round % 2 === 0 ? "before" : "after");
      if (round >= 0) entry.samples.push(sample);
      else entry.ops = Math.max(20, Math.min(MAX_OPS, Math.ceil(SLICE_NS / Math.max(sample.before, 1))));
    }
  }
  return pairs.map(({ pair: { before: { id, title, unit } }, samples }) => ({ id, title, unit, samples }));
}

if (import.meta.main) {
  const [name = "", beforeRoot = "", afterRoot = "", warmUps = "", rounds = "", login = ""] = Deno.args;
  const roots = { before: beforeRoot, after: afterRoot };
  const opened: OpenCase[] = [];
  for (const side of SIDES) {
    const checkout: Checkout = await importCheckout(roots[side]);
    const { open }: CaseModule = await import(`./${name}_case.ts?side=${side}`);
    opened.push(await open(checkout, login));
  }
  const [before, after] = opened.map(({ work }) => work);
  if (!before || !after) throw new Error("Two checkouts are needed");
  const series = await measure(before, after, { warmUps: Number(warmUps), rounds: Number(rounds) });
  for (const one of opened) await one[Symbol.asyncDispose]();
  console.log(JSON.stringify(series));
  // Timers of the libraries may keep the process.
  Deno.exit(0);
}
