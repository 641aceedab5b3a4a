/**
 * The whole local stack, from the point of view of a client of its functions.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { type Stack, type StackOptions, startStack } from "../../local/mod.ts";
import { SecretWatch } from "../support/secret_watch.ts";

/** The secrets of this file's stack and of its users. */
const watch = new SecretWatch();

/** The password of every user. */
const PASSWORD = "correct-horse-battery";

function knowSecrets({ secretKey, publishableKey, jwtSecret, dbUrl, authenticatorUrl }: Stack): void {
  for (const [what, secret] of Object.entries({ secretKey, publishableKey, jwtSecret, dbUrl, authenticatorUrl })) {
    watch.know(what, secret);
  }
  for (const url of [dbUrl, authenticatorUrl]) watch.know("a database password", new URL(url).password);
  watch.know("a user's password", PASSWORD);
}

/**
 * A stack for all tests of a file: it starts before the first test and stops after the last one. Its output and every
 * response to {@linkcode call} are searched for its secrets and those of its users.
 */
export function useStack(options: StackOptions = {}): () => Stack {
  let stack: Stack | undefined;
  const printed: string[] = [];
  Deno.test.beforeAll(async () => {
    const log = (source: string, line: string) => void printed.push(`${source}: ${line}`);
    stack = await startStack({ ephemeral: true, log, ...options });
    knowSecrets(stack);
  });
  Deno.test.afterAll(async () => {
    await stack?.stop();
    for (const line of printed) watch.inspect("what the stack printed", line);
  });
  return () => {
    if (!stack) throw new Error("the stack is not up");
    return stack;
  };
}

/** A signed-up user. */
export interface User {
  readonly id: string;
  readonly token: string;
}

/** Signs up a new user. */
export async function signUp(stack: Stack, name: string): Promise<User> {
  const response = await fetch(`${stack.authUrl}/signup`, {
    method: "POST",
    headers: { apikey: stack.publishableKey, "content-type": "application/json" },
    body: JSON.stringify({ email: `${name}-${crypto.randomUUID()}@example.com`, password: PASSWORD }),
  });
  const { access_token, refresh_token, user } = await response.json();
  assertEquals(response.status, 200);
  watch.know("a user's token", access_token);
  watch.know("a user's refresh token", refresh_token);
  return { id: user.id, token: access_token };
}

/** A request to a function. */
export interface Call {
  readonly method?: string;
  readonly token?: string;
  /** The API key; `null` for none. Default: the publishable key. */
  readonly apikey?: string | null;
  /** The body, sent as JSON unless it is a string. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** A response, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any -- tests look into bodies of every shape
  readonly body: any;
}

/** Calls a function through the gateway. */
export async function call(stack: Stack, path: string, options: Call = {}): Promise<Answer> {
  const { method = options.body === undefined ? "GET" : "POST", token, apikey = stack.publishableKey, body } = options;
  const headers = new Headers(options.headers);
  if (apikey !== null) headers.set("apikey", apikey);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
  const response = await fetch(`${stack.url}/functions/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const text = await response.text();
  watch.inspectHeaders(path, response);
  watch.inspect(`${path}, an answer of ${response.status}`, text);
  const json = /json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
}

/** The headers of every pooled response. */
export const POOL_HEADERS = [
  "x-pool-total-connections",
  "x-pool-active-connections",
  "x-pool-idle-connections",
  "x-pool-waiting-requests",
  "x-pool-limit",
];

/** Returns the X-Pool-* headers as numbers: total, active, idle, waiting, limit. */
export function poolHeaders({ headers, status }: Answer): number[] {
  return POOL_HEADERS.map((name) => {
    const value = headers.get(name);
    assert(value !== null && /^\d+$/.test(value), `${name} is ${value} on an answer with status ${status}`);
    return Number(value);
  });
}

/** Asserts that a response is a problem (RFC 9457) with this status and code. */
export function assertProblem(answer: Answer, status: number, code: string): void {
  assertEquals([answer.status, answer.body.code], [status, code], JSON.stringify(answer.body));
  assertEquals(answer.headers.get("content-type"), "application/problem+json");
  assertEquals(answer.body.status, status);
  assert(answer.body.title);
  poolHeaders(answer);
}

/** Polls until `ready` returns true, or throws after `withinMs`. */
export async function until(what: string, ready: () => Promise<boolean>, withinMs = 30_000): Promise<number> {
  const start = performance.now();
  while (performance.now() - start < withinMs) {
    if (await ready()) return performance.now() - start;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within ${withinMs} ms: ${what}`);
}
