/**
 * A stand-in for the Data API, for services on a real pool.
 *
 * @module
 */
import { SupabaseConnectionPool, type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";

export const PUBLISHABLE_KEY = "sb_publishable_test";

/** A request to the stand-in. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly prefer: string;
}

/** A project with a stand-in for the Data API, and its user pool. */
export interface DataApi extends AsyncDisposable {
  readonly project: FakeProject;
  readonly pool: SupabaseConnectionPool;
  readonly calls: Call[];
}

/** An error of the Data API. */
export function apiError(
  status: number,
  code: string,
  message = "refused",
  more: Record<string, unknown> = {},
): Response {
  return Response.json({ code, message, details: null, hint: null, ...more }, { status });
}

/** Rows with the total that `count=exact` asks for. */
export function counted(rows: readonly unknown[], total: number): Response {
  const range = rows.length === 0 ? "*" : `0-${rows.length - 1}`;
  return Response.json(rows, { status: 206, headers: { "Content-Range": `${range}/${total}` } });
}

/** Starts a stand-in that responds to each call with `respond`. */
export function startDataApi(
  respond: (call: Call, nth: number) => Response | Promise<Response>,
  config: Partial<SupabasePoolConfig> = {},
): DataApi {
  const project = startFakeProject();
  const calls: Call[] = [];
  project.answer = async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const text = await request.text();
    const call: Call = {
      method: request.method,
      path: pathname,
      query: searchParams,
      body: text === "" ? undefined : JSON.parse(text),
      prefer: request.headers.get("Prefer") ?? "",
    };
    calls.push(call);
    return await respond(call, calls.length);
  };
  const pool = SupabaseConnectionPool.getInstance(project.url, PUBLISHABLE_KEY, {
    minConnections: 0,
    retryDelayMs: 1,
    ...config,
  });
  return {
    project,
    pool,
    calls,
    async [Symbol.asyncDispose]() {
      await pool.shutdown(0);
      await project[Symbol.asyncDispose]();
    },
  };
}
