import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HELP, parseArguments } from "../../local/cli/arguments.ts";
import { HOSTED_LIMITS } from "../../local/functions/limits.ts";
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
    allowedHosts: [],
    limits: undefined,
    envFile: undefined,
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
  const more = parseArguments(["--allow-host", "10.0.2.2", "--allow-host=host.docker.internal:80", "--limits"]);
  assertEquals([more.allowedHosts, more.limits], [["10.0.2.2", "host.docker.internal:80"], HOSTED_LIMITS.free]);
  assertEquals(parseArguments(["--limits=paid"]).limits, HOSTED_LIMITS.paid);
  assertEquals(parseArguments(["--env-file", "/a/.env"]).envFile, "/a/.env");
  assertEquals(parseArguments(["--env-file=b"]).envFile, `${Deno.cwd()}/b`);
});

Deno.test("parseArguments() names an invalid argument and suggests a valid one", () => {
  const cases: [string[], string][] = [
    [["--prot", "1"], "Unknown option --prot: did you mean --port?"],
    [["--resets"], "did you mean --reset?"],
    [["--frobnicate-everything"], "--help lists the options."],
    [["start"], "Unknown option start"],
    [["--limits=none"], "--limits must be free or paid"],
    [["--allow-host", "a,b"], 'got "a,b"'],
    [["--allow-host"], "the value is missing"],
    [["--env-file"], "the value is missing"],
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

Deno.test("parseArguments() moves Postgres to the port after that of --port, unless --db-port sets it", () => {
  const ports = (...args: string[]) => {
    const { port, databasePort } = parseArguments(args);
    return [port, databasePort];
  };
  assertEquals(ports("--port", "55321"), [55321, 55322]);
  assertEquals(ports("--port", "0"), [0, 0]);
  assertEquals(ports("--port", "65535"), [65535, undefined]);
  assertEquals(ports("--port", "5000", "--db-port", "6000"), [5000, 6000]);
  assertEquals(ports("--db-port", "6000"), [undefined, 6000]);
  assertEquals(ports(), [undefined, undefined]);
});
