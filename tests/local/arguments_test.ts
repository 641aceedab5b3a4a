import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HELP, parseArguments } from "../../local/cli/arguments.ts";
import { StackError } from "../../local/stack_error.ts";

const DEFAULTS = parseArguments([]);

Deno.test("parseArguments() without arguments returns the documented defaults", () => {
  assertEquals(DEFAULTS, {
    help: false,
    reset: false,
    port: undefined,
    databasePort: undefined,
    watch: true,
    quiet: false,
    project: undefined,
  });
  for (const value of ["54321", "54322"]) assertStringIncludes(HELP, value);
});

Deno.test("parseArguments() reads each option, with = or without", () => {
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

Deno.test("parseArguments() names an invalid argument and suggests a valid one", () => {
  const cases: [string[], string][] = [
    [["--prot", "1"], "Unknown option --prot: did you mean --port?"],
    [["--resets"], "did you mean --reset?"],
    [["--frobnicate-everything"], "--help lists the options."],
    [["start"], "Unknown option start"],
    [["--port", "65536"], 'got "65536"'],
    [["--port", "-1"], 'got "-1"'],
    [["--port", "1e3"], 'got "1e3"'],
    [["--port=abc"], 'got "abc"'],
    [["--db-port"], "the value is missing"],
    [["--reset=yes"], "--reset takes no value."],
    [["--project"], "the value is missing"],
    [["--port", "5000", "--db-port", "5000"], "must differ"],
  ];
  for (const [args, expected] of cases) {
    const error = assertThrows(() => parseArguments(args), StackError, expected);
    assertEquals(error.code, "USAGE");
    assertEquals(error.message.includes("\n"), false);
  }
});
