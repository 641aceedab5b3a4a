import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DASHBOARD_PORT, HELP, parseDashboardArguments } from "../../../local/dashboard/arguments.ts";
import { StackError } from "../../../local/stack_error.ts";

const DEFAULTS = parseDashboardArguments([]);

Deno.test("parseDashboardArguments() without arguments returns the documented defaults", () => {
  assertEquals(DEFAULTS, {
    help: false,
    url: undefined,
    project: undefined,
    stackPort: undefined,
    function: "health",
    port: undefined,
  });
  assertStringIncludes(HELP, String(DASHBOARD_PORT));
});

Deno.test("parseDashboardArguments() reads each option, with = or without", () => {
  const url = "https://abcdefghijklmnopqrst.supabase.co";
  assertEquals(parseDashboardArguments([`--url=${url}/`, "--function", "budgets", "--port", "0"]), {
    ...DEFAULTS,
    url,
    function: "budgets",
    port: 0,
  });
  assertEquals(parseDashboardArguments(["--project", "../shop", "--stack-port=5000", "-h"]), {
    ...DEFAULTS,
    help: true,
    project: "../shop",
    stackPort: 5000,
  });
  assertEquals(parseDashboardArguments(["--url", "http://localhost:8000"]).url, "http://localhost:8000");
});

Deno.test("parseDashboardArguments() rejects what it cannot use, and says what to do", () => {
  const invalid: Record<string, string[]> = {
    "Unknown option --prot: did you mean --port?": ["--prot", "1"],
    'Unknown argument "budgets".': ["budgets"],
    "--url requires a value.": ["--url"],
    "--help takes no value.": ["--help=yes"],
    "--port is passed twice.": ["--port", "1", "--port", "2"],
    "--port must be an integer from 0 to 65535": ["--port", "65536"],
    "--stack-port must be an integer from 1 to 65535": ["--stack-port", "1e3"],
    "it is plain http": ["--url", "http://example.com"],
    "it has a path": ["--url", "https://example.com/functions"],
    "it contains a user name or a password": ["--url", "https://a:b@example.com"],
    "it is neither https nor http": ["--url", "ftp://example.com"],
    'got "example"': ["--url", "example"],
    "--project is for the local stack": ["--url", "https://example.com", "--project", "."],
    "--function must be the name of a function": ["--function", "../admin"],
  };
  for (const [message, args] of Object.entries(invalid)) {
    const error = assertThrows(() => parseDashboardArguments(args), StackError, message);
    assertEquals(error.code, "USAGE");
  }
});

Deno.test("parseDashboardArguments() refuses a key in any argument, and does not repeat it", () => {
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2ln";
  const keys: string[][] = [
    ["--secret-key", "x-marks"],
    ["--service-role-key=x-marks"],
    ["-key", "x-marks"],
    ["--apikey", "x-marks"],
    ["--token=x-marks"],
    ["sb_secret_x-marks"],
    ["SUPABASE_SECRET_KEY=sb_secret_x-marks"],
    ["--url", "https://sb_secret_x-marks@example.com"],
    ["--url", "sb_secret_x-marks"],
    ["--function", "sb_secret_x-marks"],
    ["--function", token],
    ["--url", `https://example.com/?apikey=${token}`],
    ["sbp_0123456789abcdef-x-marks"],
  ];
  for (const args of keys) {
    const error = assertThrows(() => parseDashboardArguments(args), StackError, "set SUPABASE_SECRET_KEY instead");
    assertEquals([error.code, /x-marks|eyJ/.test(error.message)], ["USAGE", false], args.join(" "));
  }
});
