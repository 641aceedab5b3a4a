/**
 * A handler behind fake pools, for tests.
 *
 * @module
 */
import { type PooledHandler, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

/** A handler behind fakes, how to call it, and what it logged. */
export interface FakeHandler {
  readonly service: FakePools;
  readonly log: string[];
  readonly fetch: (request: Request) => Promise<Response>;
  readonly send: (init?: RequestInit, path?: string) => Promise<Response>;
}

/** Creates a handler on fake pools. It accepts all callers by default. */
export function setUp(handler: PooledHandler<unknown>, options: PooledSupabaseOptions<unknown> = {}): FakeHandler {
  const service = new FakePools();
  const log: string[] = [];
  const fetch = withPooledSupabase<unknown>(
    { auth: "none", variables: VARIABLES, service, log: (line) => log.push(line), ...options },
    handler,
  );
  return { service, log, fetch, send: (init = {}, path = "/f") => fetch(new Request(`https://x.test${path}`, init)) };
}

/** Responds, and does nothing else. */
export function ok(): Response {
  return Response.json({ ok: true });
}
