/**
 * The parts of the pools that variables switch off.
 *
 * @module
 */
import { VariableReader } from "../../shared/environment/mod.ts";
import { Findings } from "./finding.ts";
import type { ProjectVariables } from "./variables.ts";

/** The part that each variable switches off. */
const PARTS: Readonly<Record<string, string>> = {
  POOL_ENABLED: "pooling of clients: requests have no limit and no queue",
  POOL_RETRIES: "retries of calls",
  POOL_PRIORITIES: "lanes and reserved connections",
  POOL_CIRCUIT_BREAKER: "circuit breakers",
  POOL_RETRY_BUDGET: "the retry budget",
  POOL_ADAPTIVE_LIMIT: "the adaptive limit",
  POOL_HEALTH_CHECKS: "health checks: /health/pool sends no query",
  POOL_FLEET: "reports to the fleet: pages show one isolate, and nothing raises alerts",
  DB_POOL_ENABLED: "pooling of Postgres connections: each statement opens one",
  DB_RETRIES: "retries on Postgres",
  DB_PRIORITIES: "lanes and pools by priority on Postgres",
  DB_CIRCUIT_BREAKER: "the circuit breaker of Postgres",
  DB_ADAPTIVE_LIMIT: "the adaptive limit on Postgres",
  DB_HEALTH_CHECKS: "health checks of Postgres",
};

/** Reports each part that is switched off. */
export function checkSwitches({ values, sources }: ProjectVariables): Findings {
  const findings = new Findings("switches");
  for (const [name, part] of Object.entries(PARTS)) {
    const reader = new VariableReader(values);
    const isDryRun = name.endsWith("_ADAPTIVE_LIMIT") && reader.text(name)?.toLowerCase() === "dry-run";
    const isOn = isDryRun || reader.switch(name);
    const [issue] = reader.issues;
    if (issue) findings.fail(name, `${name} ${issue.message}`, `set ${name} to on or off, or remove it.`);
    if (isDryRun) {
      findings.warn(name, `${name}=dry-run: ${part} changes nothing`, `set ${name} to on to apply it.`);
    } else if (isOn === false) {
      const source = sources[name] === undefined ? "" : ` (${sources[name]})`;
      findings.warn(name, `${name}=off${source} switches off ${part}`, `remove ${name} once the cause is fixed.`);
    }
  }
  return findings;
}
