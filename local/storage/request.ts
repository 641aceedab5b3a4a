/**
 * A request to a route of Storage.
 *
 * @module
 */
import { parseObject, readText } from "../body.ts";
import type { Caller } from "../auth/credentials.ts";
import type { Claims } from "../auth/tokens.ts";
import type { Action, StorageDatabase } from "./database.ts";
import { accessDenied, invalidRequest, StorageError } from "./errors.ts";
import type { Files } from "./files.ts";
import type { SignedUrls } from "./signed_urls.ts";

/** The parts that the routes share. */
export interface StorageContext {
  /** The rows. */
  readonly database: StorageDatabase;
  /** The files. */
  readonly files: Files;
  /** The tokens of URLs. */
  readonly signedUrls: SignedUrls;
  /** The size of the largest object, in bytes. */
  readonly maxBytes: number;
}

/** A request, and what its path names. */
export interface StorageRequest {
  /** The request. */
  readonly request: Request;
  /** The URL. */
  readonly url: URL;
  /** The caller. */
  readonly caller: Caller;
  /** The bucket of the path. */
  readonly bucket: string;
  /** The name of the object in the path; empty if the path names none. */
  readonly name: string;
}

const MAX_JSON = 2_000_000;

/** Returns the claims of a caller; `undefined` without valid credentials. */
export function claimsOf(caller: Caller): Claims | undefined {
  return caller.from === "key" || caller.from === "token" ? caller.claims : undefined;
}

/**
 * Returns the caller's action.
 *
 * @throws {StorageError} Without valid credentials.
 */
export function actionOf({ caller, request, url }: StorageRequest, operation: string): Action {
  const claims = claimsOf(caller);
  if (claims) return { claims, operation: `storage.${operation}`, method: request.method, path: url.pathname };
  if (caller.from === "rejected") {
    throw accessDenied(caller.reason === "expired" ? '"exp" claim timestamp check failed' : "Invalid Compact JWS");
  }
  throw new StorageError(400, "InvalidRequest", "headers must have required property 'authorization'", {
    error: "Error",
  });
}

/** Returns the subject of a caller. */
export function subjectOf(caller: Caller): string | undefined {
  const subject = claimsOf(caller)?.sub;
  return typeof subject === "string" ? subject : undefined;
}

/** The members of a JSON body. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * Reads a JSON body; `{}` if it is empty.
 *
 * @throws {StorageError} `InvalidRequest`.
 */
export async function readJson({ request }: StorageRequest): Promise<Json> {
  const text = await readText(request, MAX_JSON);
  if (text === undefined) throw invalidRequest("Request body is too large");
  const value = parseObject(text);
  if (!value) throw invalidRequest("Body is not valid JSON");
  return value;
}

/** Returns a text of a body. @throws {StorageError} `InvalidRequest` if it is missing. */
export function textOf(body: Json, name: string): string {
  const value = body[name];
  if (typeof value !== "string" || value === "") throw invalidRequest(`body must have required property '${name}'`);
  return value;
}

/** Returns texts of a body. @throws {StorageError} `InvalidRequest` if they are missing. */
export function textsOf(body: Json, name: string): readonly string[] {
  const value = body[name];
  if (!Array.isArray(value) || value.length === 0 || !value.every((item) => typeof item === "string")) {
    throw invalidRequest(`body/${name} must be a list of texts that is not empty`);
  }
  if (value.length > 1_000) throw invalidRequest(`body/${name} must NOT have more than 1000 items`);
  return value;
}

/** Returns a number of a body, within limits. */
export function numberOf(body: Json, name: string, fallback: number, most: number): number {
  const value = body[name] ?? fallback;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
    throw invalidRequest(`body/${name} must be an integer of at least 0`);
  }
  return Math.min(value, most);
}
