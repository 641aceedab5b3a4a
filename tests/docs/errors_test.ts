import { assert, assertEquals, assertThrows } from "@std/assert";
import { inSectionOrder, parseDocstring, parseErrors, readErrors } from "../../docs/generate/errors.ts";
import { readModules, ROOT } from "./documents.ts";
import { errorResponse } from "../../shared/http/responses/error_response.ts";
import { DocumentedRequestError, RequestError } from "../../shared/http/mod.ts";
import { CacheError } from "../../shared/cache/mod.ts";
import { PoolError } from "../../shared/pool/mod.ts";
import { PoolerError, TlsError } from "../../shared/postgres/mod.ts";

Deno.test("readErrors() finds each error class that a module of shared/ exports", async () => {
  // The bases, which have no code of their own.
  const known: unknown[] = [CacheError, PoolError, PoolerError, TlsError, RequestError, DocumentedRequestError];
  const names = new Set((await readErrors()).map(({ name }) => name));
  const missing: string[] = [];
  for (const { path, text } of await readModules()) {
    if (!/^export (?!type|interface)/m.test(text)) continue;
    for (const [name, value] of Object.entries(await import(new URL(path, ROOT).href))) {
      if (typeof value !== "function" || !(value.prototype instanceof Error) || known.includes(value)) continue;
      if (text.includes(` * @internal\n */\nexport class ${name} `)) continue;
      if (!names.has(name)) missing.push(`${path}: ${name}`);
    }
  }
  assertEquals(missing, []);
  assert(names.size > 50, `only ${names.size} classes found`);
});

Deno.test("readErrors() has each code once, in upper case", async () => {
  const codes = (await readErrors()).map(({ code }) => code);
  assertEquals(codes.filter((code, at) => codes.indexOf(code) !== at), []);
  assertEquals(codes.filter((code) => !/^[A-Z]+(_[A-Z]+)*$/.test(code)), []);
});

Deno.test("errorResponse() links the type of each error to its section of docs/errors.md", async () => {
  const page = await Deno.readTextFile(new URL("docs/errors.md", ROOT));
  for (const { code, name, http, sample } of await readErrors()) {
    const response = errorResponse(sample);
    const { type, status, title } = await response.json();
    assertEquals(type, `docs/errors.md#${code}`, name);
    assert(page.includes(`<a id="${code}"></a>`), code);
    // Those of Postgres and of the Data API have a status of their own.
    if (["SQLSTATE", "DATA_API"].includes(code)) continue;
    assertEquals([response.status, status, title], [http.status, http.status, http.title], name);
  }
});

const DOCUMENTED = `/**
 * A summary.
 *
 * @cause A cause.
 * @fix A fix.
 * @sample new OneError()
 */
export class OneError extends Error {}
`;

class OneError extends Error {
  static readonly code = "ONE";
  static readonly retry = "permanent";
  static readonly http = { status: 500, title: "One" };
}

Deno.test("parseErrors() returns the description of a class", () => {
  const [entry] = parseErrors("shared/pool/one.ts", DOCUMENTED, { OneError });
  assertEquals([entry?.code, entry?.folder, entry?.summary, entry?.cause, entry?.fix], [
    "ONE",
    "pool",
    "A summary.",
    "A cause.",
    "A fix.",
  ]);
});

Deno.test("parseErrors() leaves out an internal class", () => {
  const source = "/**\n * Reaches no caller.\n *\n * @internal\n */\nexport class OneError extends TypeError {}\n";
  assertEquals(parseErrors("shared/pool/one.ts", source, {}), []);
});

Deno.test("parseErrors() throws for a class that is not completely described", () => {
  const rows: readonly (readonly [source: string, exports: Record<string, unknown>, message: string])[] = [
    [DOCUMENTED.replace("export ", ""), { OneError }, "not exported"],
    [DOCUMENTED, { OneError: class extends Error {} }, "no code"],
    // Its code is that of its base.
    [DOCUMENTED, { OneError: class extends OneError {} }, "no code"],
    [DOCUMENTED, { OneError: Object.assign(class extends Error {}, { code: "ONE" }) }, "no retry class"],
    [DOCUMENTED.replace(" * @cause A cause.\n", ""), { OneError }, "lacks"],
    [DOCUMENTED.replace(" * @fix A fix.\n", ""), { OneError }, "lacks"],
    [DOCUMENTED.replace(" * @sample new OneError()\n", ""), { OneError }, "lacks"],
    [DOCUMENTED.replace(" * A summary.\n", ""), { OneError }, "lacks"],
    [DOCUMENTED.replace("new OneError()", "new Error()"), { OneError }, "is not a OneError"],
    [DOCUMENTED.replace(/\/\*\*[^]*\*\/\n/, ""), { OneError }, "lacks"],
  ];
  for (const [source, exports, message] of rows) {
    assertThrows(() => parseErrors("shared/pool/one.ts", source, exports), Error, message);
  }
});

Deno.test("parseDocstring() joins the lines of a tag and drops {@linkcode}", () => {
  const { summary, tags } = parseDocstring(
    "\n * One\n * line.\n *\n * Another.\n *\n * @fix See\n *   {@linkcode Pool}.\n ",
  );
  assertEquals(summary, "One line.\n\nAnother.");
  assertEquals(tags.get("fix"), "See `Pool`.");
});

Deno.test("inSectionOrder() names the list to extend when a folder has no section", () => {
  const [entry] = parseErrors("shared/pool/errors.ts", DOCUMENTED, { OneError });
  assert(entry);
  assertEquals(inSectionOrder([entry]), [entry]);
  const message = "shared/nowhere has no section. Add it to SECTIONS in docs/generate/errors.ts";
  assertThrows(() => inSectionOrder([{ ...entry, folder: "nowhere" }]), Error, message);
});
