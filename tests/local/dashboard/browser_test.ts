/** The page in a real browser, in front of a stand-in whose data a test chooses. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { component } from "../../support/components.ts";
import { eventually } from "../fixture.ts";
import { launchBrowser, lowContrasts, lowGraphicContrasts, visit } from "./browser.ts";
import { fleetPage, startFixture, stats } from "./support.ts";

const browser = component("chromium");

function browserTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `${name}${browser.note}`, ignore: browser.ignore, fn });
}

/** The first row of a table of the fleet. */
function row(list: "functions" | "isolates" | "slowRequests"): Record<string, unknown> {
  return (fleetPage()[list] as Record<string, unknown>[])[0] ?? {};
}

browserTest("the page shows hostile names, codes and ids as text", async () => {
  await using fixture = startFixture();
  const hostile = "<img src=x onerror=document.title='pwned'><script>document.title='pwned'</script>\"'&amp;";
  const more = { function: hostile, region: hostile, errors: { [hostile]: 3 } };
  fixture.routes.fleet = fleetPage({
    store: hostile,
    missing: [hostile],
    functions: [{ ...row("functions"), ...more }],
    isolates: [{ ...row("isolates"), ...more, isolate: hostile, circuits: { [hostile]: { state: hostile } } }],
    slowRequests: [{ ...row("slowRequests"), ...more, requestId: hostile, method: hostile, code: hostile }],
    alerts: [{ rule: hostile, function: hostile, raised: true, sinceMs: 1, value: 1 }],
  });
  const chrome = await launchBrowser();
  try {
    const { page, faults } = await visit(chrome, fixture.url, { viewport: { width: 360, height: 740 } });
    await page.waitForSelector("#isolates tbody th");
    assertEquals(await page.locator("img, script:not([src])").count(), 0);
    assertStringIncludes(await page.locator("#errors tbody th").textContent() ?? "", "<img src=x onerror=");
    assertStringIncludes(await page.locator("#slow tbody th").textContent() ?? "", "<img src=x onerror=");
    assertStringIncludes(await page.locator("#missing").textContent() ?? "", "<script>");
    assertMatch(await page.title(), /^Pools of 127/);
    const [inner, outer] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
    assert((inner ?? 0) <= (outer ?? 0), `the page is ${inner} wide, the window ${outer}`);
    assertEquals(faults, []);
  } finally {
    await chrome.close();
  }
});

browserTest("the page stays responsive with a megabyte of isolates, and keeps the rows that it shows", async () => {
  await using fixture = startFixture();
  const isolates = Array.from({ length: 2_500 }, (_, n) => ({ ...row("isolates"), isolate: `isolate-${n}`, ageMs: n }));
  assert(JSON.stringify(isolates).length > 1e6);
  fixture.routes.fleet = fleetPage({ isolates });
  const chrome = await launchBrowser();
  try {
    const { page, faults } = await visit(chrome, fixture.url);
    await eventually(async () => await page.locator("#isolates tbody tr").count() === 500, "500 rows");
    assertMatch(await page.locator("#missing").textContent() ?? "", /isolates: the page shows 500 of 2500/);
    await page.evaluate("document.querySelector('#isolates tbody tr').dataset.mark = 'kept'; globalThis.longest = 0");
    await page.evaluate(
      "new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) " +
        "globalThis.longest = Math.max(globalThis.longest, duration); }).observe({ type: 'longtask' })",
    );
    fixture.routes.fleet = fleetPage({
      isolates: isolates.map((isolate) => ({ ...isolate, stats: stats({ limit: 77 }) })),
    });
    await eventually(
      async () => await page.locator("#isolates tbody tr:last-child td").nth(5).textContent() === "77",
      "the new figures",
    );
    assertEquals(await page.locator("#isolates tbody tr").first().getAttribute("data-mark"), "kept");
    const longest = await page.evaluate<number>("globalThis.longest");
    assert(longest < 10_000, `the page did not respond for ${longest} ms`);
    fixture.routes.fleet = fleetPage();
    await eventually(async () => await page.locator("#isolates tbody tr").count() === 1, "one row");
    assertEquals(faults, []);
  } finally {
    await chrome.close();
  }
});

