/**
 * What callers send, checked: JSON bodies, queries and path parameters.
 * Whatever is wrong is a {@linkcode RequestError} that names it.
 *
 * @module
 */
import type * as z from "zod";
import type { ProblemField } from "../responses/problem.ts";
import { RequestError } from "../responses/request_error.ts";

/** The longest body read, in bytes, unless told otherwise. */
export const MAX_BODY_BYTES = 65_536;

/** So many bad fields are listed. */
const MAX_LISTED = 20;
/** A name or value the caller chose is shown up to here. */
const MAX_SHOWN = 64;

/** Options of {@linkcode readJson}. */
export interface ReadJsonOptions {
  /** The longest body, in bytes. Default: {@linkcode MAX_BODY_BYTES}. */
  readonly maxBytes?: number;
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function fieldsOf(error: z.ZodError, parent: readonly string[]): ProblemField[] {
  const fields = error.issues.flatMap((issue): ProblemField[] => {
    const path = [...parent, ...issue.path.map(String)];
    if (issue.code !== "unrecognized_keys") return [{ path: path.join("."), message: issue.message }];
    return issue.keys.map((key) => ({ path: shorten([...path, key].join(".")), message: "is not known here" }));
  });
  const more = fields.length - MAX_LISTED;
  if (more <= 0) return fields;
  return [...fields.slice(0, MAX_LISTED), { path: "", message: `and ${more} more` }];
}

/** What must stand where something of another type stands, in the words of the other messages here. */
const TYPE_TEXTS: Readonly<Record<string, string>> = {
  object: "must be an object",
  array: "must be a list",
  string: "must be text",
  number: "must be a number",
  boolean: "must be true or false",
};

/** The text of an issue whose schema has none of its own; `undefined` leaves it to zod. */
function textOf(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === "invalid_type" && Object.hasOwn(TYPE_TEXTS, issue.expected)
    ? TYPE_TEXTS[issue.expected]
    : undefined;
}

function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  part: string,
  parent: readonly string[] = [],
): z.output<Schema> {
  const result = schema.safeParse(value, { error: textOf });
  if (result.success) return result.data;
  throw new RequestError({
    status: 400,
    code: "VALIDATION_FAILED",
    title: "Invalid request",
    detail: `The ${part} is not what this route takes`,
    errors: fieldsOf(result.error, parent),
  });
}

function checkMediaType(request: Request): void {
  const essence = request.headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const encoding = request.headers.get("Content-Encoding")?.trim().toLowerCase() ?? "identity";
  const json = essence === "application/json" || /^application\/[\w.-]+\+json$/.test(essence);
  if (json && encoding === "identity") return;
  throw new RequestError({
    status: 415,
    code: "UNSUPPORTED_MEDIA_TYPE",
    title: "Unsupported media type",
    detail: "The body must be JSON, not compressed, with the header Content-Type: application/json",
    // RFC 9110, 15.5.16: which of the two was wrong, and what would do.
    headers: json ? { "Accept-Encoding": "identity" } : { Accept: "application/json" },
  });
}

function tooLarge(maxBytes: number): RequestError {
  return new RequestError({
    status: 413,
    code: "BODY_TOO_LARGE",
    title: "Content too large",
    detail: `The body is longer than ${maxBytes} bytes`,
  });
}

function malformed(detail: string): RequestError {
  return new RequestError({ status: 400, code: "MALFORMED_JSON", title: "Malformed JSON", detail });
}

/** Reads no more than it must: a `Content-Length` may lie, and may be missing. */
async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get("Content-Length") ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.byteLength;
      if (length > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof RequestError ? error : malformed("The body broke off before its end");
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw malformed("The body is not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(text.trim() === "" ? "The body is empty" : "The body is not JSON");
  }
}

/**
 * The JSON body of a request, checked by `schema`.
 *
 * @throws {RequestError} 415 for another content type, 413 for a body that is too long, 400 for what is no JSON and
 * for what does not fit the schema, listing each field.
 */
export async function readJson<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  { maxBytes = MAX_BODY_BYTES }: ReadJsonOptions = {},
): Promise<z.output<Schema>> {
  checkMediaType(request);
  return check(schema, parseJson(await readBytes(request, maxBytes)), "body");
}

/**
 * The query of a request, checked by `schema`: an object of texts by name, or
 * of lists of texts for names that occur more than once.
 *
 * @throws {RequestError} 400, listing each parameter.
 */
export function readQuery<Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> {
  // No prototype: a parameter may have any name, `__proto__` too.
  const values: Record<string, string | string[]> = Object.create(null);
  const { searchParams } = new URL(request.url);
  for (const name of new Set(searchParams.keys())) {
    const all = searchParams.getAll(name);
    values[name] = all.length === 1 ? all.join() : all;
  }
  return check(schema, { ...values }, "query");
}

/**
 * A parameter of the path, checked by `schema`.
 *
 * @throws {RequestError} 400, naming it.
 */
export function readParam<Schema extends z.ZodType>(
  name: string,
  value: string | undefined,
  schema: Schema,
): z.output<Schema> {
  return check(schema, value, "path", [name]);
}
