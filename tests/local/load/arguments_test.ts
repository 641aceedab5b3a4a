import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HELP, parseLoadArguments } from "../../../local/load/arguments.ts";
import { StackError } from "../../../local/stack_error.ts";

const DEFAULTS = parseLoadArguments([]);
const URL = "https://abcdefghijklmnopqrst.supabase.co";

Deno.test("parseLoadArguments() without arguments returns the documented defaults", () => {
  assertEquals(DEFAULTS, {
    help: false,
    function: "budgets",
    path: "",
    method: "GET",
    body: undefined,
    headers: [],
    rps: undefined,
    concurrency: 10,
    seconds: 10,
    timeoutS: 30,
    user: "demo",
    url: undefined,
    project: undefined,
    stackPort: undefined,
  });
  for (const text of ["default: budgets", "(default: 10)", "(1000)", "default: 30"]) assertStringIncludes(HELP, text);
});

Deno.test("parseLoadArguments() reads each option", () => {
  const args = ["--function=categories", "--path", "1?limit=5", "--rps", "12.5", "--seconds", "0.5", "--timeout=2"];
  assertEquals(parseLoadArguments([...args, "--header", "Prefer: a: b", "--header=X:1", "--user", "none"]), {
    ...DEFAULTS,
    function: "categories",
    path: "/1?limit=5",
    rps: 12.5,
    concurrency: 1_000,
    seconds: 0.5,
    timeoutS: 2,
    headers: [["Prefer", "a: b"], ["X", "1"]],
    user: "none",
  });
  assertEquals(parseLoadArguments(["--body", "{}"]).method, "POST");
  assertEquals(parseLoadArguments(["--method", "delete", "--stack-port", "5000", "--concurrency", "3"]), {
    ...DEFAULTS,
    method: "DELETE",
    stackPort: 5000,
    concurrency: 3,
  });
  assertEquals(parseLoadArguments(["--url", URL, "--yes"]).user, "none");
  assertEquals(parseLoadArguments(["--url", URL, "--yes"], true).user, "token");
  assertEquals(parseLoadArguments(["--url", URL, "--help"]).help, true);
});

Deno.test("parseLoadArguments() rejects what it cannot use, and says what to do", () => {
  const invalid: Record<string, string[]> = {
    "pass --yes to confirm it": ["--url", URL],
    "--rps must be a number from 0.1 to 50000": ["--rps", "0"],
    "--concurrency must be an integer from 1 to 5000": ["--concurrency", "2.5"],
    "--seconds must be a number": ["--seconds", "-1"],
    "--timeout must be a number": ["--timeout", "1e9"],
    "--method must be one of": ["--method", "TRACE"],
    "A GET request has no body": ["--method", "GET", "--body", "{}"],
    "--header must be a name and a value": ["--header", "nothing"],
    'got "a b: c"': ["--header", "a b: c"],
    "would show a key in the list of processes": ["--header", "Authorization: Bearer secret-token"],
    "--path must be a path below the function": ["--path", "/../../../auth/v1/admin"],
    'got "/a#b"': ["--path", "/a#b"],
    "--user must be one of demo, none, secret, token": ["--user", "root"],
    "--user demo is for the local stack": ["--url", URL, "--yes", "--user", "demo"],
    "needs the access token of a user in LOAD_TOKEN": ["--user", "token"],
    "--stack-port is for the local stack": ["--url", URL, "--yes", "--stack-port", "1"],
    "Unknown option --rpm: did you mean --rps?": ["--rpm", "1"],
  };
  for (const [message, args] of Object.entries(invalid)) {
    const error = assertThrows(() => parseLoadArguments(args), StackError, message);
    assertEquals([error.code, error.message.includes("secret-token")], ["USAGE", false]);
  }
});

Deno.test("parseLoadArguments() refuses a key in any argument, and does not repeat it", () => {
  const keys = [
    ["--header", "x-key: sb_secret_x-marks"],
    ["--path", "?apikey=sb_secret_x-marks"],
    ["--body", '{"key":"sb_secret_x-marks"}'],
    ["--token", "x-marks"],
    ["sb_secret_x-marks"],
  ];
  for (const args of keys) {
    const error = assertThrows(() => parseLoadArguments(args), StackError, "LOAD_TOKEN for the token of a user");
    assertEquals([error.code, error.message.includes("x-marks")], ["USAGE", false], args.join(" "));
  }
});
