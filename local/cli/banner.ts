/**
 * What the local stack prints once it is ready.
 *
 * @module
 */
import type { Stack } from "../stack.ts";

/** Three commands to paste in order: sign up, create a budget, look at the pool. */
export function curlLines({ url, publishableKey }: Pick<Stack, "url" | "publishableKey">): [string, string, string] {
  const json = `-H 'Content-Type: application/json'`;
  const key = `-H 'apikey: ${publishableKey}'`;
  // The address is new each time, so that a second paste signs up too.
  const account = `-d '{"email":"user-'$(date +%s)'@example.com","password":"correct-horse-battery"}'`;
  const token = `sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p'`;
  return [
    `TOKEN=$(curl -s ${url}/auth/v1/signup ${key} ${json} ${account} | ${token})`,
    `curl -i ${url}/functions/v1/budgets ${key} -H "Authorization: Bearer $TOKEN" ${json} -d '{"name":"Household"}'`,
    `curl -i ${url}/health/pool`,
  ];
}

/** The addresses, the keys, the commands. The password of the database is in its file only. */
export function banner(stack: Stack): string {
  const database = new URL(stack.dbUrl);
  const rows: [string, string][] = [
    ["Gateway", stack.url],
    ["Functions", stack.functions.names.map((name) => `${stack.url}/functions/v1/${name}`).join("\n") || "none"],
    ["Data API", stack.restUrl],
    ["Auth", stack.authUrl],
    ["Postgres", `${database.host}${database.pathname}, user postgres, password in .local/keys.json`],
    ["Publishable key", stack.publishableKey],
    ["Secret key", stack.secretKey],
  ];
  const table = rows.map(([name, value]) => `  ${name.padEnd(17)}${value.replaceAll("\n", `\n${" ".repeat(19)}`)}`);
  const warnings = stack.warnings.map((line) => `Warning: ${line}`);
  return [
    "",
    ...table,
    "",
    "Sign up, create a budget, look at the pool:",
    "",
    ...curlLines(stack),
    "",
    ...(warnings.length > 0 ? [...warnings, ""] : []),
  ].join("\n");
}
