/**
 * Where it was measured.
 *
 * @module
 */
import { cpus } from "node:os";
import importMap from "../../import_map.json" with { type: "json" };

/** What figures depend on, besides what was measured. */
export interface Environment {
  readonly cpu: string;
  readonly cores: number;
  readonly os: string;
  readonly deno: string;
  readonly v8: string;
  /** Versions of those we compare with. */
  readonly peers: Readonly<Record<string, string>>;
  /** How many programs wanted to run in the minute before, on the average. */
  readonly load: number;
  /** When, as an ISO 8601 date and time. */
  readonly at: string;
}

const PEERS = ["generic-pool", "lightning-pool", "tarn", "p-limit"] as const;

/**
 * This machine, now.
 *
 * @param names Those we compare with.
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
