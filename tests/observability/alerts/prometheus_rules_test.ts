import { assertEquals } from "@std/assert";
import { ALERT_RULES, type AlertRuleName } from "../../../shared/observability/alerts/mod.ts";
import { component, PROGRAM_PATH } from "../../support/components.ts";

const RULES = new URL("../../../docs/prometheus-alerts.yml", import.meta.url).pathname;
const TESTS = new URL("./prometheus_rules.yml", import.meta.url).pathname;

const promtool = component("promtool");

async function run(...args: string[]): Promise<string> {
  const command = new Deno.Command("promtool", { args, env: { PATH: PROGRAM_PATH } });
  const { success, stdout, stderr } = await command.output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals(success, true, text);
  return text;
}

Deno.test({
  name: `docs/prometheus-alerts.yml passes promtool check rules and its tests${promtool.note}`,
  ignore: promtool.ignore,
  fn: async () => {
    await run("check", "rules", RULES);
    await run("test", "rules", TESTS);
  },
});

/** The name of each rule in the file, and the factor between its unit and ours. */
const ALERTS: Readonly<Record<AlertRuleName, readonly [alert: string, perUnit: number]>> = {
  waiting_requests: ["PoolWaitingRequests", 1],
  acquisition_time: ["PoolAcquisitionTime", 1_000],
  error_rate: ["PoolErrorRate", 1],
  pool_utilization: ["PoolUtilization", 1],
  errors: ["PoolErrors", 1],
};

Deno.test("docs/prometheus-alerts.yml has the rules of ALERT_RULES, with their thresholds and times", async () => {
  const text = await Deno.readTextFile(RULES);
  const found = text.split("- alert: ").slice(1).map((rule) => {
    const [, minutes = "0"] = /^ +for: (\d+)m$/m.exec(rule) ?? [];
    // A threshold on the time itself is the bound of a bucket.
    const [, threshold] = /le="([\d.]+)"/.exec(rule) ?? / > ([\d.]+)$/m.exec(rule) ?? [];
    return [rule.split("\n", 1)[0], Number(threshold), Number(minutes) * 60_000];
  });
  assertEquals(
    found,
    ALERT_RULES.map(({ name, above, forMs }) => {
      const [alert, perUnit] = ALERTS[name];
      return [alert, above / perUnit, forMs];
    }),
  );
});
