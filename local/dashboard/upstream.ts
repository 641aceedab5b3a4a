/**
 * The health routes of a project, as the dashboard reads them.
 *
 * @module
 */
import { fieldsOf, memberOf, messageOf } from "../../shared/resilience/mod.ts";
import { isLoopback } from "../cli/flags.ts";
import { commandOf } from "../invocation.ts";
import { type Counters, countersOf, type Snapshot, snapshotOf, textOf } from "./snapshot.ts";
import { type PrometheusSample, readPrometheus } from "./prometheus.ts";

/** The address of a project, and its key. */
export interface ProjectAccess {
  /** The origin of the project. */
  readonly url: string;
  /** The secret key of the project. It is sent in a header, to `url` only. */
  readonly secretKey: string;
}

/** The project to read. */
export interface UpstreamOptions extends ProjectAccess {
  /** Finds the project again once nothing of it can be read: a stack may start with another port or other keys. */
  readonly locate?: (() => Promise<ProjectAccess>) | undefined;
  /** The function whose routes are read. Default: `health`. */
  readonly function?: string | undefined;
  /** The time that one route may take, in ms. Default: 5,000. */
  readonly timeoutMs?: number | undefined;
  /** The time for which metrics that could be read are not read again, in ms: they are long. Default: 30,000. */
  readonly metricsIntervalMs?: number | undefined;
  /** Aborts what is in flight. Default: nothing does. */
  readonly signal?: AbortSignal | undefined;
  /** Default: that of Deno. */
  readonly fetch?: typeof fetch | undefined;
}

/** The health of the function that was asked. */
export interface Health {
  /** `pass`, `warn` or `fail`; empty if it is not known. */
  readonly status: string;
  /** The pool of the isolate that responded. */
  readonly counters: Counters;
}

/** The result of one poll. */
export interface Poll {
  /** The time that it took, in ms. */
  readonly tookMs: number;
  /** The fleet; `undefined` if it could not be read. */
  readonly snapshot: Snapshot | undefined;
  /** The health; `undefined` if it could not be read. */
  readonly health: Health | undefined;
  /** The metrics; `undefined` if they could not be read. */
  readonly metrics: readonly PrometheusSample[] | undefined;
  /** The parts that could not be read, and why. */
  readonly missing: readonly string[];
}

/** Maximum length of a response, in bytes: the fleet has 2 MB of metrics at most. */
const MAX_BYTES = 16 * 2 ** 20;

/** Reads a body of limited length. */
async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error("the response is longer than 16 MB");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Returns the reason why a response is of no use. */
function reasonOf({ status }: Response, name: string, isLocal: boolean): string {
  if (status === 401 || status === 403) {
    const remedy = isLocal
      ? "if the stack has new keys since, start the dashboard again"
      : `check SUPABASE_SECRET_KEY, that the key is enabled, and that ${name} has verify_jwt = false`;
    return `the function ${name} rejected the secret key (${status}); ${remedy}`;
  }
  if (status === 404 || status === 405) {
    return `the function ${name} does not have this route (${status}); deploy it with this version of the library`;
  }
  if (status >= 300 && status < 400) return `the project redirects (${status}), and keys are sent to no other address`;
  return `the function ${name} responded ${status}`;
}

/** Returns the reason why a project cannot be reached. Messages of the runtime name the whole address: they are left out. */
function unreachable(error: TypeError, host: string, isLocal: boolean): string {
  const details = `${error.message} ${messageOf(memberOf(error, "cause") ?? "")}`;
  const reasons: readonly (readonly [RegExp, string])[] = [
    [/certificate|tls/i, "its certificate is not trusted"],
    [/dns|lookup/i, "its name is not known; check --url"],
    [/refused/i, "nothing listens there"],
  ];
  const reason = reasons.find(([pattern]) => pattern.test(details))?.[1];
  const start = isLocal ? `; start the stack with \`${commandOf("dev")}\`` : "";
  return `${host} cannot be reached${reason === undefined ? "" : `, because ${reason}`}${start}`;
}

