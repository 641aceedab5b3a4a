/**
 * Checks of the project's URL, its API keys and `JWT_SECRET`.
 *
 * @module
 */
import { placeholderIn } from "../../shared/postgres/config/config.ts";
import { decodeClaims } from "../../shared/supabase/mod.ts";
import { Findings } from "./finding.ts";
import type { ProjectVariables } from "./variables.ts";

/** The kinds of API keys. */
type KeyKind = "publishable" | "secret" | "legacy anon" | "legacy service_role" | "access token" | "unknown";

/** The variables that hold keys, with the kinds that belong there. */
const VARIABLES: Readonly<Record<string, readonly KeyKind[]>> = {
  SUPABASE_PUBLISHABLE_KEYS: ["publishable"],
  SUPABASE_PUBLISHABLE_KEY: ["publishable"],
  SUPABASE_ANON_KEY: ["legacy anon", "publishable"],
  SUPABASE_SECRET_KEYS: ["secret"],
  SUPABASE_SECRET_KEY: ["secret"],
  SUPABASE_SERVICE_ROLE_KEY: ["legacy service_role", "secret"],
};

/** The hosted form of a newer key: prefix, 22 characters, a checksum of 8. Local keys are longer. */
const NEWER_KEY = /^sb_(publishable|secret)_[\w-]{22,}$/;

const SECRET_BYTES = 32;

/** Returns the reference of a hosted project, the first label of its host; `undefined` for any other URL. */
export function projectRefOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  return /^([a-z]{20})\.supabase\.(?:co|in|net|red)$/.exec(new URL(url).hostname)?.[1];
}

function kindOf(key: string): KeyKind {
  if (/^sb_publishable_/.test(key)) return "publishable";
  if (/^sb_secret_/.test(key)) return "secret";
  if (/^sbp_/.test(key)) return "access token";
  const role = decodeClaims(key)?.role;
  if (role === "anon") return "legacy anon";
  return role === "service_role" ? "legacy service_role" : "unknown";
}

/** Returns the keys of a variable by name; `undefined` if its value cannot be parsed. */
function keysOf(variable: string, value: string): Record<string, string> | undefined {
  if (!variable.endsWith("_KEYS")) return { [variable]: value };
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    const entries = Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === "string");
    return Object.fromEntries(entries.map(([name, key]) => [`${variable}.${name}`, key]));
  } catch {
    return undefined;
  }
}

function checkKey(findings: Findings, variable: string, name: string, key: string, ref: string | undefined): void {
  const kind = kindOf(key);
  const wanted = VARIABLES[variable] ?? [];
  const placeholder = placeholderIn(key, true);
  if (placeholder !== undefined) {
    findings.fail("value", `${name} still has the placeholder ${placeholder}`, "set the key (dashboard, API Keys).");
  } else if (key !== key.trim() || /\s/.test(key)) {
    findings.fail("value", `${name} contains white space`, "copy the key again, without spaces and line breaks.");
  } else if (kind === "access token") {
    findings.fail("kind", `${name} is an access token of the CLI`, "set an API key (dashboard, API Keys).");
  } else if (kind === "unknown") {
    findings.fail("kind", `${name} is not an API key of Supabase`, "copy it again: it may be cut off.");
  } else if (!wanted.includes(kind)) {
    const isLeak = variable.includes("PUBLISHABLE") || variable.includes("ANON");
    const risk = isLeak && /secret|service_role/.test(kind) ? ", which bypasses row-level security" : "";
    findings.fail("kind", `${name} is a ${kind} key${risk}`, `set a ${wanted.join(" or ")} key.`);
  } else if (/^sb_/.test(key) && !NEWER_KEY.test(key)) {
    findings.fail("value", `${name} is too short for a ${kind} key`, "copy it again: it may be cut off.");
  } else {
    const claims: { readonly ref?: unknown; readonly exp?: unknown } = decodeClaims(key) ?? {};
    if (ref !== undefined && typeof claims.ref === "string" && claims.ref !== ref) {
      findings.fail(
        "project",
        `${name} belongs to the project ${claims.ref}, and SUPABASE_URL to ${ref}`,
        "take URL and keys from one project.",
      );
    } else if (typeof claims.exp === "number" && claims.exp * 1000 < Date.now()) {
      findings.fail("expired", `${name} has expired`, "create a new key (dashboard, API Keys).");
    } else findings.ok("kind", `${name}: ${kind}`);
  }
}

