import { assertEquals, assertThrows } from "@std/assert";
import { parseOptions, UsageError } from "../../bench/pool/options.ts";

Deno.test("the arguments of the benchmark are read", () => {
  const all = { help: false, quick: false, rounds: 31, only: [], strict: false, out: undefined };
  assertEquals(parseOptions([]), all);
  assertEquals(parseOptions(["--quick"]), { ...all, quick: true, rounds: 9 });
  assertEquals(parseOptions(["--quick", "--rounds", "3", "--strict"]), {
    ...all,
    quick: true,
    rounds: 3,
    strict: true,
  });
  assertEquals(parseOptions(["--only=one,sync", "--out", "a=b"]), { ...all, only: ["one", "sync"], out: "a=b" });
  assertEquals(parseOptions(["--out=a=b", "--help"]), { ...all, out: "a=b", help: true });
});

Deno.test("an argument that is not understood is named", () => {
  for (
    const [args, message] of [
      [["--rounds", "0"], '--rounds takes a whole number from 1 to 1000, not "0"'],
      [["--rounds=1e3"], 'not "1e3"'],
      [["--rounds"], "nothing follows it"],
      [["--only", "one,two"], 'no case "two"; the cases are sync,'],
      [["--fast"], "Unknown option --fast"],
      [["--quick=yes"], "Unknown option --quick=yes"],
    ] as const
  ) assertThrows(() => parseOptions(args), UsageError, message);
});
