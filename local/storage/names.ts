/**
 * Names of buckets and objects, as `storage-api` accepts them.
 *
 * @module
 */
import { invalidRequest, StorageError } from "./errors.ts";

const OBJECT = /^[A-Za-z0-9_/!.*'() &$=@;:+,?-]+$/;
const BUCKET = /^[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}$/;
/** URLs of clients cannot hold these segments: they resolve them. The Storage of the Supabase CLI refuses them, too. */
const DOT_SEGMENT = /(^|\/)\.{1,2}(\/|$)/;
/** The longest name of S3, in bytes. */
const MAX_LENGTH = 1024;

/**
 * Checks the name of an object.
 *
 * @throws {StorageError} `InvalidKey`.
 */
export function checkKey(name: unknown): string {
  if (typeof name !== "string" || name.length > MAX_LENGTH || !OBJECT.test(name) || DOT_SEGMENT.test(name)) {
    throw invalidRequest(`Invalid key: ${typeof name === "string" ? name.slice(0, 200) : ""}`, "InvalidKey");
  }
  return name;
}

/**
 * Checks the name of a bucket.
 *
 * @throws {StorageError} `InvalidBucketName`.
 */
export function checkBucketName(name: unknown): string {
  if (typeof name !== "string" || !BUCKET.test(name) || DOT_SEGMENT.test(name) || name.trim() !== name) {
    throw new StorageError(400, "InvalidBucketName", "Bucket name invalid", { error: "Invalid Input" });
  }
  return name;
}

/**
 * Checks that a bucket accepts a media type.
 *
 * @param allowed Types such as `image/png` and `image/*`; empty for any.
 * @throws {StorageError} `InvalidMimeType`.
 */
export function checkMediaType(type: string, allowed: readonly string[]): void {
  const name = (type.split(";")[0] ?? "").trim().toLowerCase();
  const fits = (pattern: string) => {
    const wanted = pattern.trim().toLowerCase();
    if (wanted === "*/*" || wanted === "*") return true;
    return wanted.endsWith("/*") ? name.startsWith(wanted.slice(0, -1)) : wanted === name;
  };
  if (!/^[\w.+-]+\/[\w.+-]+$/.test(name) || (allowed.length > 0 && !allowed.some(fits))) {
    throw new StorageError(415, "InvalidMimeType", `mime type ${type.slice(0, 100)} is not supported`, {
      error: "invalid_mime_type",
    });
  }
}

/** Returns whether an object stands for an empty folder: it has no size, and any type. */
export function isEmptyFolder(name: string): boolean {
  return name.endsWith(".emptyFolderPlaceholder");
}
