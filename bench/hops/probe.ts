/**
 * Takes one path of the library, warm, and reports which functions it entered.
 * Run by `main.ts` under `--v8-flags=--trace`.
 *
 * Arguments: the path's name, and the folder of the repository to look at (as a
 * file URL that ends with a slash).
 *
 * @module
 */
import { Session } from "node:inspector";

/** A function of the library that was entered. */
export interface Entered {
  /** Its name as the engine has it; empty for an anonymous function. */
  readonly name: string;
  /** The URL of its file. */
  readonly url: string;
  /** The position of its first character in the executed code. */
  readonly offset: number;
  /** The number of entries. */
  readonly count: number;
}

/** The names of the paths. */
export const PATHS = ["get-categories", "acquire", "query"] as const;

const [path = "", root = ""] = Deno.args;

const load = (file: string) => import(new URL(file, root).href);

/** Calls the inspector. */
function inspector(): (method: string, params?: object) => Promise<unknown> {
  const session = new Session();
  session.connect();
  return (method, params = {}) =>
    new Promise((resolve, reject) => {
      session.post(method, params, (error: unknown, result: unknown) => error ? reject(error) : resolve(result));
    });
}

/** `GET /categories` of a user whose token is remembered, with a free slot. */
async function getCategories(): Promise<() => Promise<void>> {
  const secret = "a-shared-secret-of-more-than-32-bytes";
  const { SignJWT } = await import("jose");
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const token = await new SignJWT({ sub: "11111111-1111-4111-8111-111111111111", role: "authenticated", exp })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(new TextEncoder().encode(secret));
  const { createCategoriesHandler } = await load("functions/categories/handler.ts");
  globalThis.fetch = () => Promise.resolve(new Response("[]", { headers: { "content-type": "application/json" } }));
  const handle = createCategoriesHandler({
    variables: {
      SUPABASE_URL: "https://project.test",
      SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
      SUPABASE_SECRET_KEY: "sb_secret_test",
      SUPABASE_JWKS: '{"keys":[]}',
      JWT_SECRET: secret,
    },
  });
  const url = "https://x.test/categories?budget_id=123e4567-e89b-12d3-a456-426614174000";
  return async () => {
    const response = await handle(new Request(url, { headers: { authorization: `Bearer ${token}` } }));
    if (response.status !== 200) throw new Error(await response.text());
    await response.text();
  };
}

/** `pool.acquire()` where nothing is idle and the factory is synchronous. */
async function acquire(): Promise<() => Promise<void>> {
  const { ResourcePool } = await load("shared/pool/mod.ts");
  const pool = new ResourcePool({ create: () => ({}), destroy: () => {} }, { minConnections: 0 });
  return async () => {
    await pool.acquire();
  };
}

/** `manager.query()` as the login role, the statement prepared and a connection free. */
async function query(): Promise<() => Promise<void>> {
  const { PostgresConnectionManager } = await load("shared/postgres/mod.ts");
  const { hostname: host, port, username: user, password } = new URL(Deno.env.get("HOPS_POSTGRES_URL") ?? "");
  const login = { host, port: Number(port), database: "postgres", user, password, ssl: false };
  const manager = new PostgresConnectionManager({ ...login, minConnections: 0 });
  return async () => {
    await manager.query("SELECT 1 AS one");
  };
}

const makers: Record<string, () => Promise<() => Promise<void>>> = {
  "get-categories": getCategories,
  acquire,
  query,
};

/** Marks the trace: the engine prints its name when it is entered. */
function hopsBegin(): void {}

/** Marks the end of the path in the trace. */
function hopsEnd(): void {}

if (import.meta.main) {
  const make = makers[path];
  if (!make) throw new Error(`Unknown path: expected one of ${PATHS.join(", ")}`);
  const post = inspector();
  const work = await make();
  // Warm: what is loaded, compiled, remembered or prepared once has been.
  for (let round = 0; round < 5; round++) await work();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await post("Profiler.enable");
  await post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  hopsBegin();
  await work();
  hopsEnd();
  const { result } = await post("Profiler.takePreciseCoverage") as {
    result: { url: string; functions: { functionName: string; ranges: { startOffset: number; count: number }[] }[] }[];
  };
  const entered: Entered[] = result
    .filter(({ url }) => url.startsWith(`${root}shared/`) || url.startsWith(`${root}functions/`))
    .flatMap(({ url, functions }) =>
      functions.map(({ functionName: name, ranges: [range] }) => ({
        name,
        url,
        offset: range?.startOffset ?? 0,
        count: range?.count ?? 0,
      }))
    ).filter(({ count }) => count > 0);
  // The trace goes to the standard output.
  console.error(`ENTERED ${JSON.stringify(entered)}`);
  Deno.exit(0);
}
