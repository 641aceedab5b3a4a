import { assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { parseDoctorArguments } from "../../local/doctor/arguments.ts";
import { type Finding, toText } from "../../local/doctor/finding.ts";
import { examine } from "../../local/doctor/mod.ts";
import { checkVersions } from "../../local/doctor/project_files.ts";
import { projectAt } from "../../local/project.ts";
import { StackError } from "../../local/stack_error.ts";

const REF = "abcdefghijklmnopqrst";
const OTHER_REF = "tsrqponmlkjihgfedcba";
const SECRET = "a-secret-of-more-than-thirty-two-bytes";

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Creates a key as older projects have them. */
async function legacyKey(claims: Record<string, unknown>, secret = SECRET): Promise<string> {
  const encoder = new TextEncoder();
  const text = [{ alg: "HS256", typ: "JWT" }, { iss: "supabase", ...claims }]
    .map((part) => base64Url(encoder.encode(JSON.stringify(part)))).join(".");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
  return `${text}.${base64Url(signature)}`;
}

/** A project in a temporary folder. */
async function projectOf(files: Record<string, string>): Promise<{ root: string } & AsyncDisposable> {
  const root = await Deno.makeTempDir({ prefix: "doctor-test-" });
  for (const [path, text] of Object.entries({ "supabase/config.toml": 'project_id = "x"\n', ...files })) {
    await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  }
  return { root, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

async function find(
  variables: Record<string, string>,
  files: Record<string, string> = {},
  offline = true,
): Promise<readonly Finding[]> {
  await using project = await projectOf(files);
  return await examine({ project: project.root, envFiles: [], offline }, variables);
}

/** Returns the findings of a check as `level: message`. */
function shown(findings: readonly Finding[], check: string): string[] {
  return findings.filter((finding) => finding.check === check).map(({ level, message }) => `${level}: ${message}`);
}

const PUBLISHABLE = `sb_publishable_${"a".repeat(22)}_12345678`;
const SECRET_KEY = `sb_secret_${"b".repeat(22)}_12345678`;
const URL_OF_PROJECT = { SUPABASE_URL: `https://${REF}.supabase.co` };

Deno.test("examine() checks SUPABASE_URL", async (t) => {
  for (
    const [url, expected] of [
      [`https://${REF}.supabase.co`, `ok: SUPABASE_URL: ${REF}.supabase.co`],
      ["http://127.0.0.1:54321", "ok: SUPABASE_URL: 127.0.0.1"],
      ["https://<ref>.supabase.co", "fail: SUPABASE_URL still has a placeholder"],
      [`${REF}.supabase.co`, "fail: SUPABASE_URL is not an http or https URL"],
      ["http://example.com", "fail: SUPABASE_URL is plain http: keys and tokens can be read on the way"],
      [`https://db.${REF}.supabase.co`, "fail: SUPABASE_URL is the address of the database"],
      [`https://${REF}.supabase.co/rest/v1`, "warn: SUPABASE_URL has the path /rest/v1"],
    ]
  ) {
    await t.step(`${url}`, async () => {
      assertEquals(shown(await find({ SUPABASE_URL: url ?? "" }), "url.value"), [expected]);
    });
  }
  assertMatch(shown(await find({}), "url.value")[0] ?? "", /^skip:/);
});

Deno.test("examine() checks that each key is of the kind that its variable is for", async () => {
  const anon = await legacyKey({ ref: REF, role: "anon", exp: 4e9 });
  const serviceRole = await legacyKey({ ref: REF, role: "service_role", exp: 4e9 });
  const all = await find({
    ...URL_OF_PROJECT,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: PUBLISHABLE, web: SECRET_KEY }),
    SUPABASE_SECRET_KEY: PUBLISHABLE,
    SUPABASE_ANON_KEY: serviceRole,
    SUPABASE_SERVICE_ROLE_KEY: anon,
  });
  assertEquals(shown(all, "keys.kind"), [
    "ok: SUPABASE_PUBLISHABLE_KEYS.default: publishable",
    "fail: SUPABASE_PUBLISHABLE_KEYS.web is a secret key, which bypasses row-level security",
    "fail: SUPABASE_ANON_KEY is a legacy service_role key, which bypasses row-level security",
    "fail: SUPABASE_SECRET_KEY is a publishable key",
    "fail: SUPABASE_SERVICE_ROLE_KEY is a legacy anon key",
  ]);
  const right = await find({ SUPABASE_ANON_KEY: anon, SUPABASE_SERVICE_ROLE_KEY: serviceRole });
  assertEquals(shown(right, "keys.kind"), [
    "ok: SUPABASE_ANON_KEY: legacy anon",
    "ok: SUPABASE_SERVICE_ROLE_KEY: legacy service_role",
  ]);
  assertEquals(shown(right, "keys.legacy"), ["warn: only legacy keys are set"]);
});

Deno.test("examine() finds keys that are cut off, expired, of another project, or not keys", async (t) => {
  const cases: [string, string, string, string][] = [
    ["cut off", "SUPABASE_PUBLISHABLE_KEY", "sb_publishable_abc", "keys.value"],
    ["with a space", "SUPABASE_PUBLISHABLE_KEY", `${PUBLISHABLE.slice(0, 20)} ${PUBLISHABLE.slice(20)}`, "keys.value"],
    ["a placeholder", "SUPABASE_SECRET_KEY", "<your secret key>", "keys.value"],
    ["an access token", "SUPABASE_SECRET_KEY", `sbp_${"0".repeat(40)}`, "keys.kind"],
    ["a part of a JWT", "SUPABASE_ANON_KEY", (await legacyKey({ role: "anon" })).slice(0, 60), "keys.kind"],
    ["not JSON", "SUPABASE_SECRET_KEYS", "sb_secret_x", "keys.value"],
    ["expired", "SUPABASE_ANON_KEY", await legacyKey({ ref: REF, role: "anon", exp: 1 }), "keys.expired"],
    ["of another project", "SUPABASE_ANON_KEY", await legacyKey({ ref: OTHER_REF, role: "anon" }), "keys.project"],
  ];
  for (const [title, name, key, check] of cases) {
    await t.step(title, async () => {
      const findings = await find({ ...URL_OF_PROJECT, [name]: key });
      assertMatch(shown(findings, check)[0] ?? "", /^fail:/, toText(findings));
      // No secret is printed, however wrong it is.
      if (check !== "keys.value" || !key.startsWith("<")) assertEquals(toText(findings).includes(key), false);
    });
  }
});

Deno.test("examine() checks JWT_SECRET against the project's legacy keys", async () => {
  const anon = await legacyKey({ role: "anon", exp: 4e9 });
  const result = async (JWT_SECRET: string) =>
    shown(await find({ SUPABASE_ANON_KEY: anon, JWT_SECRET }), "jwt_secret.value");
  assertEquals(await result(SECRET), ["ok: JWT_SECRET signed the project's legacy keys"]);
  assertEquals(await result(`${SECRET}x`), ["fail: JWT_SECRET did not sign the project's legacy keys"]);
  assertMatch((await result("short"))[0] ?? "", /^fail: JWT_SECRET has fewer than 32 bytes/);
  assertEquals(await result(anon), ["fail: JWT_SECRET holds an API key or a token"]);
  assertEquals(shown(await find({ JWT_SECRET: SECRET }), "jwt_secret.value"), ["ok: JWT_SECRET is long enough"]);
});

Deno.test("examine() checks the address of direct Postgres", async (t) => {
  const cases: [string, Record<string, string>, string, RegExp][] = [
    [
      "IPv6 only",
      { DB_HOST: `db.${REF}.supabase.co`, DB_USER: "authenticator" },
      "database.ipv6",
      /^fail: .*only an IPv6/,
    ],
    [
      "session mode",
      { DB_HOST: "aws-0-eu.pooler.supabase.com", DB_PORT: "5432", DB_USER: `authenticator.${REF}` },
      "database.port",
      /^warn: port 5432/,
    ],
    [
      "transaction mode",
      { DB_HOST: "aws-0-eu.pooler.supabase.com", DB_PORT: "6543", DB_USER: `authenticator.${REF}` },
      "database.port",
      /^ok: /,
    ],
    [
      "no project in the user",
      { DB_HOST: "aws-0-eu.pooler.supabase.com", DB_USER: "postgres" },
      "database.user",
      /^fail: .*names no project/,
    ],
    [
      "another project",
      { DB_HOST: "aws-0-eu.pooler.supabase.com", DB_USER: `authenticator.${OTHER_REF}` },
      "database.user",
      /^fail: .*another project/,
    ],
    ["a wrong port", { DB_HOST: "localhost", DB_PORT: "many" }, "database.config", /^fail: DB_PORT/],
  ];
  for (const [title, variables, check, expected] of cases) {
    await t.step(title, async () => {
      const findings = await find({ ...URL_OF_PROJECT, DB_PASSWORD: "hunter2-hunter2", ...variables });
      assertMatch(shown(findings, check)[0] ?? "", expected, toText(findings));
      assertEquals(toText(findings).includes("hunter2"), false);
    });
  }
});

Deno.test("examine() checks imports, verify_jwt, entrypoints and the configuration", async () => {
  const files = {
    "supabase/config.toml":
      "[functions.pooled]\nverify_jwt = true\n[functions.open]\nverify_jwt = false\n[functions.gone]\n",
    "supabase/functions/pooled/index.ts":
      'import { withPooledSupabase } from "x";\nimport { createClient } from "npm:@supabase/supabase-js@2";\n',
    "supabase/functions/open/index.ts": 'import { createClient } from "https://esm.sh/@supabase/supabase-js@2.39.0";\n',
    "supabase/functions/_shared/supabase-pool/mod.js": 'import "npm:@supabase/supabase-js@^2.119.0";\n',
    "supabase/functions/other/index.ts": 'import { createClient } from "jsr:@supabase/supabase-js";\n',
  };
  const findings = await find({}, files);
  assertEquals(shown(findings, "imports.pinned").length, 2, toText(findings));
  assertEquals(shown(findings, "imports.duplicate"), [
    "warn: @supabase/supabase-js is imported in 3 versions: 2.39.0, none, 2",
  ]);
  assertMatch(shown(findings, "verify_jwt.library")[0] ?? "", /^warn: pooled verifies its callers itself/);
  assertMatch(shown(findings, "verify_jwt.open")[0] ?? "", /^ok: 1 function takes .*: open$/);
  assertMatch(shown(findings, "project.entrypoint")[0] ?? "", /^fail: gone: .* does not exist$/);
  const broken = await find({}, { "supabase/config.toml": "[api\n" });
  assertMatch(shown(broken, "project.config")[0] ?? "", /^fail: .*config\.toml/);
});

Deno.test("examine() reads .env files of the project, and variables of the environment win", async () => {
  const files = { "supabase/functions/.env": `SUPABASE_URL=http://example.com\nSUPABASE_SECRET_KEY=${PUBLISHABLE}\n` };
  const findings = await find(URL_OF_PROJECT, files);
  assertEquals(shown(findings, "url.value"), [`ok: SUPABASE_URL: ${REF}.supabase.co`]);
  assertEquals(shown(findings, "keys.kind"), ["fail: SUPABASE_SECRET_KEY is a publishable key"]);
  await using project = await projectOf({});
  const missing = examine({ project: project.root, envFiles: ["/nowhere/.env"], offline: true }, {});
  await assertRejects(() => missing, StackError, "Cannot read /nowhere/.env: it does not exist");
});

Deno.test("examine() asks the Data API and Auth", async () => {
  let mode: "good" | "wrong key" | "no keys" | "down" = "good";
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (mode === "down") return new Response("", { status: 521 });
    if (mode === "wrong key" && pathname !== "/auth/v1/.well-known/jwks.json") return new Response("", { status: 401 });
    if (pathname.startsWith("/rest/v1/")) return Response.json({ code: "PGRST205" }, { status: 404 });
    if (pathname === "/auth/v1/health") return Response.json({ name: "GoTrue" });
    return Response.json({ keys: mode === "no keys" ? [] : [{ kty: "EC" }] });
  });
  const variables = { SUPABASE_URL: `http://127.0.0.1:${server.addr.port}`, SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE };
  const good = await find({ ...variables, SUPABASE_SECRET_KEYS: `{"default":"${SECRET_KEY}"}` }, {}, false);
  assertEquals(["data_api", "auth", "secret_key", "jwks"].map((check) => shown(good, `services.${check}`)[0]), [
    "ok: the Data API responds (200)",
    "ok: Auth responds (200)",
    "ok: the Data API, with the secret key, responds (200)",
    "ok: Auth publishes 1 key to verify tokens with",
  ]);
  mode = "wrong key";
  assertEquals(shown(await find(variables, {}, false), "services.auth"), ["fail: Auth rejects the key (401)"]);
  mode = "no keys";
  assertMatch(shown(await find(variables, {}, false), "services.jwks")[0] ?? "", /^fail: Auth publishes no keys/);
  mode = "down";
  assertEquals(shown(await find(variables, {}, false), "services.data_api"), ["fail: the Data API responds with 521"]);
  await server.shutdown();
  assertMatch(shown(await find(variables, {}, false), "services.auth")[0] ?? "", /^fail: Auth does not respond/);
});

