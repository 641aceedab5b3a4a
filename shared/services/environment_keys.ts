/**
 * The project's API keys and token keys, as environment variables hold them.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import type { ConfigIssue } from "../pool/mod.ts";
import { kindOfKey, type PoolKind } from "../supabase/mod.ts";

/** Environment variables by name. An empty value counts as not set. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Where the keys of one kind are looked for; the first variable that holds one wins. */
interface KeyVariables {
  readonly kind: PoolKind;
  /** How the kind is named in keys and messages. */
  readonly name: string;
  readonly plural: string;
  readonly singular: string;
  readonly legacy: string;
}

const PUBLISHABLE: KeyVariables = {
  kind: "user",
  name: "publishable",
  plural: "SUPABASE_PUBLISHABLE_KEYS",
  singular: "SUPABASE_PUBLISHABLE_KEY",
  legacy: "SUPABASE_ANON_KEY",
};

const SECRET: KeyVariables = {
  kind: "admin",
  name: "secret",
  plural: "SUPABASE_SECRET_KEYS",
  singular: "SUPABASE_SECRET_KEY",
  legacy: "SUPABASE_SERVICE_ROLE_KEY",
};

/** The value of a variable; a blank one counts as not set. */
export function valueOf(variables: Variables, name: string): string | undefined {
  const value = variables[name]?.trim();
  return value === "" ? undefined : value;
}

function parseKeyMap(raw: string): Record<string, string> | undefined {
  try {
    const parsed: unknown = JSON.parse(raw);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    const entries = Object.entries(parsed);
    if (!entries.every(([name, key]) => name !== "" && typeof key === "string" && key !== "")) return undefined;
    return Object.fromEntries(entries);
  } catch {
    return undefined;
  }
}

function readKeys(variables: Variables, names: KeyVariables, issues: ConfigIssue[]): Readonly<Record<string, string>> {
  const plural = valueOf(variables, names.plural);
  const singular = valueOf(variables, names.singular);
  const legacy = valueOf(variables, names.legacy);

  let path = names.plural;
  let keys = plural === undefined ? {} : parseKeyMap(plural);
  if (keys === undefined) {
    issues.push({
      path,
      message: `is set, but is no JSON object of names and keys, such as {"default":"sb_${names.name}_…"}`,
    });
    return {};
  }
  if (Object.keys(keys).length === 0) {
    path = singular === undefined ? names.legacy : names.singular;
    const only = singular ?? legacy;
    keys = only === undefined ? {} : { default: only };
  }
  for (const [name, key] of Object.entries(keys)) {
    if (kindOfKey(key) === names.kind) continue;
    issues.push({
      path,
      message: names.kind === "user"
        ? `holds a secret key (${name}): used for callers it would bypass row-level security`
        : `holds no secret key (${name}): one begins with sb_secret_ or is a legacy service_role key`,
    });
  }
  return Object.freeze(keys);
}

/** The API keys by name, and the one of each kind that pools are made with. */
export interface Keys {
  /** Publishable keys by name. */
  readonly publishableKeys: Readonly<Record<string, string>>;
  /** Secret keys by name; none where none is set. */
  readonly secretKeys: Readonly<Record<string, string>>;
  /** The publishable key named `default`, or the first one. */
  readonly publishableKey: string;
  /** The secret key named `default`, or the first one. */
  readonly secretKey: string | undefined;
}

/** The key pools are made with: the one named `default`, otherwise the first. */
export function pickKey(keys: Readonly<Record<string, string>>): string | undefined {
  return Object.hasOwn(keys, "default") ? keys["default"] : Object.values(keys)[0];
}

/**
 * Reads the API keys: `SUPABASE_PUBLISHABLE_KEYS` and `SUPABASE_SECRET_KEYS`
 * (JSON objects), else `SUPABASE_PUBLISHABLE_KEY` and `SUPABASE_SECRET_KEY`,
 * else the legacy `SUPABASE_ANON_KEY` and `SUPABASE_SERVICE_ROLE_KEY`. What is
 * wrong with them is appended to `issues`; no issue holds a key.
 */
export function readApiKeys(variables: Variables, issues: ConfigIssue[]): Keys {
  const publishableKeys = readKeys(variables, PUBLISHABLE, issues);
  const secretKeys = readKeys(variables, SECRET, issues);
  const publishableKey = pickKey(publishableKeys) ?? "";
  if (publishableKey === "" && !issues.some(({ path }) => path === PUBLISHABLE.plural)) {
    issues.push({
      path: PUBLISHABLE.plural,
      message: `is not set, nor is ${PUBLISHABLE.singular} or ${PUBLISHABLE.legacy}; calls for users need one of them`,
    });
  }
  return { publishableKeys, secretKeys, publishableKey, secretKey: pickKey(secretKeys) };
}

/** Keys fetched over plain HTTP could be swapped on the way; only this machine is exempt. */
function isSafeUrl({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return true;
  const loopback = hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
  return protocol === "http:" && loopback;
}

function parseJwks(raw: string): SupabaseEnv["jwks"] | undefined {
  try {
    const parsed: unknown = JSON.parse(raw);
    if (Array.isArray(parsed)) return { keys: parsed };
    if (typeof parsed !== "object" || parsed === null || !("keys" in parsed)) return undefined;
    return Array.isArray(parsed.keys) ? { ...parsed, keys: parsed.keys } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Where the keys that verify tokens come from, by the rules of
 * `@supabase/server`: `SUPABASE_JWKS` (inline JSON), else `SUPABASE_JWKS_URL`,
 * else the well-known address below `SUPABASE_PUBLIC_URL` or `url`. `null`
 * when that address is plain HTTP on another machine. Unlike there, a
 * malformed value is an issue and not silently no keys.
 */
export function readJwks(variables: Variables, url: URL | undefined, issues: ConfigIssue[]): SupabaseEnv["jwks"] {
  const inline = valueOf(variables, "SUPABASE_JWKS");
  if (inline !== undefined) {
    const jwks = parseJwks(inline);
    if (jwks === undefined) {
      issues.push({ path: "SUPABASE_JWKS", message: 'is set, but is no JSON Web Key Set such as {"keys":[…]}' });
    }
    return jwks ?? null;
  }
  const address = valueOf(variables, "SUPABASE_JWKS_URL");
  if (address !== undefined) {
    const parsed = URL.canParse(address) ? new URL(address) : undefined;
    if (parsed !== undefined && isSafeUrl(parsed)) return parsed;
    issues.push({ path: "SUPABASE_JWKS_URL", message: "must be an https URL, or http on this machine" });
    return null;
  }
  const publicUrl = valueOf(variables, "SUPABASE_PUBLIC_URL");
  if (publicUrl !== undefined && !URL.canParse(publicUrl)) {
    issues.push({ path: "SUPABASE_PUBLIC_URL", message: "must be an http or https URL" });
    return null;
  }
  const base = publicUrl === undefined ? url : new URL(publicUrl);
  if (base === undefined) return null;
  const wellKnown = new URL(base);
  wellKnown.pathname = wellKnown.pathname.replace(/\/+$/, "") + "/auth/v1/.well-known/jwks.json";
  wellKnown.search = "";
  wellKnown.hash = "";
  return isSafeUrl(wellKnown) ? wellKnown : null;
}
