/**
 * The machine and the versions of a run.
 *
 * @module
 */
import { cpus } from "node:os";
import importMap from "../../import_map.json" with { type: "json" };

/** The machine and the versions that results depend on. */
export interface Environment {
  readonly cpu: string;
  readonly cores: number;
  readonly os: string;
  readonly deno: string;
  readonly v8: string;
  /** The version of the Postgres server, where one was measured. */
  readonly postgres?: string;
  /** Versions of the packages compared with. */
  readonly peers: Readonly<Record<string, string>>;
  /** The load average of the minute before. */
  readonly load: number;
  /** The start of the run, as an ISO 8601 date and time. */
  readonly at: string;
}

const PEERS = ["generic-pool", "lightning-pool", "tarn", "p-limit"] as const;

/**
 * Returns the environment of this run.
 *
 * @param names The packages compared with. Default: the pools of `bench:pool`.
 */
export function environment(names: readonly (keyof typeof importMap.imports)[] = PEERS): Environment {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    os: `${Deno.build.os} ${Deno.build.arch}`,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    peers: Object.fromEntries(names.map((name) => [name, importMap.imports[name].replace(/^.*@/, "")])),
    load: Deno.loadavg()[0] ?? NaN,
    at: new Date().toISOString(),
  };
}
