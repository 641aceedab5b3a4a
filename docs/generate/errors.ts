/**
 * Renders docs/errors.md from the error classes of shared/.
 *
 * A class declares code, retry class and HTTP response as static members. Its docstring has the summary, `@cause`,
 * `@fix` and `@sample`: an expression that creates such an error, whose message is the example.
 *
 * @module
 */
import { errorResponse } from "../../shared/http/responses/error_response.ts";
import { QueueFullError } from "../../shared/pool/mod.ts";
import type { ErrorClass } from "../../shared/resilience/mod.ts";
import { SQLSTATES } from "../../shared/resilience/sqlstate.ts";
import { markdownTable } from "../../bench/support/markdown.ts";
import { modulesIn } from "./imports.ts";

const ROOT = new URL("../../", import.meta.url);

/** The sections of the page, by folder of shared/. */
const SECTIONS: Readonly<Record<string, string>> = {
  pool: "The pool",
  supabase: "Supabase clients",
  postgres: "Direct Postgres",
  data: "The data layer",
  services: "Services",
  http: "Requests and responses",
  resilience: "Retries",
  cache: "The cache",
  observability: "Observability",
};

/** A documented error class. */
export interface ErrorEntry extends ErrorClass {
  /** The name of the class. */
  readonly name: string;
  /** The folder of shared/ that the class is in. */
  readonly folder: string;
  readonly summary: string;
  readonly cause: string;
  readonly fix: string;
  /** The message of the sample. */
  readonly message: string;
  /** The sample. */
  readonly sample: Error;
}

const DECLARATION = /(?:\/\*\*((?:(?!\*\/)[^])*)\*\/\n)?(export )?(abstract )?class (\w+) extends (\w*Error)\b/g;

/** Returns the text of a docstring, and of each of its tags, on one line each. */
export function parseDocstring(docstring: string): { summary: string; tags: ReadonlyMap<string, string> } {
  const [summary = "", ...tags] = docstring.replaceAll(/^[ \t]*\*? ?/gm, "").split(/^@/m);
  const oneLine = (text: string) => text.replaceAll(/\{@linkcode (\w+)\}/g, "`$1`").replaceAll(/[ \n]+/g, " ").trim();
  return {
    summary: summary.trim().split(/\n\n+/).map(oneLine).join("\n\n"),
    tags: new Map(tags.map((tag) => {
      const end = tag.search(/\s/);
      return [tag.slice(0, end), oneLine(tag.slice(end))];
    })),
  };
}

/** Evaluates the expression of `@sample` with the exports of its module. */
function evaluate(expression: string, exports: Readonly<Record<string, unknown>>): unknown {
  return new Function(...Object.keys(exports), `"use strict"; return ${expression}`)(...Object.values(exports));
}

function isErrorClass(value: unknown): value is ErrorClass & { readonly name: string } {
  return typeof value === "function" && value.prototype instanceof Error && Object.hasOwn(value, "code");
}

/**
 * Returns the error classes that a module declares.
 *
 * @throws {Error} if a class is not exported, or lacks a static member or a part of its documentation.
 */
export function parseErrors(path: string, source: string, exports: Readonly<Record<string, unknown>>): ErrorEntry[] {
  const declarations = [...source.matchAll(DECLARATION)];
  return declarations.flatMap(([, docstring = "", exported, abstract, name = ""]) => {
    const fault = (what: string) => new Error(`Cannot document ${name} of ${path}: ${what}`);
    const type = exports[name];
    // An internal error never reaches a caller.
    if (abstract || /@internal\b/.test(docstring)) return [];
    if (!exported) throw fault("it is not exported");
    if (!isErrorClass(type)) {
      if (declarations.some(([, , , , , base]) => base === name)) return [];
      throw fault("it declares no code");
    }
    if (!("retry" in type) || !("http" in type)) throw fault("it declares no retry class or HTTP response");
    const { summary, tags } = parseDocstring(docstring);
    const [cause, fix, sample] = ["cause", "fix", "sample"].map((tag) => tags.get(tag));
    if (!summary || !cause || !fix || !sample) throw fault("its docstring lacks a summary, @cause, @fix or @sample");
    const error = evaluate(sample, exports);
    if (!(error instanceof Error) || !Object.is(error.constructor, type)) throw fault(`its @sample is not a ${name}`);
    const { code, retry, http } = type;
    return [{
      name,
      folder: path.split("/")[1] ?? "",
      code,
      retry,
      http,
      summary,
      cause,
      fix,
      message: error.message,
      sample: error,
    }];
  });
}

