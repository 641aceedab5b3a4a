/**
 * The settings of the fleet, from variables and options.
 *
 * @module
 */
import type { VariableReader } from "../../environment/mod.ts";
import { type ConfigIssue, whole } from "../../pool/mod.ts";
import { MAX_TIMER_MS, memberOf } from "../../resilience/mod.ts";
import type { Environment } from "../handler/environment.ts";
import type { FleetOptions } from "./fleet_options.ts";

/** The settings of the fleet, as the environment has them. */
export interface FleetSettings {
  /** `POOL_FLEET`. Default: decided by the runtime; see `isFleetOn`. */
  readonly enabled?: boolean | undefined;
  /** `REDIS_URL`: the reports go there. Default: to Postgres, through the Data API. */
  readonly redisUrl?: string | undefined;
  /** `SB_REGION`. Default: `unknown`. */
  readonly region?: string | undefined;
  /** `SB_EXECUTION_ID`, the id of the isolate in the logs of the platform. Default: a random one. */
  readonly executionId?: string | undefined;
  /** `POOL_FLEET_CAP`: the leases that all isolates may hold at once. Default: no cap. */
  readonly cap?: number | undefined;
  /** `POOL_ALERT_WEBHOOK_URL`: where alerts are sent. Default: nowhere but to the log. */
  readonly webhookUrl?: string | undefined;
  /** `POOL_ALERT_WEBHOOK_SECRET`: what signs them. */
  readonly webhookSecret?: string | undefined;
}

/** The shortest secret of a webhook, in characters. */
const MIN_SECRET = 16;

function readWebhook(reader: VariableReader): Pick<FleetSettings, "webhookUrl" | "webhookSecret"> {
  const path = "POOL_ALERT_WEBHOOK_URL";
  const secretPath = "POOL_ALERT_WEBHOOK_SECRET";
  const url = reader.text(path, { secret: true })?.trim();
  if (url === undefined) return {};
  if (URL.parse(url)?.protocol !== "https:") reader.issues.push({ path, message: "is set, must be an https URL" });
  const secret = reader.text(secretPath, { secret: true });
  if ((secret?.length ?? 0) < MIN_SECRET) {
    reader.issues.push({ path: secretPath, message: `must be set to a secret of at least ${MIN_SECRET} characters` });
  }
  return { webhookUrl: url, webhookSecret: secret };
}

/**
 * Reads `POOL_FLEET`, `POOL_FLEET_CAP`, `POOL_ALERT_WEBHOOK_URL` and `POOL_ALERT_WEBHOOK_SECRET`, and what the runtime
 * and Redis set. Issues go to `reader`.
 */
export function readFleetSettings(reader: VariableReader): FleetSettings {
  const hasCap = reader.text("POOL_FLEET_CAP") !== undefined;
  const redisUrl = reader.text("REDIS_URL", { secret: true });
  const cap = reader.value("POOL_FLEET_CAP", whole(1, 100_000));
  if (hasCap && redisUrl === undefined) {
    reader.issues.push({ path: "POOL_FLEET_CAP", message: "needs Redis: set REDIS_URL, or remove it" });
  }
  return Object.freeze({
    enabled: reader.switch("POOL_FLEET"),
    redisUrl,
    region: reader.text("SB_REGION"),
    executionId: reader.text("SB_EXECUTION_ID"),
    cap,
    ...readWebhook(reader),
  });
}

const OPTIONS = {
  cap: whole(1, 100_000),
  leaseMs: whole(1_000, 600_000),
  intervalMs: whole(1, MAX_TIMER_MS),
  idleIntervalMs: whole(1, MAX_TIMER_MS),
  dropMs: whole(1_000, 30_000),
} satisfies { readonly [K in keyof FleetOptions]?: unknown };

/** Returns the issues of the option `fleet`. */
export function* fleetIssues(option: unknown): Generator<ConfigIssue> {
  if (option === undefined || typeof option === "boolean") return;
  if (typeof option !== "object" || option === null) {
    yield {
      path: "fleet",
      message: `is ${option === null ? "null" : `a ${typeof option}`}, must be true, false or an object`,
    };
    return;
  }
  for (const [name, shape] of Object.entries(OPTIONS)) {
    const value = memberOf(option, name);
    if (value === undefined) continue;
    for (const { message } of shape().safeParse(value).error?.issues ?? []) yield { path: `fleet.${name}`, message };
  }
  const { redis, onAlert } = option as Readonly<Record<string, unknown>>;
  if (redis !== undefined && typeof memberOf(redis, "send") !== "function") {
    yield { path: "fleet.redis", message: "must be a connection, with a method send" };
  }
  if (onAlert !== undefined && typeof onAlert !== "function") {
    yield { path: "fleet.onAlert", message: `is a ${typeof onAlert}, must be a function` };
  }
}

/** The id of this isolate, where the platform gives it none. */
const randomId: string = crypto.randomUUID();

/** Returns the id of this isolate: `SB_EXECUTION_ID`, or a random one. */
export function isolateOf({ fleet }: Environment): string {
  return fleet.executionId ?? randomId;
}

/**
 * Returns whether isolates of an environment report to the fleet. Default: in edge functions whose project has a secret
 * key. Elsewhere, `POOL_FLEET=on` turns it on.
 */
export function isFleetOn({ fleet, secretKey }: Environment, option: boolean | FleetOptions | undefined): boolean {
  if (secretKey === undefined && typeof option !== "object") return false;
  if (option !== undefined) return option !== false;
  return fleet.enabled ?? memberOf(globalThis, "EdgeRuntime") !== undefined;
}
