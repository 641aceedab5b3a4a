/**
 * One pool for each project, key and set of client options.
 *
 * @module
 */
import { ConfigError } from "../pool/mod.ts";
import { parseSupabasePoolConfig, type SupabasePoolConfig } from "./config.ts";

/** A pool, as the registry sees it. */
interface Registered {
  readonly config: Readonly<SupabasePoolConfig>;
}

/** Pools by address, key and client options (schema, headers). */
export class Registry<P extends Registered> {
  readonly #pools = new Map<string, P>();

  /**
   * The pool that is there, or the one that `make` makes.
   *
   * @throws {ConfigError} when `config` is bad, or differs from the one of the
   * pool that is there; it names the options that differ.
   */
  get(
    url: string,
    key: string,
    config: Partial<SupabasePoolConfig> | undefined,
    make: (config: Readonly<SupabasePoolConfig>) => P,
  ): P {
    const wanted = parseSupabasePoolConfig(config);
    const name = nameOf(url, key, wanted);
    const there = this.#pools.get(name);
    if (!there) {
      const pool = make(wanted);
      this.#pools.set(name, pool);
      return pool;
    }
    if (config === undefined) return there;
    const issues = (Object.keys(wanted) as (keyof SupabasePoolConfig)[])
      .filter((option) => !same(wanted[option], there.config[option]))
      .map((option) => ({
        path: option,
        message: "differs from that of the pool that is there; shut that one down first, or ask without a config",
      }));
    if (issues.length > 0) throw new ConfigError(issues);
    return there;
  }

  /** Forgets `pool`. */
  delete(pool: P): void {
    for (const [name, registered] of this.#pools) if (registered === pool) this.#pools.delete(name);
  }
}

function nameOf(url: string, key: string, { schema, headers }: Readonly<SupabasePoolConfig>): string {
  const sorted = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]).sort();
  return JSON.stringify([url, key, schema, sorted]);
}

/** Options are numbers, texts, functions, or small plain data. */
function same(a: unknown, b: unknown): boolean {
  return Object.is(a, b) || (typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b));
}
