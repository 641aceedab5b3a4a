import { assertEquals, assertThrows } from "@std/assert";
import { readPrometheus } from "../../../local/dashboard/prometheus.ts";

Deno.test("readPrometheus() reads samples, labels with escapes, and special numbers", () => {
  const text = [
    "# HELP a_total Text",
    "# TYPE a_total counter",
    "a_total 3",
    'b{x="1",y="q\\"\\\\\\n}"} 2.5 1700000000000',
    'c_bucket{le="+Inf",} +Inf',
    "d -Inf",
    "e NaN",
    "f{x=1} 1",
    'g{x="1" 12',
    "h",
    "9 9",
    "",
  ].join("\n");
  assertEquals(readPrometheus(text), [
    { name: "a_total", labels: {}, value: 3 },
    { name: "b", labels: { x: "1", y: 'q"\\\n}' }, value: 2.5 },
    { name: "c_bucket", labels: { le: "+Inf" }, value: Infinity },
    { name: "d", labels: {}, value: -Infinity },
    { name: "e", labels: {}, value: NaN },
  ]);
  assertEquals(readPrometheus("a 1\n".repeat(200_001)).length, 200_000);
  assertEquals([readPrometheus(""), readPrometheus("# EOF\n")], [[], []]);
  assertThrows(() => readPrometheus("<html>"), Error, "not the text format of Prometheus");
});
