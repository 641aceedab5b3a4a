import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseConfig } from "../../local/config/mod.ts";
import { readVariables } from "../../local/config/references.ts";
import { parseSize } from "../../local/config/size.ts";
import { StackError } from "../../local/stack_error.ts";

const PATH = "/p/supabase/config.toml";

Deno.test("parseConfig() has the defaults of the CLI for an empty file", () => {
  const { api, db, auth, storage, warnings } = parseConfig("", PATH);
  assertEquals(api, {
    enabled: true,
    port: undefined,
    schemas: ["public", "graphql_public"],
    extraSearchPath: ["public", "extensions"],
    maxRows: 1000,
    autoExposeNewTables: true,
  });
  assertEquals(db.majorVersion, 17);
  assertEquals(db.seed, { enabled: true, sqlPaths: ["./seed.sql"] });
  assertEquals([auth.jwtExpiryS, auth.enableSignup, auth.minimumPasswordLength], [3600, true, 6]);
  assertEquals(storage, { enabled: true, fileSizeLimit: 50 * 1024 ** 2, buckets: [] });
  assertEquals(warnings, []);
});

Deno.test("parseConfig() reads settings, and env(NAME) from the variables", () => {
  const config = parseConfig(
    `
    [api]
    schemas = ["app"]
    max_rows = 5
    [auth]
    enable_signup = "env(SIGNUP)"
    jwt_expiry = "env(EXPIRY)"
    site_url = "env(SITE)"
    [auth.email]
    enabled = false
    [db.vault]
    token = "env(TOKEN)"
    other = "env(OTHER)"
    [storage.buckets.images]
    public = true
    file_size_limit = "1MiB"
    allowed_mime_types = ["image/png"]
    `,
    PATH,
    { SIGNUP: "false", EXPIRY: "60", SITE: "https://example.com", TOKEN: "t" },
  );
  assertEquals([config.api.schemas, config.api.maxRows], [["app"], 5]);
  assertEquals([config.auth.enableSignup, config.auth.jwtExpiryS], [false, 60]);
  assertEquals([config.auth.siteUrl, config.auth.email.enableSignup], ["https://example.com", false]);
  assertEquals(config.db.vault, { token: "t" });
  assertEquals(config.storage.buckets, [
    { name: "images", public: true, fileSizeLimit: 1024 ** 2, allowedMimeTypes: ["image/png"] },
  ]);
  assertEquals(config.warnings.length, 1);
  assertStringIncludes(config.warnings[0] ?? "", "db.vault.other names OTHER, which is not set");
});

Deno.test("parseConfig() warns of settings without effect and of unknown ones, once each, by name", () => {
  const { warnings } = parseConfig(
    `
    colour = "red"
    [auth]
    enable_manual_linking = true
    [auth.mfa.totp]
    enroll_enabled = true
    verify_enabled = true
    [auth.external.github]
    enabled = true
    client_id = "x"
    [auth.external.apple]
    enabled = false
    [auth.sms]
    enabled = false
    enable_signup = true
    [auth.hook.send_email]
    enabled = true
    uri = "pg-functions://postgres/public/hook"
    `,
    PATH,
  );
  const named = ["enable_manual_linking", "mfa.totp.enroll_enabled", "external.github.enabled", "hook.send_email"];
  for (const name of named) {
    assertEquals(warnings.filter((line) => line.includes(name) && line.includes("no effect: ")).length, 1, name);
  }
  assert(warnings.some((line) => line.includes("colour is not known to the Supabase CLI")));
  assertEquals(warnings.length, 5, warnings.join("\n"));
});