browserTest("the page names everything for a screen reader, and every control works by keyboard", async () => {
  await using fixture = startFixture();
  const chrome = await launchBrowser();
  try {
    for (const colorScheme of ["light", "dark"] as const) {
      const options = { viewport: { width: 360, height: 740 }, colorScheme, reducedMotion: "reduce" as const };
      const { page, faults } = await visit(chrome, fixture.url, options);
      await page.waitForSelector("#isolates tbody th");
      const tree = await page.locator("body").ariaSnapshot();
      for (
        const name of [
          'link "Skip to content"',
          'heading "Pools" [level=1]',
          /status: Live/,
          'combobox "Function"',
          'combobox "Theme"',
          'button "Pause"',
          ...["Alerts", "Errors by code", "Recent slow requests", "Functions", "Isolates"].map((text) =>
            `table "${text}"`
          ),
          ...["Slots", "Waiting requests", "Rate", "Wait for a slot", "Use of a slot"].map((text) =>
            new RegExp(`img "${text} over \\d+ minutes: `)
          ),
          /term: Active\n\s*- definition: "2"/,
        ]
      ) assert(typeof name === "string" ? tree.includes(name) : name.test(tree), `${name} in ${tree}`);
      assertEquals([await lowContrasts(page), await lowGraphicContrasts(page)], [[], []]);
      assertEquals(await page.evaluate("getComputedStyle(document.querySelector('#status')).transitionDuration"), "0s");
      const focused = () => page.evaluate<string>("document.activeElement.id || document.activeElement.className");
      await page.keyboard.press("Tab");
      assertEquals(await focused(), "skip");
      const order: string[] = [];
      for (let n = 0; n < 3; n++) {
        await page.keyboard.press("Tab");
        order.push(await focused());
        assertEquals(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "solid");
      }
      assertEquals(order, ["function", "theme", "pause"]);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Shift+Tab");
      await page.keyboard.press("Space");
      assertEquals(await page.locator("#pause").getAttribute("aria-pressed"), "true");
      await page.locator(".skip").focus();
      await page.keyboard.press("Enter");
      assertEquals(await focused(), "content");
      // The figures of a chart, as a table that the keyboard opens.
      const chart = page.locator("#chart-slots");
      await chart.locator("summary").focus();
      await page.keyboard.press("Enter");
      await eventually(async () => await chart.locator("tbody tr").count() > 0, "the rows of the chart");
      assertMatch(await chart.ariaSnapshot(), /table "Slots, newest first"/);
      const [inner, outer] = await page.evaluate<number[]>("[document.documentElement.scrollWidth, innerWidth]");
      assert((inner ?? 0) <= (outer ?? 0), `the page is ${inner} wide, the window ${outer}`);
      assertEquals(faults, []);
      await page.close();
    }
  } finally {
    await chrome.close();
  }
});

browserTest("the page shows no 0 for what it does not know, and says when its server has stopped", async () => {
  const fixture = startFixture();
  await using _stopped = fixture;
  const chrome = await launchBrowser();
  try {
    const { page, faults } = await visit(chrome, fixture.url);
    const status = () => page.locator("#status").textContent();
    const tiles = async () => (await page.locator("#now dd").allTextContents()).join(" ");
    await page.waitForSelector("#isolates tbody th");
    assertMatch(await tiles(), /^pass 1 2 1 0 10 10 /);
    fixture.routes.fleet = fleetPage({ time: null, functions: [], isolates: [], missing: ["the fleet: no migration"] });
    await eventually(async () => await page.locator("#scope").isVisible(), "the pool of one isolate");
    assertMatch(await tiles(), /^pass \u2013 2 1 0 10 10 \u2013 \u2013 0 \u2013$/);
    assertEquals(await page.locator("#isolates tbody").textContent(), "Not known: the fleet cannot be read.");
    assertEquals(await status(), "Live, 1 part missing, 1 alert raised");
    fixture.routes.fleet = fixture.routes.pool = fixture.routes.metrics = () => new Response("", { status: 500 });
    await eventually(async () => /cannot be read: see Missing/.test(await status() ?? ""), "the state");
    assertMatch(await tiles(), /^unknown( \u2013){10}$/);
    fixture.routes.fleet = fleetPage();
    await eventually(async () => /^Live/.test(await status() ?? ""), "the project again");
    assertEquals(await page.locator("#isolates tbody tr").count(), 1);
    assertEquals(faults, []);
    await fixture.stopDashboard();
    await eventually(async () => /does not respond: start it again/.test(await status() ?? ""), "the end");
  } finally {
    await chrome.close();
  }
});
