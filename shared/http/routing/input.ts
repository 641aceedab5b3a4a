/**
 * Reads and validates the input of a request: JSON bodies, queries and path
 * parameters. Invalid input is a {@linkcode RequestError} that names each field.
 *
 * @module
 */
import type * as z from "zod";
import {
  BodyTooLargeError,
  MalformedJsonError,
  type ProblemField,
  RequestError,
  UnsupportedMediaTypeError,
  ValidationError,
} from "../responses/problem.ts";

/** The default of the maximum body size, in bytes. */
export const MAX_BODY_BYTES = 65_536;

/** Maximum number of invalid fields that a response lists. */
const MAX_LISTED = 20;
/** Maximum length of a name that the caller chose, in characters. */
const MAX_SHOWN = 64;

/** Options for {@linkcode readJson}. */
export interface ReadJsonOptions {
  /** The maximum size of the body, in bytes. Default: {@linkcode MAX_BODY_BYTES}. */
  readonly maxBytes?: number;
}

function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}\u2026` : text;
}

function fieldsOf(error: z.ZodError, parent: readonly string[]): ProblemField[] {
  const fields = error.issues.flatMap((issue): ProblemField[] => {
    const path = [...parent, ...issue.path.map(String)];
    if (issue.code !== "unrecognized_keys") return [{ path: path.join("."), message: issue.message }];
    return issue.keys.map((key) => ({ path: shorten([...path, key].join(".")), message: "unknown field" }));
  });
  const more = fields.length - MAX_LISTED;
  if (more <= 0) return fields;
  return [...fields.slice(0, MAX_LISTED), { path: "", message: `and ${more} more` }];
}

/** The message for a value of the wrong type, by the expected type. */
const TYPE_TEXTS: Readonly<Record<string, string>> = {
  object: "must be an object",
  array: "must be a list",
  string: "must be text",
  number: "must be a number",
  boolean: "must be true or false",
};

/** Returns the message for an issue whose schema has none; `undefined` leaves it to zod. */
function messageFor(issue: z.core.$ZodRawIssue): string | undefined {
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
  const result = schema.safeParse(value, { error: messageFor });
  if (result.success) return result.data;
  throw new ValidationError(part, fieldsOf(result.error, parent));
}

function checkMediaType(request: Request): void {
  const essence = request.headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const encoding = request.headers.get("Content-Encoding")?.trim().toLowerCase() ?? "identity";
  const json = essence === "application/json" || /^application\/[\w.-]+\+json$/.test(essence);
  if (json && encoding === "identity") return;
  throw new UnsupportedMediaTypeError(json ? { "Accept-Encoding": "identity" } : { Accept: "application/json" });
}

/** Reads the body up to `maxBytes`: a `Content-Length` may be wrong, and may be missing. */
async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (request.bodyUsed || request.body?.locked) {
    throw new TypeError("Cannot read the body of the request: it was already read, or is locked to a reader");
  }
  const declared = Number(request.headers.get("Content-Length") ?? 0);
  if (declared > maxBytes) throw new BodyTooLargeError(maxBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.byteLength;
      if (length > maxBytes) throw new BodyTooLargeError(maxBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof RequestError ? error : new MalformedJsonError("The body broke off before its end");
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
    throw new MalformedJsonError("The body is not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedJsonError(text.trim() === "" ? "The body is empty" : "The body is not JSON");
  }
}

/**
 * Reads the JSON body of a request and validates it with `schema`.
 *
 * @example
 * ```ts
 * const { name } = await readJson(request, z.strictObject({ name: nameField }));
 * ```
 *
 * @throws {RequestError} 415 for another content type, 413 for a body that is too long, 400 for a body that is not JSON
 * or does not match the schema, listing each field.
 * @throws {TypeError} for a body that was read before.
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
 * Validates the query of a request with `schema`. The schema gets an object with
 * the text of each parameter, or a list of texts for one that occurs more than
 * once.
 *
 * @throws {RequestError} 400, listing each parameter.
 */
export function readQuery<Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> {
  // No prototype: a parameter may have any name, `__proto__` too.
  const values: Record<string, string | string[]> = Object.create(null);
  const { searchParams } = new URL(request.url);
  for (const [name, value] of searchParams) {
    const before = values[name];
    // Appended in place: a URL holds tens of thousands of parameters.
    if (Array.isArray(before)) before.push(value);
    else values[name] = before === undefined ? value : [before, value];
  }
  return check(schema, { ...values }, "query");
}

/**
 * Validates a path parameter with `schema`.
 *
 * @throws {RequestError} 400, naming the parameter.
 */
export function readParam<Schema extends z.ZodType>(
  name: string,
  value: string | undefined,
  schema: Schema,
): z.output<Schema> {
  return check(schema, value, "path", [name]);
}
