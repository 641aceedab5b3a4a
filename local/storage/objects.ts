/**
 * Routes of objects.
 *
 * @module
 */
import type { Claims } from "../auth/tokens.ts";
import {
  type Bucket,
  deleteObjects,
  findBuckets,
  findObject,
  findObjects,
  type StorageSql,
  type StoredObject,
} from "./database.ts";
import { download } from "./download.ts";
import { accessDenied, invalidRequest, keyExists, noSuchBucket, noSuchKey, StorageError } from "./errors.ts";
import { checkKey } from "./names.ts";
import {
  actionOf,
  claimsOf,
  type Json,
  numberOf,
  readJson,
  type StorageContext,
  type StorageRequest,
  subjectOf,
  textOf,
  textsOf,
} from "./request.ts";
import { checkUpload, recordFile, upload, type UploadTarget } from "./upload.ts";

type Outcome = Response | Record<string, unknown> | readonly unknown[];

/** The longest time for which a signed URL is valid, in s: ten years. */
const MAX_EXPIRY_S = 31_536_000 * 10;
const UPLOAD_EXPIRY_S = 7_200;

async function bucketOf({ database }: StorageContext, id: string): Promise<Bucket> {
  const [bucket] = await database.asService((sql) => findBuckets(sql, id));
  if (!bucket) throw noSuchBucket();
  return bucket;
}

/** `POST` and `PUT /object/:bucket/:name`. */
export async function uploadObject(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const isUpdate = request.request.method === "PUT";
  const action = actionOf(request, isUpdate ? "object.upload_update" : "object.upload");
  const name = checkKey(request.name);
  const target: UploadTarget = {
    bucket: await bucketOf(context, request.bucket),
    name,
    owner: subjectOf(request.caller),
    upsert: isUpdate || request.request.headers.get("x-upsert") === "true",
  };
  const { database, files, maxBytes } = context;
  const saved = await upload(database, files, request.request, target, action, maxBytes);
  return { Id: saved.id, Key: `${request.bucket}/${name}` };
}

/** The ways to an object: with credentials, without, or either. */
export type Access = "caller" | "public" | "any";

/** Returns an object that the caller may read, or that is in a public bucket. */
async function readable(
  context: StorageContext,
  request: StorageRequest,
  access: Access,
  operation: string,
): Promise<StoredObject> {
  const name = checkKey(request.name);
  const find = (sql: StorageSql) => findObject(sql, request.bucket, name);
  const bucket = await bucketOf(context, request.bucket);
  if (access === "public" && !bucket.public) throw noSuchBucket();
  const claims: Claims | undefined = claimsOf(request.caller);
  if (access === "any" && claims === undefined && !bucket.public) throw noSuchBucket();
  const object = bucket.public && access !== "caller"
    ? await context.database.asService(find)
    : await context.database.as(actionOf(request, operation), find);
  if (!object) throw noSuchKey();
  return object;
}

/** `GET` and `HEAD /object/:bucket/:name`, and the routes below `authenticated` and `public`. */
export async function downloadObject(
  context: StorageContext,
  request: StorageRequest,
  access: Access,
): Promise<Outcome> {
  const get = () => readable(context, request, access, "object.get_authenticated");
  return await download(context.files, request.request, await get(), get);
}

/** `GET` and `HEAD /object/info/:bucket/:name`. */
export async function objectInfo(context: StorageContext, request: StorageRequest, access: Access): Promise<Outcome> {
  const object = await readable(context, request, access, "object.get_authenticated_info");
  const { id, name, version, bucket_id, metadata, user_metadata, created_at, updated_at } = object;
  return {
    id,
    name,
    version,
    bucket_id,
    size: metadata?.size ?? 0,
    content_type: metadata?.mimetype ?? null,
    cache_control: metadata?.cacheControl ?? null,
    etag: metadata?.eTag ?? null,
    metadata: user_metadata ?? {},
    last_modified: metadata?.lastModified ?? updated_at,
    created_at,
  };
}