/** Checks `SUPABASE_URL`. */
export function checkUrl({ values }: ProjectVariables): Findings {
  const findings = new Findings("url");
  const url = values.SUPABASE_URL;
  if (url === undefined) {
    findings.skip(
      "value",
      "SUPABASE_URL is not set",
      "hosted functions have it; for this check, set it or write it to .env.",
    );
  } else if (placeholderIn(url, false) !== undefined) {
    findings.fail(
      "value",
      "SUPABASE_URL still has a placeholder",
      "set https://<ref>.supabase.co (dashboard, Connect).",
    );
  } else if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    findings.fail(
      "value",
      "SUPABASE_URL is not an http or https URL",
      "set https://<ref>.supabase.co (dashboard, Connect).",
    );
  } else {
    const { protocol, hostname, pathname, username, password } = new URL(url);
    const isLocal = hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
    if (username !== "" || password !== "") {
      findings.fail("value", "SUPABASE_URL contains a user name or a password", "set https://<ref>.supabase.co.");
    } else if (/^db\./.test(hostname) || /pooler\.supabase\.com$/.test(hostname)) {
      findings.fail("value", "SUPABASE_URL is the address of the database", "set https://<ref>.supabase.co.");
    } else if (protocol === "http:" && !isLocal) {
      findings.fail("value", "SUPABASE_URL is plain http: keys and tokens can be read on the way", "use https.");
    } else if (pathname !== "/" && pathname !== "") {
      findings.warn(
        "value",
        `SUPABASE_URL has the path ${pathname}`,
        "remove it, unless a proxy serves the project there.",
      );
    } else findings.ok("value", `SUPABASE_URL: ${hostname}`);
  }
  return findings;
}

/** Checks the API keys. */
export function checkKeys({ values }: ProjectVariables): Findings {
  const findings = new Findings("keys");
  const ref = projectRefOf(values.SUPABASE_URL);
  let found = 0;
  for (const variable of Object.keys(VARIABLES)) {
    const value = values[variable];
    if (value === undefined) continue;
    found++;
    const keys = keysOf(variable, value);
    if (keys === undefined) {
      findings.fail("value", `${variable} is not JSON`, `set {"default":"sb_…"}, an object of names and keys.`);
      continue;
    }
    for (const [name, key] of Object.entries(keys)) checkKey(findings, variable, name, key, ref);
  }
  if (found === 0) {
    findings.skip(
      "value",
      "no API key is set",
      "hosted functions have them; for this check, set them or write them to .env.",
    );
  } else if (values.SUPABASE_PUBLISHABLE_KEYS === undefined && values.SUPABASE_PUBLISHABLE_KEY === undefined) {
    findings.warn(
      "legacy",
      "only legacy keys are set",
      "create publishable and secret keys (dashboard, API Keys): legacy keys cannot be replaced one by one.",
    );
  }
  return findings;
}

function decodeBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(
      atob(text.replaceAll("-", "+").replaceAll("_", "/")),
      (character) => character.charCodeAt(0),
    );
  } catch {
    return undefined;
  }
}

/** Returns whether `secret` signed the HS256 token; `undefined` if it is not such a token. */
async function isSignedBy(token: string, secret: string): Promise<boolean | undefined> {
  const [header = "", payload = "", signature = ""] = token.split(".");
  const decoded = decodeBase64Url(header);
  const bytes = decodeBase64Url(signature);
  if (!decoded || !bytes || !/"alg"\s*:\s*"HS256"/.test(new TextDecoder().decode(decoded))) return undefined;
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["verify"]);
  return await crypto.subtle.verify("HMAC", key, bytes, encoder.encode(`${header}.${payload}`));
}

/** Checks `JWT_SECRET`. */
export async function checkJwtSecret({ values }: ProjectVariables): Promise<Findings> {
  const findings = new Findings("jwt_secret");
  const secret = values.JWT_SECRET;
  const fix = "set the legacy JWT secret (dashboard, JWT Keys), or remove the variable.";
  if (secret === undefined) {
    findings.ok("value", "JWT_SECRET is not set: tokens are verified with the project's published keys");
    return findings;
  }
  if (kindOf(secret) !== "unknown" || decodeClaims(secret) !== undefined) {
    findings.fail("value", "JWT_SECRET holds an API key or a token", fix);
  } else if (new TextEncoder().encode(secret).length < SECRET_BYTES) {
    findings.fail("value", `JWT_SECRET has fewer than ${SECRET_BYTES} bytes (RFC 7518, section 3.2)`, fix);
  } else {
    const signed = await isSignedBy(values.SUPABASE_ANON_KEY ?? values.SUPABASE_SERVICE_ROLE_KEY ?? "", secret);
    if (signed === false) findings.fail("value", "JWT_SECRET did not sign the project's legacy keys", fix);
    else findings.ok("value", signed ? "JWT_SECRET signed the project's legacy keys" : "JWT_SECRET is long enough");
  }
  return findings;
}
