/** The dashboard in a real browser, in front of the whole local stack under load. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { openDashboard } from "../../local/dashboard/mod.ts";
import { readPrometheus } from "../../local/dashboard/prometheus.ts";
import { launchBrowser, lowContrasts, visit } from "../local/dashboard/browser.ts";
import { component } from "../support/components.ts";
import { call, signUp, until, useStack } from "./support.ts";

const browser = component("chromium");
const stack = browser.ignore ? () => Promise.reject() as never : useStack();

/** The folder to write screenshots to: `DASHBOARD_SCREENSHOTS=docs` writes those of the documents. */
const SCREENSHOTS = Deno.env.get("DASHBOARD_SCREENSHOTS");

/** Returns a figure of the page. */
async function figure(page: Page, id: string): Promise<number> {
  return Number(await page.locator(`#now-${id}`).textContent());
}

Deno.test({
  name: `the dashboard shows load as it happens, as /health/metrics counts it${browser.note}`,
  ignore: browser.ignore,
  async fn(t) {
    const { url, secretKey } = stack();
    const user = await signUp(stack(), "visitor");
    const { token } = user;
    await call(stack(), "/budgets", { token, body: { name: "Household" } });
    await using dashboard = openDashboard({ url, secretKey, port: 0, intervalMs: 500 });
    const chrome = await launchBrowser();
    const views = {
      light: { viewport: { width: 1200, height: 760 }, colorScheme: "light" as const },
      dark: { viewport: { width: 1200, height: 760 }, colorScheme: "dark" as const },
      phone: { viewport: { width: 360, height: 740 }, colorScheme: "light" as const, reducedMotion: "reduce" as const },
    };
    const ended = new AbortController();
    let load: Promise<unknown> | undefined;
    try {
      await t.step("a number changes under load", async () => {
        const { page, faults } = await visit(chrome, dashboard.url, views.light);
        await until("the page shows the function", async () => await figure(page, "acquired") > 0);
        const before = await figure(page, "acquired");
        load = Promise.all(Array.from({ length: 4 }, async () => {
          while (!ended.signal.aborted) {
            await call(stack(), "/budgets", { token });
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }));
        await until("the page shows the load", async () => await figure(page, "acquired") >= before + 20);
        assertEquals(faults, []);
        assert(!(await page.content()).includes(secretKey));
        // The documents show charts of a minute.
        if (SCREENSHOTS) await page.waitForTimeout(60_000);
        await page.close();
      });
      for (const [name, options] of Object.entries(views)) {
        await t.step(`the page is readable: ${name}`, async () => {
          const { page, faults } = await visit(chrome, dashboard.url, options);
          await page.waitForSelector("#functions tbody tr:first-child th");
          await until("the page is live", async () => /^Live/.test(await page.locator("#status").textContent() ?? ""));
          assertEquals(await lowContrasts(page), []);
          const [inner, outer] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
          assert((inner ?? 0) <= (outer ?? 0), `the page is ${inner} wide, the window ${outer}`);
          assertEquals(await page.locator("header, main, footer, [role=status]").count(), 4);
          for (const chart of await page.locator("figure").all()) {
            assertMatch(await chart.locator("svg[role=img]").getAttribute("aria-label") ?? "", /over \d+ minutes: /);
            await chart.locator("summary").click();
            // A rate takes two reports.
            await until("the table has rows", async () => await chart.locator("tbody tr").count() > 0);
            await chart.locator("summary").click();
          }
          await page.evaluate("scrollTo(0, 0)");
          if (SCREENSHOTS && name !== "phone") await page.screenshot({ path: `${SCREENSHOTS}/dashboard-${name}.png` });
          // Every control can be reached by the keyboard, and shows its focus.
          await page.locator("#pause").focus();
          await page.keyboard.press("Enter");
          assertEquals(await page.locator("#pause").getAttribute("aria-pressed"), "true");
          const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
          assertEquals(outline, "solid");
          assertEquals(faults, []);
          await page.close();
        });
      }
      await t.step("at rest it agrees with /health/metrics", async () => {
        ended.abort();
        await load;
        const { page, faults } = await visit(chrome, dashboard.url, views.light);
        await page.selectOption("#function", "budgets");
        await until("the page and the metrics agree", async () => {
          const response = await fetch(`${url}/health/metrics`, { headers: { apikey: secretKey } });
          const text = await response.text();
          assertEquals(response.status, 200, text);
          // Each lease has waited once, if only for no time.
          const counts = readPrometheus(text).filter(({ name, labels }) =>
            name === "db_client_connection_wait_time_seconds_count" && labels.function === "budgets"
          );
          const leases = counts.reduce((sum, { value }) => sum + value, 0);
          return leases > 0 && leases === await figure(page, "acquired");
        });
        assertEquals(faults, []);
        await page.close();
      });
    } finally {
      ended.abort();
      await load?.catch(() => {});
      await chrome.close();
    }
  },
});