/** `DELETE /object/:bucket/:name`. */
export async function removeObject(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const { database, files } = context;
  const action = actionOf(request, "object.delete");
  const name = checkKey(request.name);
  if (!await database.asService((sql) => findObject(sql, request.bucket, name))) throw noSuchKey();
  const deleted = await database.as(action, (sql) => deleteObjects(sql, request.bucket, [name]));
  if (deleted.length === 0) throw accessDenied();
  await files.remove(deleted.map(({ version }) => version));
  return { message: "Successfully deleted" };
}

/** `DELETE /object/:bucket`: the objects that the body names. */
export async function removeObjects(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const { database, files } = context;
  const names = textsOf(await readJson(request), "prefixes");
  const action = actionOf(request, "object.delete_many");
  const deleted = await database.as(action, (sql) => deleteObjects(sql, request.bucket, names));
  await files.remove(deleted.map(({ version }) => version));
  return deleted;
}

/** `POST /object/move`. */
export async function moveObject({ database }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const body = await readJson(request);
  const [from, source] = [textOf(body, "bucketId"), checkKey(textOf(body, "sourceKey"))];
  const target = checkKey(textOf(body, "destinationKey"));
  const to = body.destinationBucket === undefined ? from : textOf(body, "destinationBucket");
  const moved = await database.as(actionOf(request, "object.move"), async (sql) => {
    const { rows: [row] } = await sql.query<{ id: string }>(
      "update storage.objects set bucket_id = $3, name = $4 where bucket_id = $1 and name = $2 returning id::text",
      [from, source, to, target],
    );
    return row;
  });
  if (!moved) throw noSuchKey();
  return { message: "Successfully moved", Id: moved.id, Key: `${to}/${target}` };
}

/** Returns the metadata that a copy may replace. The rest describes the file: its size, its hash. */
function givenMetadata({ metadata }: Json): { readonly cacheControl?: string; readonly mimetype?: string } {
  if (typeof metadata !== "object" || metadata === null) return {};
  const { cacheControl, mimetype }: { cacheControl?: unknown; mimetype?: unknown } = metadata;
  return {
    ...(typeof cacheControl === "string" ? { cacheControl } : {}),
    ...(typeof mimetype === "string" ? { mimetype } : {}),
  };
}

/** `POST /object/copy`. */
export async function copyObject(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const { database, files } = context;
  const body = await readJson(request);
  const [from, source] = [textOf(body, "bucketId"), checkKey(textOf(body, "sourceKey"))];
  const name = checkKey(textOf(body, "destinationKey"));
  const to = body.destinationBucket === undefined ? from : textOf(body, "destinationBucket");
  const action = actionOf(request, "object.copy");
  const object = await database.as(action, (sql) => findObject(sql, from, source));
  if (!object) throw noSuchKey();
  const target: UploadTarget = {
    bucket: await bucketOf(context, to),
    name,
    owner: subjectOf(request.caller),
    upsert: request.request.headers.get("x-upsert") === "true",
  };
  const metadata = {
    ...object.metadata,
    ...(body.copyMetadata === false ? givenMetadata(body) : {}),
    lastModified: new Date().toISOString(),
  };
  await checkUpload(database, action, target, metadata, object.user_metadata ?? undefined);
  if (!target.upsert && await database.asService((sql) => findObject(sql, to, name))) throw keyExists();
  const version = await files.copy(object.version ?? "");
  if (version === undefined) throw noSuchKey();
  const saved = await recordFile(database, files, target, version, metadata, object.user_metadata ?? undefined);
  const { id, bucket_id, owner, owner_id, created_at, updated_at, last_accessed_at } = saved;
  return {
    Id: id,
    Key: `${to}/${name}`,
    name,
    bucket_id,
    owner,
    owner_id,
    version,
    id,
    created_at,
    updated_at,
    last_accessed_at,
    metadata,
    user_metadata: saved.user_metadata,
  };
}

