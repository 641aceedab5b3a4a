/**
 * The cases: how many sockets new clients use, and what a limit does to many
 * callers.
 *
 * @module
 */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { SupabaseConnectionPool } from "../../shared/mod.ts";
import { countSockets } from "../compare/sockets.ts";
import type { Candidate, Case, Measurement } from "../support/case.ts";
import { startChild } from "../support/child.ts";
import { quantile } from "../support/statistics.ts";

/** The metrics of a case. */
export type Metric =
  /** The most sockets that were open to the Data API. */
  | "sockets"
  /** Completed requests per second. */
  | "requestsPerSecond"
  /** Median time of a request, its wait for the pool included, in ms. */
  | "p50Ms"
  /** 99th percentile of that time, in ms. */
  | "p99Ms";

/** The size of a run. */
export interface Size {
  /** Requests of each candidate in the case `sockets`. */
  readonly requests: number;
  /** Concurrent callers in the case `limits`. */
  readonly callers: number;
  /** Run time of each candidate of the case `limits`, in ms. */
  readonly forMs: number;
}

/** The size of the published results. */
export const FULL: Size = { requests: 2_000, callers: 1_000, forMs: 1_500 };

/** The limits measured; 100 is `ours` in the results. */
export const LIMITS: readonly number[] = [10, 20, 50, 100, 200];

/** The time the Data API takes to respond in the case `limits`, in ms. */
export const DELAY_MS = 5;

const KEY = "sb_publishable_benchmark";
const AUTH = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };

/** Sends one request. */
type Send = () => Promise<void>;

async function select(client: Pick<SupabaseClient, "from">): Promise<void> {
  const { error } = await client.from("categories").select();
  if (error) throw error;
}

/** An unsigned token: the pool of a script trusts the token it is given, and this Data API reads none. */
function token(): string {
  const encode = (part: unknown) => btoa(JSON.stringify(part)).replaceAll("=", "");
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  return `${encode({ alg: "none" })}.${encode({ sub: "user", role: "authenticated", exp })}.x`;
}

/** Runs `callers` loops until `next` returns false. */
async function run(callers: number, next: () => boolean, send: Send): Promise<void> {
  await Promise.all(Array.from({ length: callers }, async () => {
    while (next()) await send();
  }));
}

function pooled(url: string, maxConnections: number): { send: Send; close: () => Promise<void> } {
  const pool = SupabaseConnectionPool.getInstance(url, KEY, { maxConnections, acquireTimeoutMs: 30_000 });
  const identity = { token: token() };
  return {
    async send() {
      await using lease = await pool.lease({ identity });
      await select(lease.client as SupabaseClient);
    },
    close: () => pool.shutdown(),
  };
}

/** Sends `requests` from `callers` loops to a server of its own, because sockets outlive what opened them. */
async function socketsOf(
  { requests }: Size,
  callers: number,
  open: (url: string) => { send: Send; close?: () => Promise<void> },
): Promise<Measurement<Metric>> {
  await using child = startChild(new URL("slow_data_api.ts", import.meta.url), ["--allow-net=127.0.0.1"], ["0"]);
  const url = await child.line();
  const { send, close } = open(url);
  let sent = 0;
  let sockets = 0;
  await run(callers, () => sent++ < requests, async () => {
    await send();
    if (sent % Math.ceil(requests / 20) === 0) sockets = Math.max(sockets, countSockets(Number(new URL(url).port)));
  });
  await close?.();
  return { sockets };
}

function socketsCase(size: Size): Case<Metric> {
  const fresh = (url: string) => ({ send: () => select(createClient(url, KEY, { auth: AUTH })) });
  const shared = (url: string) => {
    const client = createClient(url, KEY, { auth: AUTH });
    return { send: () => select(client) };
  };
  const candidate = (id: string, title: string, callers: number, open: Parameters<typeof socketsOf>[2]) => ({
    id,
    title,
    measure: () => socketsOf(size, callers, open),
  });
  return {
    id: "sockets",
    title: `sockets used by ${size.requests.toLocaleString("en")} requests`,
    metrics: ["sockets"],
    candidates: [
      candidate("fresh", "new clients, one at a time", 1, fresh),
      candidate("shared", "a shared client, one at a time", 1, shared),
      candidate("fresh_100", "new clients, 100 at a time", 100, fresh),
      candidate("shared_100", "a shared client, 100 at a time", 100, shared),
      candidate("ours", "pool of 20, 100 at a time", 100, (url) => pooled(url, 20)),
    ],
  };
}

async function underLoad({ callers, forMs }: Size, send: Send): Promise<Measurement<Metric>> {
  const latencies: number[] = [];
  const start = performance.now();
  let end = start;
  await run(callers, () => performance.now() - start < forMs, async () => {
    const sentAt = performance.now();
    await send();
    end = performance.now();
    latencies.push(end - sentAt);
  });
  return {
    requestsPerSecond: latencies.length / (end - start) * 1_000,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}

async function limitsCase(size: Size, resources: AsyncDisposableStack): Promise<Case<Metric>> {
  // Each candidate has a server address of its own, so that each has its own pool and sockets.
  const candidate = async (id: string, title: string, open: (url: string) => Send): Promise<Candidate<Metric>> => {
    const script = new URL("slow_data_api.ts", import.meta.url);
    const child = resources.use(startChild(script, ["--allow-net=127.0.0.1"], [String(DELAY_MS)]));
    const send = open(await child.line());
    return { id, title, measure: () => underLoad(size, send) };
  };
  const limited = (limit: number, id = limit === 100 ? "ours" : `limit_${limit}`) =>
    candidate(id, `pool, maxConnections ${limit.toLocaleString("en")}`, (url) => {
      const { send, close } = pooled(url, limit);
      resources.defer(close);
      return send;
    });
  return {
    id: "limits",
    title: `${size.callers.toLocaleString("en")} callers, ${DELAY_MS} ms each`,
    metrics: ["requestsPerSecond", "p50Ms", "p99Ms"],
    candidates: [
      ...await Promise.all(LIMITS.map((limit) => limited(limit))),
      await limited(size.callers, "no_limit"),
      await candidate("shared", "a shared client, no pool", (url) => {
        const client = createClient(url, KEY, { auth: AUTH });
        return () => select(client);
      }),
    ],
  };
}

/** The ids of all cases, as `--only` takes them. */
export const CASE_IDS: readonly string[] = ["sockets", "limits"];

/** Opens all cases. Their servers and pools close with `resources`. */
export async function openCases(size: Size, resources: AsyncDisposableStack): Promise<Case<Metric>[]> {
  return [socketsCase(size), await limitsCase(size, resources)];
}
