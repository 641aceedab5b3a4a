/**
 * Very many requests at once, through one handler.
 *
 * What each request does and what befalls it follows from the seed. The order
 * in which they come to their turns also depends on the machine: signatures are
 * checked by threads of the runtime.
 *
 * @module
 */
import type { PooledHandler } from "../../shared/http/mod.ts";
import { SecretShownError, type SecretWatch } from "../support/secret_watch.ts";
import type { Actor, Caller, Callers } from "./callers.ts";
import { createDataApi, type DataApi } from "./data_api.ts";
import { type Database, type Kept, type Task, work } from "./habits.ts";
import { Random } from "./random.ts";

/** What answers requests; made for a handler on a Data API. */
export type Serve = (
  handler: PooledHandler<Database>,
  api: DataApi,
  log: (line: string) => void,
) => (request: Request) => Promise<Response>;

/** How a crowd is made. */
export interface CrowdOptions {
  readonly seed: number;
  /** How many requests there are, all callers together. */
  readonly requests: number;
  /** How many of them are under way at once. */
  readonly atOnce: number;
  readonly callers: Callers;
  readonly watch: SecretWatch;
}

/** What came of it. */
export interface Outcome {
  /** Everything that must not be, in words; empty when callers are isolated. */
  readonly violations: readonly string[];
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** How many rows callers got, all of them looked at. */
  readonly rows: number;
  /** How often something was used that another request had kept, and was refused or not. */
  readonly kept: { readonly refused: number; readonly served: number };
  readonly api: DataApi;
}

/** So many things that requests have kept are there to be found. */
const MAX_KEPT = 300;

/** Statuses that a request may be answered with, whatever befell its calls. */
const STATUSES = [200, 401, 499, 500, 502, 503, 504];

/** The requests of one run. */
export class Crowd {
  readonly #options: CrowdOptions;
  readonly #api: DataApi;
  readonly #fetch: (request: Request) => Promise<Response>;
  readonly #violations: string[] = [];
  readonly #statuses: Record<number, number> = {};
  /** What requests have kept, and their numbers. */
  readonly #kept: (readonly [kept: Kept, by: number])[] = [];
  /** The requests that have been answered. */
  readonly #answered = new Set<number>();
  readonly #used = { refused: 0, served: 0 };
  #rows = 0;

  constructor(options: CrowdOptions, serve: Serve) {
    this.#options = options;
    this.#api = createDataApi(options.seed, options.callers);
    this.#fetch = serve((request, context) => this.#handle(request, context), this.#api, (line) => {
      this.#inspect(() => options.watch.inspect("the log", line));
    });
  }

  /** Sends all requests and waits for their answers. */
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

  /** Who makes the request of that number. */
  #callerOf(n: number): Caller {
    const random = new Random(this.#options.seed, "caller", n);
    const { users, impostors } = this.#options.callers;
    const nobody: Caller = { actor: "anonymous", authorization: undefined, refused: false };
    switch (random.pick({ user: 90, nobody: 5, impostor: 5 })) {
      case "user":
        return users[random.below(users.length)] ?? nobody;
      case "impostor":
        return impostors[random.below(impostors.length)] ?? nobody;
      case "nobody":
        return nobody;
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
      new Request(`http://functions.test/crowd?n=${n}`, {
        headers: caller.authorization === undefined ? {} : { authorization: caller.authorization },
        signal: leaves.signal,
      }),
    );
    this.#answered.add(n);
    const text = await response.text();
    clearTimeout(timer);
    this.#judge(n, caller, response, text);
    // Some callers are slow to come back, so that leases are also let go and taken with nobody waiting.
    if (random.chance(0.2)) await new Promise((resolve) => setTimeout(resolve, random.below(5)));
  }

  #judge(n: number, { actor, refused }: Caller, response: Response, text: string): void {
    const { status } = response;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    const { watch } = this.#options;
    this.#inspect(() => watch.inspectHeaders(`request ${n}`, response));
    this.#inspect(() => watch.inspect(`request ${n}, an answer of ${status}`, text));
    if (!STATUSES.includes(status)) this.#violations.push(`request ${n} was answered ${status}`);
    if (refused && status !== 401) this.#violations.push(`request ${n}, by nobody, was answered ${status}`);
    if (status !== 200) return;
    const { as, owners } = JSON.parse(text);
    if (as !== (actor === "anonymous" ? null : actor)) {
      this.#violations.push(`request ${n} of ${actor} was taken for one of ${as}`);
    }
    this.#saw(`request ${n}`, actor, owners);
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
        saw: (maker, owners) => this.#saw(`a handler of request ${n}`, maker, owners),
        failed: (error) => this.#failed(error),
      });
      return Response.json({ as: context.userClaims?.id ?? null, owners });
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }

  #keep(kept: Kept, by: number, random: Random): void {
    this.#kept[this.#kept.length < MAX_KEPT ? this.#kept.length : random.below(MAX_KEPT)] = [kept, by];
  }

  #find(random: Random): ReturnType<Task["find"]> {
    const [kept, by] = this.#kept[random.below(this.#kept.length)] ?? [];
    return kept && by !== undefined ? { maker: kept.maker, use: (call) => this.#use(kept, by, call) } : undefined;
  }

  async #use({ maker, outlives, use }: Kept, by: number, call: string): Promise<string[]> {
    const tooLate = this.#answered.has(by) && !outlives;
    try {
      const owners = await use(call);
      this.#used.served++;
      if (tooLate) this.#violations.push(`what request ${by} of ${maker} kept was used after its answer`);
      return owners;
    } catch (error) {
      this.#used.refused++;
      throw error;
    }
  }

  #saw(where: string, maker: Actor, owners: readonly string[]): void {
    for (const owner of owners) {
      this.#rows++;
      if (owner !== maker) this.#violations.push(`${where} got a row of ${owner} for ${maker}`);
    }
  }

  #failed(error: unknown): void {
    this.#inspect(() => this.#options.watch.inspectError("an error", error));
  }

  #inspect(look: () => void): void {
    try {
      look();
    } catch (error) {
      if (!(error instanceof SecretShownError)) throw error;
      this.#violations.push(error.message);
    }
  }
}
