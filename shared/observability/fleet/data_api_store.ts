/**
 * The store of the fleet in Postgres, through the Data API: isolates need no driver and no connection of their own.
 *
 * @module
 */
import { countOf, fieldsOf, memberOf, messageOf } from "../../resilience/mod.ts";
import type { AlertChange, AppliedChange } from "../alerts/types.ts";
import { FleetStoreError } from "./errors.ts";
import { parseEvaluation, parseState } from "./parse.ts";
import { DROP_MS, type FleetDetail, type FleetReply, type FleetReport, type FleetState } from "./types.ts";
import type { FleetStore } from "./types.ts";

/** Options for {@linkcode DataApiFleetStore}. */
export interface DataApiFleetStoreOptions {
  /** The project's URL. */
  readonly url: string;
  /** A secret key of the project, or the legacy service_role key. */
  readonly key: string;
  /** Sends the requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** The time after which an isolate that does not report counts no more, in ms, 1,000 to 30,000. Default: 28,000. */
  readonly dropMs?: number | undefined;
}

/** The longest response that is read, in bytes. A full fleet takes about half of it. */
const MAX_RESPONSE_BYTES = 8 * 2 ** 20;

/** Codes of a Data API that does not have the functions, or not under this schema. */
const MISSING: readonly unknown[] = ["PGRST202", "PGRST106", "42883"];

/** Reads at most {@linkcode MAX_RESPONSE_BYTES} of a body. */
async function readBounded(response: Response): Promise<string> {
  let length = 0;
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      length += chunk.length;
      if (length > MAX_RESPONSE_BYTES) controller.error(new Error("The response of the fleet's store is too long"));
      else controller.enqueue(chunk);
    },
  });
  return response.body ? await new Response(response.body.pipeThrough(bounded)).text() : "";
}

/**
 * Returns a value as JSON that Postgres stores: `jsonb` takes neither U+0000 nor half of a surrogate pair, and rejects a
 * report with one, again and again. Each becomes U+FFFD.
 */
function storable(value: unknown): string {
  return JSON.stringify(value).replace(/\\(?:u0000|ud[89a-f][\da-f]{2}|.)/g, (escape) => {
    return /^\\u(0000|d)/.test(escape) ? "\uFFFD" : escape;
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The store of the fleet in the project's Postgres: its functions `pool_fleet_report` and `pool_fleet_read`, which only
 * `service_role` may execute.
 *
 * It sends its own requests and uses no pool: a report takes no slot, counts in no statistic and in no circuit, and can
 * still be sent while the pools shut down.
 *
 * @example
 * ```ts
 * const store = new DataApiFleetStore({ url, key });
 * const { isolates } = await store.read("totals");
 * ```
 */
export class DataApiFleetStore implements FleetStore {
  /** The kind of the store, for operators. */
  readonly kind = "postgres";
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch: typeof fetch;
  readonly #dropMs: number;

  /** @throws {FleetStoreError} if no header takes the key. */
  constructor({ url, key, fetch = globalThis.fetch, dropMs = DROP_MS }: DataApiFleetStoreOptions) {
    this.#url = `${url}/rest/v1/rpc/`;
    // A key of the newer form is not a token.
    const bearer: Record<string, string> = key.startsWith("sb_") ? {} : { authorization: `Bearer ${key}` };
    this.#headers = { apikey: key, ...bearer, "content-type": "application/json", "content-profile": "public" };
    try {
      new Headers(this.#headers);
    } catch {
      // The message of the runtime has the key.
      throw new FleetStoreError("refused", "Cannot use the fleet: the secret key has characters that no header takes");
    }
    this.#fetch = fetch;
    this.#dropMs = dropMs;
  }

  /**
   * Stores the report of an isolate in place of its former one.
   *
   * @throws {FleetStoreError} if it was not stored.
   */
  async report(report: FleetReport, signal?: AbortSignal): Promise<FleetReply> {
    const { version, evaluation } = await this.#send({ report }, signal);
    const parsed = parseEvaluation(evaluation);
    return { version: countOf(version), ...(parsed ? { evaluation: parsed } : {}) };
  }

  /**
   * Removes an isolate that ends.
   *
   * @throws {FleetStoreError} if it was not removed.
   */
  async remove(isolate: string, signal?: AbortSignal): Promise<void> {
    await this.#send({ remove: isolate }, signal);
  }

  /**
   * Reads the fleet.
   *
   * @throws {FleetStoreError} if the store does not exist, rejects the key, or cannot be reached.
   */
  async read(detail: FleetDetail, signal?: AbortSignal): Promise<FleetState> {
    const options = { detail, dropMs: this.#dropMs };
    return parseState(await this.#call("pool_fleet_read", { p_options: options }, signal), detail);
  }

  /**
   * Changes alerts, each if its state is still the one that was evaluated. Returns the changes that were applied.
   *
   * @throws {FleetStoreError} if the store cannot be reached.
   */
  async changeAlerts(changes: readonly AlertChange[], signal?: AbortSignal): Promise<readonly AppliedChange[]> {
    const { applied } = await this.#send({ changes }, signal);
    const known: unknown[] = Array.isArray(applied) ? applied : [];
    const instants = new Map(known.map((change) => [keyOf(change), countOf(memberOf(change, "sinceMs"))]));
    return changes.flatMap((change) => {
      const sinceMs = instants.get(keyOf(change));
      return sinceMs === undefined ? [] : [{ ...change, sinceMs }];
    });
  }

  async #send(message: unknown, signal: AbortSignal | undefined): Promise<Readonly<Record<string, unknown>>> {
    const reply = fieldsOf(await this.#call("pool_fleet_report", { p_message: message }, signal));
    const { refused } = reply;
    if (refused === undefined) return reply;
    const reason = typeof refused === "string" ? refused.slice(0, 100) : "no reason";
    throw new FleetStoreError(
      refused === "full" ? "full" : "refused",
      `Cannot report to the fleet: its store refused the message (${reason})`,
    );
  }

  async #call(name: string, body: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(this.#url + name, {
        method: "POST",
        headers: this.#headers,
        body: storable(body),
        // A redirect to another host would get the key.
        redirect: "manual",
        signal: signal ?? null,
      });
      text = await readBounded(response);
    } catch (error) {
      const message = `Cannot reach the store of the fleet: ${messageOf(error)}`;
      throw new FleetStoreError("unavailable", message, { cause: error });
    }
    const json = jsonOf(text);
    if (response.ok) {
      if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
      throw new FleetStoreError("unavailable", `Cannot use the fleet: the reply of ${name} is not one of its store`);
    }
    const code = memberOf(json, "code");
    const shown = typeof code === "string"
      ? `status ${response.status}, code ${code.slice(0, 20)}`
      : `status ${response.status}`;
    if (MISSING.includes(code)) {
      throw new FleetStoreError("missing", `Cannot use the fleet: the function ${name} does not exist (${shown})`);
    }
    const isRejected = response.status === 401 || response.status === 403;
    const failure = isRejected ? "refused" : "unavailable";
    throw new FleetStoreError(failure, `Cannot use the fleet: ${name} failed with ${shown}`);
  }
}

function keyOf(change: unknown): string {
  return JSON.stringify([memberOf(change, "rule"), memberOf(change, "function"), memberOf(change, "notice") ?? null]);
}