/** Reads the routes of a project. Its methods never reject. */
export class Upstream {
  #access: ProjectAccess;
  readonly #locate: (() => Promise<ProjectAccess>) | undefined;
  readonly #function: string;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #fetch: typeof fetch;
  readonly #metricsIntervalMs: number;
  #metrics: { readonly untilMs: number; readonly samples: readonly PrometheusSample[] } | undefined;

  constructor({
    url,
    secretKey,
    locate,
    function: name = "health",
    timeoutMs = 5_000,
    metricsIntervalMs = 30_000,
    signal,
    fetch: send = fetch,
  }: UpstreamOptions) {
    this.#access = { url, secretKey };
    this.#locate = locate;
    this.#function = name;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#fetch = send;
    this.#metricsIntervalMs = metricsIntervalMs;
  }

  /** The origin of the project. */
  get url(): string {
    return this.#access.url;
  }

  /** Reads all routes, each for as long as it may take. Metrics show only whether they can be read. */
  async poll(): Promise<Poll> {
    const startedAt = performance.now();
    const missing: string[] = [];
    const part = async <T>(
      what: string,
      route: string,
      read: (text: string) => T,
      accepted: readonly number[] = [],
    ) => {
      try {
        return read(await this.#get(route, accepted));
      } catch (error) {
        missing.push(`${what}: ${textOf(messageOf(error), 300)}`);
        return undefined;
      }
    };
    const known = startedAt < (this.#metrics?.untilMs ?? -Infinity) ? this.#metrics?.samples : undefined;
    const [snapshot, health, read] = await Promise.all([
      part("The fleet", "fleet", (text) => snapshotOf(jsonOf(text))),
      // 503 is the status of a pool that is not healthy.
      part("The health of the project", "pool", (text) => healthOf(jsonOf(text)), [503]),
      known ? undefined : part("Metrics", "metrics", readPrometheus),
    ]);
    if (read) this.#metrics = { untilMs: startedAt + this.#metricsIntervalMs, samples: read };
    const tookMs = performance.now() - startedAt;
    if (snapshot || health) return { tookMs, snapshot, health, metrics: read ?? known, missing };
    // Metrics of before say nothing about now. A stack that is not running is found by a later poll.
    this.#metrics = undefined;
    this.#access = await this.#locate?.().catch(() => undefined) ?? this.#access;
    return { tookMs, snapshot, health, metrics: read, missing };
  }

  async #get(route: string, accepted: readonly number[]): Promise<string> {
    const prefix = this.#function === "health" ? "" : `${encodeURIComponent(this.#function)}/`;
    const { url, secretKey } = this.#access;
    const { host, hostname } = new URL(url);
    const isLocal = isLoopback(hostname);
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    try {
      const response = await this.#fetch(`${url}/functions/v1/${prefix}health/${route}`, {
        headers: { apikey: secretKey, accept: "application/json, text/plain" },
        redirect: "manual",
        signal: this.#signal ? AbortSignal.any([timeout, this.#signal]) : timeout,
      });
      if (!response.ok && !accepted.includes(response.status)) {
        await response.body?.cancel();
        throw new Error(reasonOf(response, this.#function, isLocal));
      }
      return await readText(response);
    } catch (error) {
      if (timeout.aborted) throw new Error(`no response within ${this.#timeoutMs / 1000} s`);
      if (error instanceof TypeError) throw new Error(unreachable(error, host, isLocal));
      throw error;
    }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("the response is not JSON");
  }
}

function healthOf(value: unknown): Health {
  const { status, details } = fieldsOf(value);
  if (typeof status !== "string") throw new Error("the response does not have a status");
  return { status: textOf(status, 16), counters: countersOf(fieldsOf(details).stats) };
}
