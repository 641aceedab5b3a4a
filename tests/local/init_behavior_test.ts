/**
 * The behavior of functions before and after `init --migrate`: the same responses, and the same parties that the calls
 * to the project act for.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SignJWT } from "jose";
import { dirname, join } from "node:path";
import { ModuleGraph } from "../../local/init/source/graph.ts";
import { migrate } from "../../local/init/source/migrate.ts";
import type { Migration } from "../../local/init/source/migration.ts";
import { fromFileUrl } from "../../local/paths.ts";
import { runJsonScript } from "../support/json_script.ts";
import { FUNCTIONS, type SampleFunction } from "./init_functions/mod.ts";
import type { FunctionRequest, FunctionResponse, FunctionRuns } from "./run_functions.ts";

const ROOT = new URL("../../", import.meta.url);
const CONFIG = fromFileUrl(new URL("deno.json", ROOT));
const PACKAGE = new URL("shared/mod.ts", ROOT).href;

/** Migrates a function whose files are in `folder`. */
function migrateIn(
  folder: string,
  { source, file = "index.ts", others = {}, imports = {} }: SampleFunction,
): Migration {
  const files = new Map([[join(folder, file), source]]);
  for (const [path, text] of Object.entries(others)) files.set(join(folder, path), text);
  const graph = new ModuleGraph((path) => files.get(path), imports);
  const module = graph.at(join(folder, file));
  assert(module);
  return migrate(module, graph, PACKAGE);
}

Deno.test("init --migrate rewrites the sample functions, or leaves their clients for a reason", async (t) => {
  for (const [name, sample] of Object.entries(FUNCTIONS)) {
    await t.step(name, () => {
      const { text, left } = migrateIn("/p/supabase/functions/notes", sample);
      const reasons = left.map(({ line, text }) => `${line}: ${text}`);
      assertEquals(reasons.length, sample.left.length, `${reasons.join("\n")}\n${text}`);
      for (const [index, part] of sample.left.entries()) assertStringIncludes(reasons[index] ?? "", part);
      assertEquals(
        text !== undefined,
        sample.isRewritten ?? sample.left.length === 0,
        `${reasons.join("\n")}\n${text}`,
      );
    });
  }
});

const SECRET = "a secret of at least thirty-two bytes";
const sign = (payload: Record<string, unknown>) =>
  new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(
    new TextEncoder().encode(SECRET),
  );
const TOKENS = {
  anon: await sign({ role: "anon" }),
  service: await sign({ role: "service_role" }),
  user: await sign({ sub: "user", role: "authenticated", aud: "authenticated" }),
  "user two": await sign({ sub: "user two", role: "authenticated", aud: "authenticated" }),
};

const get = (headers: Readonly<Record<string, string>> = {}): FunctionRequest => ({ method: "GET", headers });
const as = (token: string) => ({ Authorization: `Bearer ${token}` });

/** The requests to each function, in this order. */
const REQUESTS: Readonly<Record<string, FunctionRequest>> = {
  user: get(as(TOKENS.user)),
  "another user": get(as(TOKENS["user two"])),
  "the first user again": get(as(TOKENS.user)),
  "a user with a branch": get({ ...as(TOKENS.user), "x-all": "1" }),
  "signed out": get({ ...as(TOKENS.anon), apikey: TOKENS.anon }),
  cron: get(as("cron-secret")),
  tenant: get({ ...as(TOKENS.user), "x-tenant": "b", "x-key": "secret" }),
  webhook: { method: "POST", headers: { "stripe-signature": await signature("{}") }, body: "{}" },
  "forged webhook": { method: "POST", headers: { "stripe-signature": "00" }, body: "{}" },
  preflight: { method: "OPTIONS", headers: { Origin: "https://app.test", "Access-Control-Request-Method": "GET" } },
};

async function signature(body: string): Promise<string> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const key = await crypto.subtle.importKey("raw", bytes("whsec"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return Array.from(
    new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(body))),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}

async function run(folder: string, modules: readonly string[]): Promise<FunctionResponse[][]> {
  const names = Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [token, name]));
  const runs: FunctionRuns = { modules, requests: Object.values(REQUESTS), names };
  return await runJsonScript(new URL("run_functions.ts", import.meta.url), {
    input: runs,
    cwd: folder,
    env: {
      SUPABASE_URL: "http://project.test",
      SUPABASE_ANON_KEY: TOKENS.anon,
      SUPABASE_SERVICE_ROLE_KEY: TOKENS.service,
      JWT_SECRET: SECRET,
      CRON_SECRET: "cron-secret",
      OTHER_TOKEN: TOKENS["user two"],
    },
  });
}

/** Writes a function before and after its migration; returns the URLs of both. */
async function writeBoth(folder: string, name: string, sample: SampleFunction): Promise<string[]> {
  const { file = "index.ts", source, others = {} } = sample;
  const { text = source } = migrateIn("/p/supabase/functions/notes", sample);
  const urls: string[] = [];
  for (const [side, content] of Object.entries({ before: source, after: text })) {
    const path = join(folder, name.replaceAll(/\W+/g, "_"), side, file);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, content);
    for (const [other, text] of Object.entries(others)) await Deno.writeTextFile(join(dirname(path), other), text);
    urls.push(`file://${path}`);
  }
  return urls;
}

/** Returns the parties that the calls of a response act for. */
function partiesOf({ calls }: FunctionResponse): string[] {
  return [...new Set(calls.map((call) => call.replace(/^.* as /, "")))];
}

/**
 * Checks that a function responds and acts as before. Preflights may have status 204 where the function gave 200, and
 * Auth need not be asked about the anonymous key. A token that the project rejects may be rejected earlier, or count as
 * none.
 */
function assertSame(after: FunctionResponse, before: FunctionResponse, request: string): void {
  if (partiesOf(before).includes("unknown")) {
    const allowed = [...partiesOf(before), "anon"];
    assertEquals(partiesOf(after).filter((party) => !allowed.includes(party)), [], request);
    return;
  }
  const form = ({ status, body, calls, allowOrigin }: FunctionResponse) => ({
    ...request === "preflight" && status < 300 ? { status: 204 } : { status, body },
    calls: calls.filter((call) => call !== "GET /auth/v1/user as anon"),
    allowOrigin,
  });
  assertEquals(form(after), form(before), request);
}

Deno.test("init --migrate: the sample functions respond and act as before", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "functions-" });
  try {
    const samples = Object.entries(FUNCTIONS).filter(([name, { isStatic }]) => {
      return !isStatic && migrateIn("/p", FUNCTIONS[name] as SampleFunction).text !== undefined;
    });
    const urls: string[] = [];
    for (const [name, sample] of samples) urls.push(...await writeBoth(folder, name, sample));
    await t.step("types", async () => {
      const paths = urls.map((url) => fromFileUrl(new URL(url)));
      const { stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["check", "-q", `--config=${CONFIG}`, ...paths.filter((path) => !path.endsWith(".js"))],
        env: { NO_COLOR: "1" },
      }).output();
      const errors = new TextDecoder().decode(stderr).split(/^(?=TS\d+ )/m).slice(1);
      // The options of this project reject names that are not used, and some become so.
      assertEquals(errors.filter((error) => !error.startsWith("TS6133 ")), []);
    });
    const results = await run(folder, urls);
    for (const [index, [name]] of samples.entries()) {
      await t.step(name, () => {
        const [before = [], after = []] = results.slice(index * 2);
        for (const [at, request] of Object.keys(REQUESTS).entries()) {
          const [one, two] = [before[at], after[at]];
          assert(one && two);
          assertSame(two, one, request);
        }
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
