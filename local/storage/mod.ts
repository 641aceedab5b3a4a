/**
 * Storage, with the API of `storage-api`: `/storage/v1`. Rows are in the schema `storage`, and files in a folder.
 *
 * `@supabase/lite` has a Storage too: it exports no adapter for files, ignores ranges, and buffers uploads in memory.
 *
 * @module
 */
import { drain } from "../body.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { ProjectConfig } from "../config/mod.ts";
import { createBucket, deleteBucket, emptyBucket, getBucket, listBuckets, updateBucket } from "./buckets.ts";
import { type Logins, StorageDatabase } from "./database.ts";
import { invalidRequest, notLocal, StorageError } from "./errors.ts";
import { Files } from "./files.ts";
import { listFolder, listPrefix } from "./listing.ts";
import {
  copyObject,
  downloadObject,
  downloadSigned,
  moveObject,
  objectInfo,
  removeObject,
  removeObjects,
  signObject,
  signObjects,
  signUpload,
  uploadObject,
  uploadSigned,
} from "./objects.ts";
import type { StorageContext, StorageRequest } from "./request.ts";
import { SignedUrls } from "./signed_urls.ts";

/** Options for {@linkcode Storage}. */
export interface StorageOptions extends Logins {
  /** The folder of the files. */
  readonly folder: string;
  /** `[storage]` of the project. */
  readonly config: ProjectConfig["storage"];
  /** The secret of the project. */
  readonly jwtSecret: string;
  /** The credentials of the project. */
  readonly credentials: Credentials;
}

type Outcome = Response | Record<string, unknown> | readonly unknown[];
type Handler = (context: StorageContext, request: StorageRequest) => Promise<Outcome>;

const absent = (feature: string): Handler => () => Promise.reject(notLocal(feature));
const READ = ["GET", "HEAD"];
const ANY = ["*"];

/**
 * Routes by methods and path. `:bucket` stands for a part of the path and `*` for the name of an object. The first match
 * wins: a bucket cannot be reached by the name of a route.
 */
const ROUTES: readonly (readonly [methods: readonly string[], path: string, handle: Handler])[] = [
  [READ, "status", () => Promise.resolve({})],
  [["GET"], "bucket", listBuckets],
  [["POST"], "bucket", createBucket],
  [["GET"], "bucket/:bucket", getBucket],
  [["PUT"], "bucket/:bucket", updateBucket],
  [["DELETE"], "bucket/:bucket", deleteBucket],
  [["POST"], "bucket/:bucket/empty", emptyBucket],
  [ANY, "bucket/:bucket/lifecycle", absent("Lifecycles are")],
  [["POST"], "object/list/:bucket", listFolder],
  [["POST"], "object/list-v2/:bucket", listPrefix],
  [["POST"], "object/move", moveObject],
  [["POST"], "object/copy", copyObject],
  [["POST"], "object/sign/:bucket", signObjects],
  [["POST"], "object/sign/:bucket/*", signObject],
  [READ, "object/sign/:bucket/*", downloadSigned],
  [["POST"], "object/upload/sign/:bucket/*", signUpload],
  [["PUT"], "object/upload/sign/:bucket/*", uploadSigned],
  [READ, "object/info/public/:bucket/*", (context, request) => objectInfo(context, request, "public")],
  [READ, "object/info/authenticated/:bucket/*", (context, request) => objectInfo(context, request, "caller")],
  [READ, "object/info/:bucket/*", (context, request) => objectInfo(context, request, "any")],
  [READ, "object/public/:bucket/*", (context, request) => downloadObject(context, request, "public")],
  [READ, "object/authenticated/:bucket/*", (context, request) => downloadObject(context, request, "caller")],
  [READ, "object/:bucket/*", (context, request) => downloadObject(context, request, "any")],
  [["POST", "PUT"], "object/:bucket/*", uploadObject],
  [["DELETE"], "object/:bucket/*", removeObject],
  [["DELETE"], "object/:bucket", removeObjects],
  [ANY, "render/*", absent("Image transformations are")],
  [ANY, "upload/*", absent("Resumable uploads (TUS) are")],
  [ANY, "s3", absent("The S3 protocol is")],
  [ANY, "s3/*", absent("The S3 protocol is")],
  [ANY, "cdn/*", absent("The CDN is")],
  [ANY, "iceberg/*", absent("Analytics buckets are")],
  [ANY, "vector/*", absent("Vector buckets are")],
];

/** Returns what a path names by a pattern; `undefined` if it does not match. */
function match(pattern: string, parts: readonly string[]): { bucket: string; name: string } | undefined {
  const expected = pattern.split("/");
  const hasName = expected.at(-1) === "*";
  if (hasName ? parts.length < expected.length : parts.length !== expected.length) return undefined;
  let bucket = "";
  for (const [index, part] of expected.entries()) {
    if (part === "*") return { bucket, name: parts.slice(index).join("/") };
    if (part === ":bucket") bucket = parts[index] ?? "";
    else if (part !== parts[index]) return undefined;
  }
  return { bucket, name: "" };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw invalidRequest(`Invalid key: ${path.slice(0, 200)}`, "InvalidKey");
  }
}

/** Handles requests to `/storage/v1`. */
export class Storage implements AsyncDisposable {
  readonly #context: StorageContext & { readonly database: StorageDatabase };
  readonly #credentials: Credentials;
  readonly #config: ProjectConfig["storage"];

  /** Creates the service; the first request connects to the database. */
  constructor({ folder, config, jwtSecret, credentials, ...logins }: StorageOptions) {
    this.#credentials = credentials;
    this.#config = config;
    this.#context = {
      database: new StorageDatabase(logins),
      files: new Files(folder),
      signedUrls: new SignedUrls(jwtSecret),
      maxBytes: config.fileSizeLimit,
    };
  }

  /** Handles a request. Rejects if the database is not available. */
  async fetch(request: Request): Promise<Response> {
    try {
      return await this.#respond(request);
    } catch (error) {
      await drain(request);
      if (error instanceof StorageError) return error.toResponse();
      // The client has disconnected: the server has not failed, and the response is not read.
      if (request.signal.aborted || error instanceof Deno.errors.BadResource) {
        return invalidRequest("The request was interrupted").toResponse();
      }
      throw error;
    }
  }

  /** Closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.database[Symbol.asyncDispose]();
  }

  async #respond(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.replace(/^\/storage\/v1\/?/, "");
    if (!this.#config.enabled) {
      throw new StorageError(501, "NotSupported", "Storage is off: set enabled in [storage] of supabase/config.toml.");
    }
    for (const [methods, pattern, handle] of ROUTES) {
      if (!methods.includes(request.method) && methods !== ANY) continue;
      const found = match(pattern, path.split("/"));
      if (!found) continue;
      const [bucket, name] = [decode(found.bucket), decode(found.name)];
      const caller = await this.#credentials.callerOf(request);
      const outcome = await handle(this.#context, { request, url, caller, bucket, name });
      return outcome instanceof Response ? outcome : Response.json(outcome);
    }
    throw new StorageError(404, "NoSuchRoute", `Route ${request.method}:${url.pathname} not found`, {
      error: "Not Found",
      status: 404,
    });
  }
}