Deno.test("examine() says why a host does not respond, and sends and shows no credentials of a URL", async () => {
  const keys = { SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE };
  const unknown = await find({ SUPABASE_URL: "https://project.invalid", ...keys }, {}, false);
  assertMatch(shown(unknown, "services.auth")[0] ?? "", /^fail: Auth does not respond: .{12,}/);
  assertMatch(shown(unknown, "services.auth")[0] ?? "", /project\.invalid|dns|ENOTFOUND|lookup|resolve/i);

  const open = await find({ SUPABASE_URL: "http://ada:hidden-word@127.0.0.1:54399", ...keys }, {}, false);
  assertEquals(shown(open, "url.value"), ["fail: SUPABASE_URL contains a user name or a password"]);
  assertEquals(open.filter(({ level, check }) => level === "skip" && check === "services.data_api").length, 1);
  assertEquals(toText(open).includes("hidden-word"), false);
});

Deno.test("checkVersions() rejects a version of Deno that is too old", async () => {
  await using folder = await projectOf({ "package.json": '{"devDependencies":{"supabase":"^1.2.3"}}' });
  const project = projectAt(folder.root);
  const levels = async (version: string) => (await checkVersions(project, version)).list.map(({ level }) => level);
  assertEquals(await levels("2.1.3"), ["fail", "warn"]);
  for (const version of ["2.1.4", "2.1.4+abc", "2.10.0", "3.0.0"]) assertEquals(await levels(version), ["ok", "warn"]);
});

