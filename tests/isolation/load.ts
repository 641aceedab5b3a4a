/**
 * Sends many concurrent requests of many users through one handler.
 *
 * The seed decides what each request does and which faults it meets. The order of
 * execution also depends on the machine: the runtime verifies signatures in threads.
 *
 * @module
 */
import type { PooledHandler } from "../../shared/http/mod.ts";
import { SecretShownError, type SecretWatch } from "../support/secret_watch.ts";
import type { Actor, Caller, Callers } from "./callers.ts";
import { createDataApi, type DataApi } from "./data_api.ts";
import { type Database, type Leaked, type Task, work } from "./handler_behaviors.ts";
import { Random } from "./random.ts";

/** Creates the function that responds to requests, from a handler and a Data API. */
export type Serve = (
  handler: PooledHandler<Database>,
  api: DataApi,
  log: (line: string) => void,
) => (request: Request) => Promise<Response>;

/** Options for {@linkcode Load}. */
export interface LoadOptions {
  readonly seed: number;
  /** The number of requests of all callers together. */
  readonly requests: number;
  /** The number of concurrent requests. */
  readonly atOnce: number;
  readonly callers: Callers;
  readonly watch: SecretWatch;
}

/** The result of a run. */
export interface Outcome {
  /** Descriptions of all violations of isolation; empty if callers are isolated. */
  readonly violations: readonly string[];
  /** The number of responses by status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** The number of rows that callers received, all of them checked. */
  readonly rows: number;
  /** The uses of clients, builders and pools that another request had kept, by their result. */
  readonly kept: { readonly refused: number; readonly served: number };
  readonly api: DataApi;
}

/** Maximum number of kept things at a time. */
const MAX_KEPT = 300;

/** Statuses that a response may have. */
const STATUSES = [200, 401, 499, 500, 502, 503, 504];

/** The requests of one run. */
export class Load {
  readonly #options: LoadOptions;
  readonly #api: DataApi;
  readonly #fetch: (request: Request) => Promise<Response>;
  readonly #violations: string[] = [];
  readonly #statuses: Record<number, number> = {};
  /** The things that requests have kept, each with the number of its request. */
  readonly #kept: (readonly [kept: Leaked, by: number])[] = [];
  /** The numbers of the requests that have a response. */
  readonly #answered = new Set<number>();
  readonly #used = { refused: 0, served: 0 };
  #rows = 0;

  constructor(options: LoadOptions, serve: Serve) {
    this.#options = options;
    this.#api = createDataApi(options.seed, options.callers);
    this.#fetch = serve((request, context) => this.#handle(request, context), this.#api, (line) => {
      this.#inspect(() => options.watch.inspect("the log", line));
    });
  }

  /** Sends all requests and waits for their responses. */
  async run(): Promise<Outcome> {
    let next = 0;
    const lane = async () => {
      while (next < this.#options.requests) await this.#request(next++);
    };
    await Promise.all(Array.from({ length: this.#options.atOnce }, lane));
    return {
      violations: [...this.#api.violations, ...this.#violations],
      statuses: this.#statuses,
      rows: this.#rows,
      kept: this.#used,
      api: this.#api,
    };
  }

  /** Returns the caller of request `n`. */
  #callerOf(n: number): Caller {
    const random = new Random(this.#options.seed, "caller", n);
    const { users, impostors } = this.#options.callers;
    const anonymous: Caller = { actor: "anonymous", authorization: undefined, refused: false };
    switch (random.pick({ user: 90, anonymous: 5, impostor: 5 })) {
      case "user":
        return users[random.below(users.length)] ?? anonymous;
      case "impostor":
        return impostors[random.below(impostors.length)] ?? anonymous;
      case "anonymous":
        return anonymous;
    }
  }

  async #request(n: number): Promise<void> {
    const { seed } = this.#options;
    const random = new Random(seed, "request", n);
    const caller = this.#callerOf(n);
    const leaves = new AbortController();
    const timer = random.chance(0.08) ? setTimeout(() => leaves.abort(), random.below(15)) : undefined;
    if (random.chance(0.005)) leaves.abort();
    const response = await this.#fetch(
      new Request(`http://functions.test/load?n=${n}`, {
        headers: caller.authorization === undefined ? {} : { authorization: caller.authorization },
        signal: leaves.signal,
      }),
    );
    this.#answered.add(n);
    const text = await response.text();
    clearTimeout(timer);
    this.#checkResponse(n, caller, response, text);
    // Some callers pause between requests, so that leases are also released and acquired while no caller waits.
    if (random.chance(0.2)) await new Promise((resolve) => setTimeout(resolve, random.below(5)));
  }

  #checkResponse(n: number, { actor, refused }: Caller, response: Response, text: string): void {
    const { status } = response;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    const { watch } = this.#options;
    this.#inspect(() => watch.inspectHeaders(`request ${n}`, response));
    this.#inspect(() => watch.inspect(`request ${n}, a response of ${status}`, text));
    if (!STATUSES.includes(status)) this.#violations.push(`the response of request ${n} had the status ${status}`);
    if (refused && status !== 401) {
      this.#violations.push(`the response of request ${n}, without a valid user, had the status ${status}`);
    }
    if (status !== 200) return;
    const { as, owners } = JSON.parse(text);
    if (as !== (actor === "anonymous" ? null : actor)) {
      this.#violations.push(`request ${n} of ${actor} was handled as one of ${as}`);
    }
    this.#checkRows(`request ${n}`, actor, owners);
  }

  async #handle(request: Request, context: Parameters<PooledHandler<Database>>[1]): Promise<Response> {
    const n = Number(new URL(request.url).searchParams.get("n"));
    const { actor } = this.#callerOf(n);
    const random = new Random(this.#options.seed, "handler", n);
    let calls = 0;
    try {
      const owners = await work({
        actor,
        context,
        random,
        nextCall: () => `${n}.${calls++}`,
        keep: (kept) => this.#keep(kept, n, random),
        find: () => this.#find(random),
        onRows: (maker, owners) => this.#checkRows(`a handler of request ${n}`, maker, owners),
        onError: (error) => this.#inspectError(error),
      });
      return Response.json({ as: context.userClaims?.id ?? null, owners });
    } catch (error) {
      this.#inspectError(error);
      throw error;
    }
  }

  #keep(kept: Leaked, by: number, random: Random): void {
    this.#kept[this.#kept.length < MAX_KEPT ? this.#kept.length : random.below(MAX_KEPT)] = [kept, by];
  }

  #find(random: Random): ReturnType<Task["find"]> {
    const [kept, by] = this.#kept[random.below(this.#kept.length)] ?? [];
    return kept && by !== undefined ? { maker: kept.maker, use: (call) => this.#use(kept, by, call) } : undefined;
  }

  async #use({ maker, outlives, use }: Leaked, by: number, call: string): Promise<string[]> {
    const tooLate = this.#answered.has(by) && !outlives;
    try {
      const owners = await use(call);
      this.#used.served++;
      if (tooLate) this.#violations.push(`what request ${by} of ${maker} kept was used after its response`);
      return owners;
    } catch (error) {
      this.#used.refused++;
      throw error;
    }
  }

  #checkRows(where: string, maker: Actor, owners: readonly string[]): void {
    for (const owner of owners) {
      this.#rows++;
      if (owner !== maker) this.#violations.push(`${where} got a row of ${owner} for ${maker}`);
    }
  }

  #inspectError(error: unknown): void {
    this.#inspect(() => this.#options.watch.inspectError("an error", error));
  }

  #inspect(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof SecretShownError)) throw error;
      this.#violations.push(error.message);
    }
  }
}
