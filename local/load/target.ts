/**
 * The function that gets the load, and the user who calls it.
 *
 * @module
 */
import { memberOf, messageOf } from "../../shared/resilience/mod.ts";
import { kindOfKey } from "../../shared/supabase/keys.ts";
import { commandOf } from "../invocation.ts";
import { runningStack } from "../running_stack.ts";
import { StackError } from "../stack_error.ts";
import type { LoadArguments } from "./arguments.ts";
import type { Outcome } from "./run.ts";

/** A function to call. */
export interface Target extends AsyncDisposable {
  /** The address, without keys. */
  readonly url: string;
  /** Sends one request and reads its response to the end. */
  send(signal: AbortSignal): Promise<Outcome>;
}

/** The project that serves the function. */
export interface Project {
  /** The origin. */
  readonly url: string;
  readonly publishableKey: string | undefined;
  /** Known for the local stack only. */
  readonly secretKey: string | undefined;
}

/** The time that signing a user up or deleting it may take, in ms. */
const SIGN_UP_MS = 15_000;
/** Maximum length of a body that is searched for a code, in characters. */
const MAX_BODY = 100_000;

/**
 * Checks a value that is sent in a header. The error does not repeat it.
 *
 * @throws {StackError} `USAGE`.
 */
function headerValue(name: string, text: string): string {
  const value = text.trim();
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw new StackError("USAGE", `${name} contains white space or other characters that no key has: copy it again.`);
}

/**
 * Returns the project that the arguments name.
 *
 * @param key The value of `SUPABASE_PUBLISHABLE_KEY`, for another project than the local stack.
 * @param warn Called with a line if there is none.
 * @throws {StackError} `USAGE` if it cannot be a publishable key; `STOPPED` if no local stack is running.
 */
export async function projectOf(
  { url, project, stackPort }: Pick<LoadArguments, "url" | "project" | "stackPort">,
  key: string | undefined,
  warn: (line: string) => void,
): Promise<Project> {
  if (url === undefined) return await runningStack({ project, port: stackPort });
  if (!key) {
    warn("SUPABASE_PUBLISHABLE_KEY is not set: the requests have no key, which most functions reject.");
    return { url, publishableKey: undefined, secretKey: undefined };
  }
  if (kindOfKey(key.trim()) === "admin" || key.trim().startsWith("sbp_")) {
    throw new StackError(
      "USAGE",
      "SUPABASE_PUBLISHABLE_KEY has a secret key, which row-level security does not apply to: set it to the " +
        "publishable key of the project.",
    );
  }
  return { url, publishableKey: headerValue("SUPABASE_PUBLISHABLE_KEY", key), secretKey: undefined };
}

/** A user of the local stack. */
interface DemoUser {
  readonly id: string;
  readonly token: string;
}

async function signUp(project: Project): Promise<DemoUser> {
  const { url, publishableKey } = project;
  const fail = (reason: string, remedy = "pass --user none, or --user token with the token of a user in LOAD_TOKEN") =>
    new StackError("SERVICE_FAILED", `Cannot sign up a user at ${url}, because ${reason}: ${remedy}.`);
  const response = await fetch(`${url}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey: publishableKey ?? "", "content-type": "application/json" },
    body: JSON.stringify({ email: `load-${crypto.randomUUID()}@example.com`, password: crypto.randomUUID() }),
    signal: AbortSignal.timeout(SIGN_UP_MS),
  }).catch(() => {
    throw fail("it does not respond", `start the stack with \`${commandOf("dev")}\`, or pass --user none`);
  });
  const text = await response.text();
  const { access_token: token, user, id = memberOf(user, "id") } = fieldsOf(text);
  if (typeof token === "string" && typeof id === "string") return { id, token };
  if (response.ok && typeof id === "string") {
    await deleteUser(project, id).catch(() => {});
    throw fail("users of this project must confirm their address first");
  }
  const code = codeOf(text);
  const reason = `Auth responded ${response.status}${code === undefined ? "" : ` ${code}`}`;
  throw response.status < 500 ? fail(reason) : fail(reason, "see the output of the stack, or pass --user none");
}

