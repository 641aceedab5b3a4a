import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Bar, BARS } from "../../bench/pool/bars.ts";
import { allPhases, type Case, type Metric, openStands } from "../../bench/pool/cases/mod.ts";
import { CASE_IDS } from "../../bench/pool/options.ts";
import { plot } from "../../bench/pool/plot.ts";
import { report } from "../../bench/pool/report.ts";
import { judge } from "../../bench/support/bars.ts";
import { Figures } from "../../bench/support/figures.ts";
import { LogScale } from "../../bench/support/plot.ts";
import { gather, type Results } from "../../bench/support/results.ts";
import { Samples } from "../../bench/support/rounds.ts";
import { element } from "../../bench/support/svg.ts";
import { shown, table } from "../../bench/support/text.ts";

const one: Case = {
  id: "one",
  title: "one caller",
  metrics: ["ns"],
  entrants: ["ours", "generic_pool", "lightning_pool"].map((id) => ({ id, title: `<${id}>`, measure: () => ({}) })),
};

function results(): Results<Metric> {
  const samples = new Samples();
  for (const round of [1, 2, 3]) {
    samples.add("one", "ours", "ns", 100 * round);
    samples.add("one", "generic_pool", "ns", 400 * round);
    samples.add("one", "lightning_pool", "ns", 310 * round);
  }
  const figures = new Figures<Metric>([one], samples, "ns");
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
  return gather(figures, judge(figures, BARS), { environment, rounds: 3, quick: false });
}

Deno.test("a bar holds at its limit and not past it, and is open where nothing was measured", () => {
  const figures = new Figures<Metric>([], new Samples(), "ns");
  const bar = (relation: Bar["relation"], figure: number): Bar => {
    return { what: "", relation, limit: 2, unit: "×", figure: () => figure };
  };
  const bars = [
    bar("at most", 2),
    bar("at most", 2.01),
    bar("at least", 2),
    bar("at least", 1.99),
    bar("at most", NaN),
    bar("at least", NaN),
  ];
  assertEquals(judge(figures, bars).map(({ holds }) => holds), [true, false, true, false, undefined, undefined]);
});

Deno.test("a lead is over the fastest of the others", () => {
  const verdict = judge(
    new Figures<Metric>([one], samplesOf({ ours: 100, generic_pool: 400, lightning_pool: 310 }), "ns"),
    BARS,
  )
    .find(({ what }) => what === "one caller: faster than the fastest pool without a timeout");
  assertEquals(verdict?.figure ?? NaN, 3.1);
  assertEquals(verdict?.holds, true);
});

Deno.test("a reading of the clock is taken off before the floor is put beside", () => {
  const samples = samplesOf({ ours: 150, floor: 40 });
  samples.add("sync", "clock_date", "ns", 50);
  const verdict = judge(new Figures<Metric>([one], samples, "ns"), BARS)[0];
  assertEquals(verdict?.figure ?? NaN, 2.5);
  assertEquals(verdict?.holds, false);
});

function samplesOf(ns: Record<string, number>): Samples {
  const samples = new Samples();
  for (const [id, value] of Object.entries(ns)) samples.add("one", id, "ns", value);
  return samples;
}

Deno.test("every case can be asked for, and every bar reads cases and entrants that there are", async () => {
  const stands = await openStands();
  const cases = allPhases(stands, true).flatMap((phase) => phase.cases);
  assertEquals(cases.map(({ id }) => id).sort(), [...CASE_IDS].sort());
  const samples = new Samples();
  for (const { id, metrics, entrants } of cases) {
    for (const entrant of entrants) for (const metric of metrics) samples.add(id, entrant.id, metric, 1);
  }
  for (const { what, figure } of judge(new Figures(cases, samples, "ns"), BARS)) assert(!Number.isNaN(figure), what);
  for (const { session } of stands) await session.close();
});

Deno.test("the report has the figures, the ratios, the bars and the machine", () => {
  const text = report(results());
  assertMatch(text, /^<generic_pool> +800$/m);
  assertMatch(text, /^<generic_pool> +4\.00$/m);
  assertMatch(text, /fastest pool without a timeout +3\.10 × +at least 3\.00 +holds$/m);
  assertMatch(text, /100 callers, to the floor .* – × +at most 1\.60 +not measured$/m);
  assertStringIncludes(text, "A & B, 2 cores");
  assert(!text.includes("a crowd expires"), "a table without figures is left out");
});

Deno.test("numbers have as many digits as say something", () => {
  assertEquals([0.123, 12.34, 1234.5, NaN, null].map(shown), ["0.12", "12.3", "1,235", "–", "–"]);
  assertEquals(table([["a", "1"], ["bbb", "22"]]), "a     1\nbbb  22");
});

Deno.test("the plot shows each contender at its place, and markup in names as text", () => {
  const svg = plot(results());
  assertStringIncludes(svg, "&lt;ours&gt;");
  assertStringIncludes(svg, "A &amp; B");
  assert(!svg.includes("<ours>"));
  assertEquals(svg.match(/<circle /g)?.length, 3);
  assertEquals(svg.match(/<g>/g)?.length, svg.match(/<\/g>/g)?.length);
  const scale = new LogScale([20, 3_000], 100, 400);
  assertEquals([scale.at(10), scale.at(100), scale.at(10_000)], [100, 200, 400]);
});

Deno.test("attributes and text are escaped, coordinates rounded", () => {
  const { svg } = element("text", { x: 1.23456, class: 'a"b' }, "x<y", element("tspan", {}));
  assertEquals(svg, '<text x="1.2" class="a&quot;b">x&lt;y<tspan/></text>');
});
