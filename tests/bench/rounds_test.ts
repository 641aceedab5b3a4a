import { assertEquals } from "@std/assert";
import type { Candidate, Case, Metric } from "../../bench/pool/cases/mod.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";

function candidate(id: string, measure: Candidate["measure"]): Candidate {
  return { id, title: id, measure };
}

Deno.test("runRounds() measures each candidate once per round, in random order, without counting warm-ups", async () => {
  const order: string[] = [];
  const count = (id: string) =>
    candidate(id, () => {
      order.push(id);
      return { ns: order.length };
    });
  const cases: Case[] = [{ id: "case", title: "", metrics: ["ns"], candidates: [count("a"), count("b")] }];
  const samples = new Samples();
  const draws = [0, 0, 0.9, 0, 0.9, 0];
  let calls = 0;
  await runRounds(cases, samples, {
    rounds: 2,
    warmUps: 1,
    onRound: () => calls++,
    random: () => draws.shift() ?? 0,
  });
  assertEquals(order, ["a", "b", "b", "a", "b", "a"]);
  assertEquals(calls, 3);
  assertEquals(samples.of("case", "a", "ns"), [4, 6]);
  assertEquals(samples.of("case", "b", "ns"), [3, 5]);
  assertEquals(samples.of("case", "c", "ns"), []);
});

Deno.test("MeasuredMetrics.timesOurs() takes the median of the rounds' ratios", () => {
  const samples = new Samples();
  // The machine was ten times slower in the last two rounds: the medians' ratio would be 20 / 10.
  for (const ns of [10, 11, 10, 100, 110]) samples.add("case", "ours", "ns", ns);
  for (const ns of [30, 33, 20, 200, 330]) samples.add("case", "peer", "ns", ns);
  const measured = new MeasuredMetrics<Metric>([], samples, "ns");
  assertEquals(measured.timesOurs("case", "peer", "ns"), 3);
});

Deno.test("MeasuredMetrics.perRound() uses the rounds that all its cases have", () => {
  const samples = new Samples();
  for (const ns of [1, 2, 3, 4, 5]) samples.add("often", "ours", "ns", ns);
  for (const ns of [10, 20, 30]) samples.add("seldom", "ours", "ns", ns);
  const measured = new MeasuredMetrics<Metric>([], samples, "ns");
  assertEquals(measured.perRound((at) => at("seldom", "ours") + at("often", "ours")), 22);
  assertEquals(measured.perRound((at) => at("never", "ours")), NaN);
});