async function deleteUser({ url, secretKey = "" }: Project, id: string): Promise<void> {
  const response = await fetch(`${url}/auth/v1/admin/users/${id}`, {
    method: "DELETE",
    headers: { apikey: secretKey, authorization: `Bearer ${secretKey}` },
    signal: AbortSignal.timeout(SIGN_UP_MS),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`Auth responded ${response.status}`);
}

/** Returns the fields of a body that is a JSON object, and none of any other. */
function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}

/** Returns the code of an error: that of a problem, or of an error of the Data API or Auth. */
function codeOf(text: string): string | undefined {
  const { code, error_code: errorCode } = fieldsOf(text);
  const found = [errorCode, code].find((one) => typeof one === "string");
  return typeof found === "string" && /^[\w.-]{1,64}$/.test(found) ? found : undefined;
}

/** Sends a request; an error of the network becomes an outcome. */
async function outcomeOf(request: () => Promise<Response>): Promise<Outcome> {
  try {
    const response = await request();
    if (response.status < 400) {
      for await (const _ of response.body ?? []) {
        // The time of a response ends with its body.
      }
      return { status: response.status, code: undefined };
    }
    return { status: response.status, code: codeOf((await response.text()).slice(0, MAX_BODY)) };
  } catch (error) {
    if (error instanceof DOMException) {
      return { status: undefined, code: error.name === "TimeoutError" ? "timeout" : "aborted" };
    }
    // The cause has what the system reported.
    const details = `${messageOf(error)} ${error instanceof Error ? error.cause : ""}`;
    const reason = /refused/i.test(details) ? "connection refused" : "connection failed";
    return { status: undefined, code: reason };
  }
}

/**
 * Prepares the calls of a function: signs up a demo user if they need one, who is deleted when the target is disposed.
 *
 * @param userToken The value of `LOAD_TOKEN`, for the caller `token`.
 * @param warn Called with a line if the demo user could not be deleted.
 * @throws {StackError} `SERVICE_FAILED` if no user could be signed up; `USAGE` if the token cannot be one.
 */
export async function openTarget(
  project: Project,
  args: Pick<LoadArguments, "function" | "path" | "method" | "body" | "headers" | "user" | "timeoutS">,
  userToken: string | undefined,
  warn: (line: string) => void,
): Promise<Target> {
  const { method, body, user } = args;
  const ownToken = user === "token" ? headerValue("LOAD_TOKEN", userToken ?? "") : undefined;
  const demo = user === "demo" ? await signUp(project) : undefined;
  const token = demo?.token ?? ownToken;
  const key = user === "secret" ? project.secretKey : project.publishableKey;
  const headers = new Headers(args.headers.map(([name, value]): [string, string] => [name, value]));
  if (key !== undefined) headers.set("apikey", key);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
  const url = `${project.url}/functions/v1/${args.function}${args.path}`;
  return {
    url,
    async send(signal) {
      // A timer that is cleared: thousands of requests per second would leave as many behind.
      const ended = new AbortController();
      const timer = setTimeout(() => ended.abort(new DOMException("", "TimeoutError")), args.timeoutS * 1000);
      const abort = () => ended.abort();
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
      try {
        const init = {
          method,
          headers,
          redirect: "manual",
          signal: ended.signal,
          ...(body === undefined ? {} : { body }),
        };
        return await outcomeOf(() => fetch(url, init as RequestInit));
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      }
    },
    async [Symbol.asyncDispose]() {
      if (!demo) return;
      await deleteUser(project, demo.id).catch((error: unknown) =>
        warn(`The user ${demo.id} of this run was not deleted, because ${messageOf(error)}.`)
      );
    },
  };
}
