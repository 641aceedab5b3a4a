/**
 * Errors of Storage, in the shape of `storage-api`.
 *
 * @module
 */
import { PostgresError, StatementError } from "../../shared/postgres/mod.ts";

/** An error that the response reports. */
export class StorageError extends Error {
  override name = "StorageError";
  /** The status in the body. The status of the response is 400, except for failures of the server. */
  readonly statusCode: number;
  /** Stable code, such as `NoSuchKey`. */
  readonly code: string;
  /** The code that earlier versions had, in the member `error`. */
  readonly error: string;
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>>;
  /** The status of the response. */
  readonly status: number;

  constructor(
    statusCode: number,
    code: string,
    message: string,
    { error = code, headers = {}, status = statusCode >= 500 ? statusCode : 400 }: {
      readonly error?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly status?: number;
    } = {},
  ) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
    this.error = error;
    this.headers = headers;
    this.status = status;
  }

  /** Creates the response. */
  toResponse(): Response {
    const { statusCode, code, error, message, status, headers } = this;
    return Response.json({ statusCode: String(statusCode), error, message, code }, { status, headers });
  }
}

/** The bucket does not exist, or the caller may not see it. */
export function noSuchBucket(): StorageError {
  return new StorageError(404, "NoSuchBucket", "Bucket not found", { error: "Bucket not found" });
}

/** The object does not exist, or the caller may not see it. */
export function noSuchKey(): StorageError {
  return new StorageError(404, "NoSuchKey", "Object not found", { error: "not_found" });
}

/** Another object has the name. */
export function keyExists(): StorageError {
  return new StorageError(409, "KeyAlreadyExists", "The resource already exists", { error: "Duplicate" });
}

/** Policies do not allow the action. */
export function accessDenied(message = "Access denied"): StorageError {
  return new StorageError(403, "AccessDenied", message, { error: "Unauthorized" });
}

/** The request is not valid. */
export function invalidRequest(message: string, code = "InvalidRequest"): StorageError {
  return new StorageError(400, code, message);
}

/** The object is larger than its bucket allows. */
export function tooLarge(): StorageError {
  return new StorageError(413, "EntityTooLarge", "The object exceeded the maximum allowed size", {
    error: "Payload too large",
  });
}

/** The local stack does not have the feature. */
export function notLocal(feature: string): StorageError {
  const message = `${feature} not part of the local stack. Use a hosted project instead.`;
  return new StorageError(501, "NotSupported", message, { error: "not_supported" });
}

/** The request holds a text that Postgres cannot store. */
function notStorable(): StorageError {
  return invalidRequest("The request holds a character that cannot be stored, such as U+0000");
}

/** Returns the error to report for a failure of the database; others are returned as they are. */
export function ofDatabase(error: unknown): unknown {
  if (error instanceof StatementError) return notStorable();
  if (!(error instanceof PostgresError)) return error;
  switch (error.code) {
    case "42501":
      return accessDenied(error.message);
    case "23505":
      return keyExists();
    case "23503":
      return noSuchBucket();
    case "22023":
      return accessDenied("The role of the token does not exist");
    case "22021":
    case "22P05":
      return notStorable();
    case "57014":
      return new StorageError(544, "DatabaseTimeout", "The connection to the database timed out");
    default:
      // A policy or trigger of the project that fails, most often. The message names no values.
      return error.code.startsWith("08") || error.code.startsWith("57P")
        ? error
        : new StorageError(500, "DatabaseError", error.message, { status: 500 });
  }
}
