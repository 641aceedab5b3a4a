/** Tests that a request whose parts are as large as a server accepts blocks no other for long. */
import { assert, assertEquals } from "@std/assert";
import { createBudgetsHandler } from "../../functions/budgets/handler.ts";
import { createCategoriesHandler } from "../../functions/categories/handler.ts";
import { createTemplatesHandler } from "../../functions/templates/handler.ts";
import { type AskInit, ID, startFunction } from "./fixture.ts";

/** About the longest URL and header that Deno's server accepts, in characters. */
const SIZE = 60_000;
/** Anything that is not linear takes seconds. A slow moment of the machine does not come three times. */
const LIMIT_MS = 1_500;

const fill = (unit: string) => unit.repeat(Math.floor(SIZE / unit.length));
const JSON_TYPE = { "Content-Type": "application/json" };

function pathsOf(name: string): string[] {
  return [
    `/${name}?${fill("a&")}`,
    `/${name}?${fill("limit=1&")}`,
    `/${name}?${fill("budget_id=1&")}`,
    `/${name}?${Array.from({ length: 7_000 }, (_, index) => `p${index}=1`).join("&")}`,
    `/${name}?a=${fill("%41")}`,
    `/${name}${fill("/a")}`,
    `/${name}${fill("/")}`,
    `/${name}/${fill("%2F")}`,
    `/${name}/${fill("a")}`,
    `/${name}${fill("/health/pool")}x`,
    `/${name}/${ID}?${fill("?=")}`,
  ];
}

const HEADERS: Readonly<Record<string, string>> = {
  Authorization: `Bearer ${fill("eyJ.")}`,
  authorization: fill("x".repeat(22) + " "),
  apikey: fill("eyJhbGciOiJIUzI1NiJ9."),
  Accept: fill("a/b;q=0.1,"),
  "Content-Type": `application/json${fill("; a=b")}`,
  "Content-Encoding": fill("gzip,"),
  "Content-Length": fill("9"),
  traceparent: `00-${fill("0")}`,
  "x-request-id": fill("a"),
  "Idempotency-Key": fill('"'),
  Cookie: fill("a=b;"),
  Origin: fill("https://a.test,"),
};

const BODIES: readonly string[] = [
  `{${Array.from({ length: 4_000 }, (_, index) => `"k${index}":1`).join(",")}}`,
  `{${Array.from({ length: 6_000 }, () => '"name":1').join(",")}}`,
  `{"name":"${fill(" ")}x"}`,
  `{"name":"${fill("\u{1f4a5}".repeat(1))}"}`.slice(0, SIZE),
  `{"budget_id":"${ID}","category_ids":[${fill(`"${ID}",`)}"x"]}`.slice(0, SIZE),
  fill(" "),
  fill('"'),
  fill("\\"),
];

for (
  const [name, create] of Object.entries({
    budgets: createBudgetsHandler,
    categories: createCategoriesHandler,
    templates: createTemplatesHandler,
  })
) {
  Deno.test(`${name} handles the largest paths, queries, headers and bodies in a moment`, async () => {
    await using fixture = await startFunction(create);
    const slow: string[] = [];
    const measure = async (label: string, method: string, path: string, init: AskInit = {}) => {
      let tries = 0;
      for (; tries < 3; tries++) {
        const startMs = performance.now();
        const response = await fixture.ask(method, path, init);
        await response.text();
        assert(response.status < 500, `${label}: ${response.status}`);
        if (performance.now() - startMs < LIMIT_MS) break;
      }
      if (tries === 3) slow.push(label);
    };
    await measure("the first request", "GET", `/${name}`);
    for (const path of pathsOf(name)) await measure(path.slice(0, 40), "GET", path);
    for (const [header, value] of Object.entries(HEADERS)) {
      await measure(header, "GET", `/${name}`, { headers: { [header]: value } });
      await measure(header, "POST", `/${name}`, { body: "{}", headers: { ...JSON_TYPE, [header]: value } });
    }
    for (const body of BODIES) {
      await measure(body.slice(0, 40), "POST", `/${name}`, { body, headers: JSON_TYPE });
      await measure(body.slice(0, 40), "PUT", `/${name}/order`, { body, headers: JSON_TYPE });
    }
    assertEquals(slow, []);
  });
}