Deno.test("parseDoctorArguments() reads options, and rejects unknown ones", () => {
  assertEquals(parseDoctorArguments(["--json", "--offline", "x", "--env-file", "a", "--env-file=b"]), {
    help: false,
    project: "x",
    envFiles: ["a", "b"],
    offline: true,
    json: true,
  });
  for (const args of [["--ofline"], ["--env-file"], ["a", "b"]]) {
    assertThrows(() => parseDoctorArguments(args), StackError);
  }
  assertStringIncludes(
    (() => {
      try {
        parseDoctorArguments(["--ofline"]);
        return "";
      } catch (error) {
        return String(error);
      }
    })(),
    "did you mean --offline?",
  );
});

Deno.test("examine() lists each part that a variable switches off, and the variables that are no switches", async () => {
  const findings = await find(
    { ...URL_OF_PROJECT, POOL_ENABLED: "off", DB_RETRIES: "0", POOL_ADAPTIVE_LIMIT: "dry-run", POOL_PRIORITIES: "no" },
    { "supabase/functions/.env": "POOL_RETRIES=false\nPOOL_HEALTH_CHECKS=on\nPOOL_ADAPTIVE_LIMIT=off\n" },
  );
  const switches = findings.filter(({ check }) => check.startsWith("switches."));
  assertEquals(switches.map(({ level, message }) => `${level}: ${message}`), [
    "warn: POOL_ENABLED=off (environment) switches off pooling of clients: requests have no limit and no queue",
    "warn: POOL_RETRIES=off (supabase/functions/.env) switches off retries of calls",
    'fail: POOL_PRIORITIES is "no", must be on or off, true or false, 1 or 0',
    "warn: POOL_ADAPTIVE_LIMIT=dry-run: the adaptive limit changes nothing",
    "warn: DB_RETRIES=off (environment) switches off retries on Postgres",
  ]);
  assertEquals((await find(URL_OF_PROJECT)).filter(({ check }) => check.startsWith("switches.")), []);
});
