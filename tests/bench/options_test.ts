import { assertEquals, assertThrows } from "@std/assert";
import { KNOWN } from "../../bench/pool/options.ts";
import { parseOptions, UsageError } from "../../bench/support/options.ts";

Deno.test("parseOptions() reads every option", () => {
  const all = { help: false, quick: false, rounds: 31, only: [], strict: false, out: undefined };
  assertEquals(parseOptions([], KNOWN), all);
  assertEquals(parseOptions(["--quick"], KNOWN), { ...all, quick: true, rounds: 9 });
  assertEquals(parseOptions(["--quick", "--rounds", "3", "--strict"], KNOWN), {
    ...all,
    quick: true,
    rounds: 3,
    strict: true,
  });
  assertEquals(parseOptions(["--only=one,sync", "--out", "a=b"], KNOWN), { ...all, only: ["one", "sync"], out: "a=b" });
  assertEquals(parseOptions(["--out=a=b", "--help"], KNOWN), { ...all, out: "a=b", help: true });
});

Deno.test("parseOptions() throws UsageError naming the invalid argument", () => {
  for (
    const [args, message] of [
      [["--rounds", "0"], '--rounds must be an integer from 1 to 1000, not "0"'],
      [["--rounds=1e3"], 'not "1e3"'],
      [["--rounds"], "'--rounds <value>' argument missing"],
      [["--only", "one,two"], 'Unknown case "two". Valid cases: sync,'],
      [["--fast"], "Unknown option '--fast'"],
      [["--quick=yes"], "'--quick' does not take an argument"],
    ] as const
  ) assertThrows(() => parseOptions(args, KNOWN), UsageError, message);
});