/** Reads the error classes of every module of shared/, in the order of the sections. */
export async function readErrors(): Promise<ErrorEntry[]> {
  const paths: string[] = [];
  for await (const url of modulesIn(new URL("shared/", ROOT))) paths.push(url.href.slice(ROOT.href.length));
  const entries: ErrorEntry[] = [];
  for (const path of paths.sort()) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    if (source.search(DECLARATION) < 0) continue;
    entries.push(...parseErrors(path, source, await import(new URL(path, ROOT).href)));
  }
  return inSectionOrder(entries);
}

/**
 * Returns error classes in the order of the sections.
 *
 * @throws {Error} if the folder of a class has no section.
 */
export function inSectionOrder(entries: readonly ErrorEntry[]): ErrorEntry[] {
  const folders = Object.keys(SECTIONS);
  for (const { name, folder } of entries) {
    if (folders.includes(folder)) continue;
    throw new Error(
      `Cannot document ${name}: shared/${folder} has no section. Add it to SECTIONS in docs/generate/errors.ts`,
    );
  }
  return entries.toSorted((a, b) => folders.indexOf(a.folder) - folders.indexOf(b.folder));
}

const INTRODUCTION = `# Errors

Every error of this library has a stable \`code\`. Test for the code, not for the message. A response with an error is a
problem as RFC 9457 defines it: its \`type\` links to the code's section below, and it never contains the message of a
failure of the server.

The retry class says whether a failed operation may be retried; \`withRetry\` and the other functions that retry follow
it:

- \`transient\`: it failed before it could have an effect. It may always be retried.
- \`ambiguous\`: it may have taken effect. It may be retried only if it is idempotent.
- \`permanent\`: it would fail again, or must not be repeated. It is never retried.
- \`by cause\`: the SQLSTATE, the system's code or the cause decides.

An error class of an application describes itself in the same way:

\`\`\`ts
class TaxError extends PoolError {
  static override readonly code = "TAX_UNKNOWN";
  static override readonly retry = "permanent";
  static override readonly http = { status: 422, title: "Tax unknown", detail: "There is no tax of that name" };
}
\`\`\`
`;

const SQLSTATE_SECTION = `## SQLSTATEs

An error of Postgres keeps its SQLSTATE as \`code\`. Its retry class and HTTP status, by code or by class (two
characters); a code wins over its class. A SQLSTATE without a row is permanent, and 500 or what the Data API responds.
`;

function responseOf({ status, title, retryAfterSeconds }: ErrorClass["http"]): string {
  return `${status} ${title}${retryAfterSeconds === undefined ? "" : `, \`Retry-After: ${retryAfterSeconds}\``}`;
}

function sectionOf({ code, name, summary, retry, http, cause, fix, message }: ErrorEntry): string {
  return [
    `<a id="${code}"></a>\n\n### ${code}`,
    summary,
    `\`${name}\` · retry: ${retry ?? "by cause"} · HTTP ${responseOf(http)}`,
    `- Cause: ${cause}\n- Fix: ${fix}\n- Example:`,
    `  \`\`\`text\n${message.replaceAll(/^/gm, "  ")}\n  \`\`\``,
  ].join("\n\n");
}

async function exampleOf(error: Error): Promise<string> {
  const response = errorResponse(error);
  const headers = ["Content-Type", "Retry-After"].map((name) => `${name}: ${response.headers.get(name)}`);
  const body = JSON.stringify(await response.json(), null, 2);
  return `\`\`\`http\nHTTP/1.1 ${response.status}\n${headers.join("\n")}\n\n${body}\n\`\`\``;
}

/** Formats a document as `deno fmt` does. */
async function format(text: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext=md", "-"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("Cannot format docs/errors.md: deno fmt failed");
  return new TextDecoder().decode(stdout);
}

/** Returns docs/errors.md. */
export async function renderErrors(): Promise<string> {
  const entries = await readErrors();
  const codes = entries.map(({ code, name, retry, http }) => [
    `[${code}](#${code})`,
    `\`${name}\``,
    retry ?? "by cause",
    String(http.status),
  ]);
  const sections = Object.entries(SECTIONS).map(([folder, title]) =>
    [`## ${title}`, ...entries.filter((entry) => entry.folder === folder).map(sectionOf)].join("\n\n")
  );
  const sqlstates = SQLSTATES.map(([code, retry, status = "", name]) => [code, retry, String(status), name]);
  return await format([
    "<!-- Written by `deno task docs` from the error classes: change those. -->",
    INTRODUCTION.trim(),
    "A response:",
    await exampleOf(new QueueFullError("The wait queue is full (maxWaiters: 1000)")),
    markdownTable([["code", "class", "retry", "HTTP"], ...codes]),
    ...sections,
    SQLSTATE_SECTION.trim(),
    markdownTable([["SQLSTATE", "retry", "HTTP", "name"], ...sqlstates]),
  ].join("\n\n"));
}
