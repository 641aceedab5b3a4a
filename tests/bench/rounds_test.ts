import { assertEquals } from "@std/assert";
import type { Case, Entrant, Metric } from "../../bench/pool/cases/mod.ts";
import { Figures } from "../../bench/support/figures.ts";
import { runRounds, Samples } from "../../bench/support/rounds.ts";

function entrant(id: string, measure: Entrant["measure"]): Entrant {
  return { id, title: id, measure };
}

Deno.test("each round measures each entrant once, in an order of its own; warm-ups do not count", async () => {
  const order: string[] = [];
  const count = (id: string) =>
    entrant(id, () => {
      order.push(id);
      return { ns: order.length };
    });
  const cases: Case[] = [{ id: "case", title: "", metrics: ["ns"], entrants: [count("a"), count("b")] }];
  const samples = new Samples();
  const draws = [0, 0, 0.9, 0, 0.9, 0];
  let told = 0;
  await runRounds(cases, samples, {
    rounds: 2,
    warmUps: 1,
    onRound: () => told++,
    random: () => draws.shift() ?? 0,
  });
  assertEquals(order, ["a", "b", "b", "a", "b", "a"]);
  assertEquals(told, 3);
  assertEquals(samples.of("case", "a", "ns"), [4, 6]);
  assertEquals(samples.of("case", "b", "ns"), [3, 5]);
  assertEquals(samples.of("case", "c", "ns"), []);
});

Deno.test("a ratio is taken within each round before the median is", () => {
  const samples = new Samples();
  // The machine was ten times slower in the last two rounds: the medians' ratio would be 20 / 10.
  for (const ns of [10, 11, 10, 100, 110]) samples.add("case", "ours", "ns", ns);
  for (const ns of [30, 33, 20, 200, 330]) samples.add("case", "peer", "ns", ns);
  const figures = new Figures<Metric>([], samples, "ns");
  assertEquals(figures.timesOurs("case", "peer", "ns"), 3);
});

Deno.test("an expression over cases with fewer rounds takes the rounds that all have", () => {
  const samples = new Samples();
  for (const ns of [1, 2, 3, 4, 5]) samples.add("often", "ours", "ns", ns);
  for (const ns of [10, 20, 30]) samples.add("seldom", "ours", "ns", ns);
  const figures = new Figures<Metric>([], samples, "ns");
  assertEquals(figures.perRound((at) => at("seldom", "ours") + at("often", "ours")), 22);
  assertEquals(figures.perRound((at) => at("never", "ours")), NaN);
});