Deno.test("parseConfig() warns of settings of parts that the stack does not have, unless they have their defaults", () => {
  const lines = (text: string) => parseConfig(text, PATH).warnings;
  const changed: [section: string, setting: string, value: string][] = [
    ["edge_runtime", "policy", '"oneshot"'],
    ["edge_runtime", "inspector_port", "9229"],
    ["db", "shadow_port", "55320"],
    ["db", "health_timeout", '"9m"'],
    ["db.ssl_enforcement", "enabled", "true"],
    ["db.network_restrictions", "enabled", "true"],
    ["realtime", "ip_version", '"IPv6"'],
    ["studio", "port", "55323"],
    ["inbucket", "smtp_port", "55325"],
    ["local_smtp", "pop3_port", "55325"],
    ["analytics", "gcp_project_id", '"x"'],
    ["storage.analytics", "enabled", "true"],
    ["storage.vector", "enabled", "true"],
    ["experimental.pgdelta", "enabled", "true"],
  ];
  for (const [section, setting, value] of changed) {
    const [line, ...others] = lines(`[${section}]\n${setting} = ${value}\n`);
    assertStringIncludes(line ?? "", `${section}.${setting} has no effect: `);
    assertEquals(others, [], section);
  }
  assertEquals(
    lines(`
      [edge_runtime]
      policy = "per_worker"
      inspector_port = 8083
      [studio]
      port = 54323
      api_url = "http://127.0.0.1"
      openai_api_key = "env(OPENAI_API_KEY)"
      [inbucket]
      port = 54324
      [analytics]
      port = 54327
      backend = "postgres"
      [storage.s3_protocol]
      enabled = true
      [storage.vector]
      enabled = false
      max_buckets = 10
    `),
    [],
  );
  assertStringIncludes(lines("[realtime]\ncolour = 1\n").join(), "realtime.colour is not known to the Supabase CLI");
});

Deno.test("parseConfig() is silent about the remotes of other projects and applies its own", () => {
  const toml = `project_id = "a"
    [remotes.other]
    project_id = "b"
    [remotes.other.api]
    max_rows = 1
    [remotes.own]
    project_id = "a"
    [remotes.own.api]
    max_rows = 2`;
  const { api, warnings } = parseConfig(toml, PATH);
  assertEquals([api.maxRows, warnings], [2, []]);
});

Deno.test("parseConfig() merges the tables of [[functions]]", () => {
  const { functions } = parseConfig(
    "[[functions]]\n[functions.a]\nverify_jwt = false\n[[functions]]\nname = 'b'\nenabled = false",
    PATH,
  );
  assertEquals(functions, { a: { verify_jwt: false }, b: { enabled: false } });
});

Deno.test("parseConfig() names the file, the line or the setting of an invalid value", () => {
  const cases: [string, string][] = [
    ["a = 1\n[auth\n", `${PATH}:2: `],
    ["[auth]\njwt_expiry = '1h'", "auth.jwt_expiry must be an integer"],
    ["[auth]\nenable_signup = 'yes'", "auth.enable_signup must be true or false"],
    ["[db]\nmajor_version = 16", "db.major_version must be one of 14, 15, 17"],
    ["[storage]\nfile_size_limit = '5XB'", "storage.file_size_limit must be a size"],
    ["functions = ['x']", "functions must be a table"],
    ["auth = 1", "auth must be a table"],
  ];
  for (const [toml, expected] of cases) {
    const error = assertThrows(() => parseConfig(toml, PATH), StackError, expected);
    assertEquals(error.code, "CONFIG_INVALID");
  }
});

Deno.test("readVariables() prefers the environment, then the files of the first folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/supabase`);
    await Deno.writeTextFile(`${folder}/supabase/.env`, "A=1\nB=1\nC=1\n");
    await Deno.writeTextFile(`${folder}/.env.local`, "B=2\nD=2\n");
    await Deno.writeTextFile(`${folder}/.env`, "D=3\nE=3\n");
    const variables = await readVariables([`${folder}/supabase`, folder], { A: "0" });
    assertEquals(variables, { A: "0", B: "1", C: "1", D: "2", E: "3" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("parseSize() reads the units of the CLI", () => {
  assertEquals(["50MiB", "5MB", "500KB", "1024", "1.5 GiB", "x"].map(parseSize), [
    50 * 1024 ** 2,
    5 * 1024 ** 2,
    500 * 1024,
    1024,
    1.5 * 1024 ** 3,
    undefined,
  ]);
});
