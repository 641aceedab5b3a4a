/**
 * The text that the local stack prints when it is ready.
 *
 * @module
 */
import { legacyKeys } from "../keys.ts";
import type { Stack } from "../stack.ts";

/** The parts of a stack that the example commands use. */
export type CommandInputs = Pick<Stack, "url" | "publishableKey" | "jwtSecret"> & {
  readonly functions: Pick<Stack["functions"], "names" | "failures">;
};

/** The functions of this project's example, which have commands of their own. */
const EXAMPLES = ["budgets", "health"];

/** Returns example commands to paste, each with a description: only those that this project's functions can serve. */
export function curlLines(
  { url, publishableKey, jwtSecret, functions: { names, failures } }: CommandInputs,
): [what: string, command: string][] {
  const json = `-H 'Content-Type: application/json'`;
  const key = `-H 'apikey: ${publishableKey}'`;
  // The address is different each time, so that a second paste signs up too.
  const account = `-d '{"email":"user-'$(date +%s)'@example.com","password":"correct-horse-battery"}'`;
  const token = `sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p'`;
  const first = names.includes("budgets")
    ? undefined
    : names.find((name) => !EXAMPLES.includes(name) && !failures.has(name));
  // A function that requires a JWT accepts this one, and the body is that of the CLI's template.
  const anyone = `-H 'Authorization: Bearer ${legacyKeys(jwtSecret).anonKey}'`;
  const lines: [string, string, boolean][] = [
    ["sign up", `TOKEN=$(curl -s ${url}/auth/v1/signup ${key} ${json} ${account} | ${token})`, true],
    [
      "create a budget",
      `curl -i ${url}/functions/v1/budgets ${key} -H "Authorization: Bearer $TOKEN" ${json} -d '{"name":"Household"}'`,
      names.includes("budgets"),
    ],
    [
      `call ${first}`,
      `curl -i ${url}/functions/v1/${first} ${anyone} ${json} -d '{"name":"Functions"}'`,
      first !== undefined,
    ],
    ["look at the pool", `curl -i ${url}/health/pool`, names.includes("health")],
  ];
  return lines.flatMap(([what, command, possible]) => possible ? [[what, command]] : []);
}

/** Returns a line for each function: its name, the file that configures it, and what callers need to know. */
export function functionLines({ functions: { configs, failures } }: Pick<Stack, "functions">, root: string): string[] {
  const width = Math.max(...configs.map(({ name }) => name.length), 0);
  return configs.map(({ name, importMap, verifyJwt }) => {
    const config = importMap === undefined
      ? "no import map"
      : importMap.startsWith(`${root}/`)
      ? importMap.slice(root.length + 1)
      : importMap;
    const failure = failures.get(name)?.split("\n")[0];
    const notes = [
      config,
      verifyJwt ? "requires a JWT" : "checks callers itself",
      ...(failure ? [`FAILED: ${failure}`] : []),
    ];
    return `${name.padEnd(width)}  ${notes.join(", ")}`;
  });
}

/**
 * Returns the addresses, the keys and example commands. The database password is only in its file.
 *
 * @param dashboardUrl The address of the dashboard; `undefined` if there is none.
 */
export function banner(stack: Stack, dashboardUrl?: string): string {
  const database = new URL(stack.dbUrl);
  const rows: [string, string][] = [
    ["Gateway", stack.url],
    ["Functions", [`${stack.url}/functions/v1/<name>`, ...functionLines(stack, stack.root)].join("\n")],
    ["Data API", stack.restUrl],
    ["Auth", stack.authUrl],
    ["Postgres", `${database.host}${database.pathname}, user postgres, password in .local/keys.json`],
    ...(dashboardUrl === undefined ? [] : [["Dashboard", dashboardUrl] satisfies [string, string]]),
    ["Publishable key", stack.publishableKey],
    ["Secret key", stack.secretKey],
  ];
  const table = rows.map(([name, value]) => `  ${name.padEnd(17)}${value.replaceAll("\n", `\n${" ".repeat(19)}`)}`);
  const commands = curlLines(stack);
  const what = commands.map(([what]) => what).join(", ");
  return [
    "",
    ...table,
    "",
    `${what.charAt(0).toUpperCase()}${what.slice(1)}:`,
    "",
    ...commands.map(([, command]) => command),
    "",
  ].join("\n");
}
