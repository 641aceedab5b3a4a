import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HELP, parseArguments } from "../../local/cli/arguments.ts";
import { StackFault } from "../../local/fault.ts";

const DEFAULTS = parseArguments([]);

Deno.test("no arguments: the documented defaults", () => {
  assertEquals(DEFAULTS, {
    help: false,
    reset: false,
    port: 54321,
    databasePort: 54322,
    watch: true,
    quiet: false,
    project: undefined,
  });
  for (const value of ["54321", "54322"]) assertStringIncludes(HELP, value);
});

Deno.test("each option is read, with = or without", () => {
  assertEquals(
    parseArguments(["--port", "0", "--db-port=5000", "--reset", "--no-watch", "--quiet", "--project", "a b"]),
    {
      ...DEFAULTS,
      port: 0,
      databasePort: 5000,
      reset: true,
      watch: false,
      quiet: true,
      project: "a b",
    },
  );
  assertEquals(parseArguments(["--help"]).help, true);
});

Deno.test("what is wrong is named, with the nearest help", () => {
  const cases: [string[], string][] = [
    [["--prot", "1"], "Unknown option --prot: did you mean --port?"],
    [["--resets"], "did you mean --reset?"],
    [["--frobnicate-everything"], "--help lists the options."],
    [["start"], "Unknown option start"],
    [["--port", "65536"], 'not "65536"'],
    [["--port", "-1"], 'not "-1"'],
    [["--port", "1e3"], 'not "1e3"'],
    [["--port=abc"], 'not "abc"'],
    [["--db-port"], "nothing follows it"],
    [["--reset=yes"], "--reset takes no value."],
    [["--project"], "nothing follows it"],
    [["--port", "5000", "--db-port", "5000"], "must differ"],
  ];
  for (const [args, expected] of cases) {
    const fault = assertThrows(() => parseArguments(args), StackFault, expected);
    assertEquals(fault.code, "USAGE");
    assertEquals(fault.message.includes("\n"), false);
  }
});