function checkTransform(body: Readonly<Record<string, unknown>>): void {
  const { transform } = body;
  if (typeof transform === "object" && transform !== null && Object.keys(transform).length > 0) {
    throw new StorageError(
      501,
      "NotSupported",
      "Image transformations are not part of the local stack. Use a hosted project instead.",
      {
        error: "not_supported",
      },
    );
  }
}

function expiryOf(body: Readonly<Record<string, unknown>>): number {
  const seconds = numberOf(body, "expiresIn", 0, MAX_EXPIRY_S);
  if (seconds === 0) throw invalidRequest("body/expiresIn must be >= 1");
  return seconds;
}

/** Returns the path of a signed URL. It is not percent-encoded: the client does that. */
function signedPath(route: string, object: string, token: string): string {
  return `/object/${route}/${object}?token=${token}`;
}

/** `POST /object/sign/:bucket/:name`. */
export async function signObject({ database, signedUrls }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const body = await readJson(request);
  const [seconds, name] = [expiryOf(body), checkKey(request.name)];
  checkTransform(body);
  const action = actionOf(request, "object.sign");
  if (!await database.as(action, (sql) => findObject(sql, request.bucket, name))) throw noSuchKey();
  const url = `${request.bucket}/${name}`;
  return { signedURL: signedPath("sign", url, await signedUrls.sign({ url, scope: "download" }, seconds)) };
}

/** `POST /object/sign/:bucket`. */
export async function signObjects({ database, signedUrls }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const body = await readJson(request);
  const [seconds, paths] = [expiryOf(body), textsOf(body, "paths")];
  const found = await database.as(
    actionOf(request, "object.sign_many"),
    (sql) => findObjects(sql, request.bucket, paths),
  );
  const names = new Set(found.map(({ name }) => name));
  return await Promise.all(paths.map(async (path) => {
    if (!names.has(path)) {
      return { error: "Either the object does not exist or you do not have access to it", path, signedURL: null };
    }
    const url = `${request.bucket}/${path}`;
    const token = await signedUrls.sign({ url, scope: "download" }, seconds);
    return { error: null, path, signedURL: signedPath("sign", url, token) };
  }));
}

/** `GET` and `HEAD /object/sign/:bucket/:name?token=`. */
export async function downloadSigned(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const name = checkKey(request.name);
  await context.signedUrls.verify(tokenOf(request), `${request.bucket}/${name}`, "download");
  const get = () => context.database.asService((sql) => findObject(sql, request.bucket, name));
  const object = await get();
  if (!object) throw noSuchKey();
  return await download(context.files, request.request, object, get);
}

function tokenOf({ url }: StorageRequest): string {
  const token = url.searchParams.get("token");
  if (!token) throw invalidRequest("querystring must have required property 'token'");
  return token;
}

/** `POST /object/upload/sign/:bucket/:name`. */
export async function signUpload(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const name = checkKey(request.name);
  const action = actionOf(request, "object.sign_upload_url");
  const upsert = request.request.headers.get("x-upsert") === "true";
  const owner = subjectOf(request.caller);
  const target = { bucket: await bucketOf(context, request.bucket), name, owner, upsert };
  await checkUpload(context.database, action, target, null);
  const url = `${request.bucket}/${name}`;
  const token = await context.signedUrls.sign({ url, scope: "upload", owner, upsert }, UPLOAD_EXPIRY_S);
  return { url: signedPath("upload/sign", url, token), token };
}

/** `PUT /object/upload/sign/:bucket/:name?token=`. */
export async function uploadSigned(context: StorageContext, request: StorageRequest): Promise<Outcome> {
  const name = checkKey(request.name);
  const url = `${request.bucket}/${name}`;
  const { owner, upsert = false } = await context.signedUrls.verify(tokenOf(request), url, "upload");
  const target = { bucket: await bucketOf(context, request.bucket), name, owner, upsert };
  const { database, files, maxBytes } = context;
  const saved = await upload(database, files, request.request, target, undefined, maxBytes);
  return { Id: saved.id, Key: url };
}
