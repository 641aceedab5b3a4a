/**
 * Checks whether the Data API and Auth respond, and accept the keys.
 *
 * @module
 */
import { messageOf } from "../../shared/resilience/mod.ts";
import { Findings } from "./finding.ts";
import type { ProjectVariables } from "./variables.ts";

/** The time for each request, in ms. */
const TIMEOUT_MS = 5_000;

/** Returns the key of a kind: the newer ones first. */
function keyOf(values: Readonly<Record<string, string>>, kind: "PUBLISHABLE" | "SECRET"): string | undefined {
  const plural = values[`SUPABASE_${kind}_KEYS`];
  if (plural !== undefined) {
    try {
      const keys: Record<string, unknown> = JSON.parse(plural);
      const key = keys.default ?? Object.values(keys)[0];
      if (typeof key === "string") return key;
    } catch {
      // The check of the keys reports it.
    }
  }
  return values[`SUPABASE_${kind}_KEY`] ??
    values[kind === "PUBLISHABLE" ? "SUPABASE_ANON_KEY" : "SUPABASE_SERVICE_ROLE_KEY"];
}

/** A response, or why there is none. */
interface Reply {
  readonly status: number;
  readonly text: string;
  readonly failure: string | undefined;
}

/** Returns why a request failed. The messages of fetch quote the URL, and no header. */
function reasonOf(error: unknown): string {
  const line = (one: unknown) => messageOf(one).split("\n")[0] ?? "";
  const cause = error instanceof Error ? error.cause : undefined;
  const own = line(error);
  const reason = cause === undefined ? "" : line(cause);
  return reason === "" || own.includes(reason) ? own : `${own}: ${reason}`;
}

async function request(url: string, key: string): Promise<Reply> {
  try {
    const response = await fetch(url, {
      headers: { apikey: key, ...(key.startsWith("sb_") ? {} : { authorization: `Bearer ${key}` }) },
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: response.status, text: (await response.text()).slice(0, 100_000), failure: undefined };
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
    const failure = isTimeout ? `no response within ${TIMEOUT_MS / 1000} s` : reasonOf(error);
    return { status: 0, text: "", failure };
  }
}

function report(findings: Findings, check: string, service: string, { status, failure }: Reply): void {
  if (failure !== undefined) {
    findings.fail(
      check,
      `${service} does not respond: ${failure}`,
      "check SUPABASE_URL, and that the project is not paused.",
    );
  } else if (status === 401) {
    findings.fail(
      check,
      `${service} rejects the key (401)`,
      "take the URL and the keys from one project, and check that the key is not disabled.",
    );
  } else if (status >= 500 || status === 404 || (status >= 300 && status < 400)) {
    findings.fail(check, `${service} responds with ${status}`, "check SUPABASE_URL, and the status of the project.");
  } else findings.ok(check, `${service} responds (${status})`);
}

/** Checks the Data API and Auth of the project at `SUPABASE_URL`. */
export async function checkServices({ values }: ProjectVariables): Promise<Findings> {
  const findings = new Findings("services");
  const url = values.SUPABASE_URL?.replace(/\/$/, "");
  const [publishable, secret] = [keyOf(values, "PUBLISHABLE"), keyOf(values, "SECRET")];
  // Credentials in a URL would be sent, and shown by messages; the check of the URL reports them.
  if (url === undefined || !URL.canParse(url) || new URL(url).username !== "" || publishable === undefined) {
    findings.skip("data_api", "the Data API and Auth were not asked", "set SUPABASE_URL and a publishable key.");
    return findings;
  }
  // A table that does not exist: 404 with a code of PostgREST, whatever the key may read.
  const [data, auth, jwks, admin] = await Promise.all([
    request(`${url}/rest/v1/supabase_pool_doctor?limit=0`, publishable),
    request(`${url}/auth/v1/health`, publishable),
    request(`${url}/auth/v1/.well-known/jwks.json`, publishable),
    secret === undefined ? undefined : request(`${url}/rest/v1/supabase_pool_doctor?limit=0`, secret),
  ]);
  const known = (reply: Reply) =>
    reply.status === 404 && /PGRST205|42P01/.test(reply.text) ? { ...reply, status: 200 } : reply;
  report(findings, "data_api", "the Data API", known(data));
  if (/PGRST002/.test(data.text)) {
    findings.fail("database", "the Data API cannot reach the database (PGRST002)", "check the status of the project.");
  }
  report(findings, "auth", "Auth", auth);
  if (admin) report(findings, "secret_key", "the Data API, with the secret key,", known(admin));
  if (jwks.status !== 200) return findings;
  const count = jwks.text.match(/"kty"/g)?.length ?? 0;
  if (count > 0) findings.ok("jwks", `Auth publishes ${count} ${count === 1 ? "key" : "keys"} to verify tokens with`);
  else if (values.JWT_SECRET === undefined) {
    findings.fail(
      "jwks",
      "Auth publishes no keys and JWT_SECRET is not set: no user's token can be verified",
      "create signing keys (dashboard, JWT Keys), or set JWT_SECRET to the legacy JWT secret.",
    );
  }
  return findings;
}
