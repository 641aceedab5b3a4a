import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Target, TARGETS } from "../../bench/pool/targets.ts";
import { allPhases, type Case, type Metric, openSetups } from "../../bench/pool/cases/mod.ts";
import { CASE_IDS } from "../../bench/pool/options.ts";
import { plot, report } from "../../bench/pool/report.ts";
import { checkTargets } from "../../bench/support/targets.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { LogScale } from "../../bench/support/plot.ts";
import { gather, type Results } from "../../bench/support/results.ts";
import { Samples } from "../../bench/support/rounds.ts";
import { element } from "../../bench/support/svg.ts";
import { shown, table } from "../../bench/support/text.ts";

const one: Case = {
  id: "one",
  title: "one caller",
  metrics: ["ns"],
  candidates: ["ours", "generic_pool", "lightning_pool"].map((id) => ({ id, title: `<${id}>`, measure: () => ({}) })),
};

function results(): Results<Metric> {
  const samples = new Samples();
  for (const round of [1, 2, 3]) {
    samples.add("one", "ours", "ns", 100 * round);
    samples.add("one", "generic_pool", "ns", 400 * round);
    samples.add("one", "lightning_pool", "ns", 310 * round);
  }
  const measured = new MeasuredMetrics<Metric>([one], samples, "ns");
  const environment = {
    cpu: "A & B",
    cores: 2,
    os: "linux",
    deno: "2.9.6",
    v8: "15",
    peers: { tarn: "3.1.2" },
    load: 0.5,
    at: "2026-01-01T00:00:00Z",
  };
  return gather(measured, checkTargets(measured, TARGETS), { environment, rounds: 3, quick: false });
}

Deno.test("checkTargets() meets a target at its limit, misses it beyond, and skips what was not measured", () => {
  const measured = new MeasuredMetrics<Metric>([], new Samples(), "ns");
  const target = (relation: Target["relation"], value: number): Target => {
    return { what: "", relation, limit: 2, unit: "×", value: () => value };
  };
  const targets = [
    target("at most", 2),
    target("at most", 2.01),
    target("at least", 2),
    target("at least", 1.99),
    target("at most", NaN),
    target("at least", NaN),
  ];
  assertEquals(checkTargets(measured, targets).map(({ met }) => met), [true, false, true, false, undefined, undefined]);
});

Deno.test("TARGETS compare with the fastest candidate", () => {
  const result = checkTargets(
    new MeasuredMetrics<Metric>([one], samplesOf({ ours: 100, generic_pool: 400, lightning_pool: 310 }), "ns"),
    TARGETS,
  )
    .find(({ what }) => what === "one caller: faster than the fastest pool without a timeout");
  assertEquals(result?.value ?? NaN, 3.1);
  assertEquals(result?.met, true);
});

Deno.test("TARGETS subtract a reading of the clock before the comparison with the floor", () => {
  const samples = samplesOf({ ours: 150, floor: 40 });
  samples.add("sync", "clock_date", "ns", 50);
  const result = checkTargets(new MeasuredMetrics<Metric>([one], samples, "ns"), TARGETS)[0];
  assertEquals(result?.value ?? NaN, 2.5);
  assertEquals(result?.met, false);
});

function samplesOf(ns: Record<string, number>): Samples {
  const samples = new Samples();
  for (const [id, value] of Object.entries(ns)) samples.add("one", id, "ns", value);
  return samples;
}

Deno.test("TARGETS read cases and candidates that exist", async () => {
  const setups = await openSetups();
  const cases = allPhases(setups, true).flatMap((phase) => phase.cases);
  assertEquals(cases.map(({ id }) => id).sort(), [...CASE_IDS].sort());
  const samples = new Samples();
  for (const { id, metrics, candidates } of cases) {
    for (const candidate of candidates) for (const metric of metrics) samples.add(id, candidate.id, metric, 1);
  }
  for (const { what, value } of checkTargets(new MeasuredMetrics(cases, samples, "ns"), TARGETS)) {
    assert(!Number.isNaN(value), what);
  }
  for (const { opened } of setups) await opened.close();
});

Deno.test("report() shows values, ratios, targets and the machine", () => {
  const text = report(results());
  assertMatch(text, /^<generic_pool> +800$/m);
  assertMatch(text, /^<generic_pool> +4\.00$/m);
  assertMatch(text, /fastest pool without a timeout +3\.10 × +at least 3\.00 +met$/m);
  assertMatch(text, /100 callers, to the floor .* – × +at most 1\.60 +not measured$/m);
  assertStringIncludes(text, "A & B, 2 cores");
  assert(!text.includes("a crowd expires"), "a table without values is left out");
});

Deno.test("shown() and table() format numbers and rows", () => {
  assertEquals([0.123, 12.34, 1234.5, NaN, null].map(shown), ["0.12", "12.3", "1,235", "–", "–"]);
  assertEquals(table([["a", "1"], ["bbb", "22"]]), "a     1\nbbb  22");
});

Deno.test("plot() draws each candidate and escapes markup in names", () => {
  const svg = plot(results());
  assertStringIncludes(svg, "&lt;ours&gt;");
  assertStringIncludes(svg, "A &amp; B");
  assert(!svg.includes("<ours>"));
  assertEquals(svg.match(/<circle /g)?.length, 3);
  assertEquals(svg.match(/<g>/g)?.length, svg.match(/<\/g>/g)?.length);
  const scale = new LogScale([20, 3_000], 100, 400);
  assertEquals([scale.at(10), scale.at(100), scale.at(10_000)], [100, 200, 400]);
});

Deno.test("element() escapes attributes and text and rounds coordinates", () => {
  const { svg } = element("text", { x: 1.23456, class: 'a"b' }, "x<y", element("tspan", {}));
  assertEquals(svg, '<text x="1.2" class="a&quot;b">x&lt;y<tspan/></text>');
});
