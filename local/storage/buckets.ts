/**
 * Routes of buckets.
 *
 * @module
 */
import { type Bucket, deleteObjects, findBuckets } from "./database.ts";
import { accessDenied, invalidRequest, noSuchBucket, StorageError } from "./errors.ts";
import { checkBucketName } from "./names.ts";
import { actionOf, type Json, readJson, type StorageContext, type StorageRequest, subjectOf } from "./request.ts";

type Outcome = Record<string, unknown> | readonly unknown[];

const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };

/** Returns a limit in bytes; `null` for none, and `undefined` if it is missing. */
function limitOf(value: unknown): number | null | undefined {
  if (value === undefined || value === null) return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  const invalid = () => invalidRequest("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B");
  const [, amount, unit = "b"] = /^(\d+(?:\.\d+)?)(gb|mb|kb|b)?$/i.exec(String(value)) ?? [];
  if (amount === undefined) throw invalid();
  const bytes = Math.floor(Number(amount) * (UNITS[unit.toLowerCase()] ?? 1));
  if (!Number.isSafeInteger(bytes)) throw invalid();
  return bytes;
}

function typesOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return value;
  if (
    !Array.isArray(value) || !value.every((item) => typeof item === "string" && /^[\w.+*-]+\/[\w.+*-]+$/.test(item))
  ) {
    throw new StorageError(415, "InvalidMimeType", "mime type is not supported", { error: "invalid_mime_type" });
  }
  return JSON.stringify(value);
}

function present({ id, name, owner, public: isPublic, type, ...rest }: Bucket): Record<string, unknown> {
  const { file_size_limit, allowed_mime_types, created_at, updated_at } = rest;
  return {
    id,
    name,
    owner: owner ?? "",
    public: isPublic,
    type,
    file_size_limit,
    allowed_mime_types,
    created_at,
    updated_at,
  };
}

/** `GET /bucket`. */
export async function listBuckets({ database }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const { searchParams } = request.url;
  const buckets = await database.as(actionOf(request, "bucket.list"), (sql) => findBuckets(sql));
  const search = (searchParams.get("search") ?? "").toLowerCase();
  const column = searchParams.get("sortColumn") ?? "name";
  const key = (bucket: Bucket) => String((bucket as unknown as Json)[column] ?? bucket.name);
  const found = buckets.filter(({ name }) => name.toLowerCase().includes(search));
  if (searchParams.has("sortColumn") || searchParams.has("sortOrder")) {
    const sign = searchParams.get("sortOrder") === "desc" ? -1 : 1;
    found.sort((one, other) => key(one) < key(other) ? -sign : key(one) > key(other) ? sign : 0);
  }
  const [offset, limit] = [Number(searchParams.get("offset") ?? 0), Number(searchParams.get("limit") ?? found.length)];
  if (![offset, limit].every((number) => Number.isInteger(number) && number >= 0)) {
    throw invalidRequest("limit and offset must be integers of at least 0");
  }
  return found.slice(offset, offset + limit).map(present);
}

/** `GET /bucket/:id`. */
export async function getBucket({ database }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const [bucket] = await database.as(actionOf(request, "bucket.get"), (sql) => findBuckets(sql, request.bucket));
  if (!bucket) throw noSuchBucket();
  return present(bucket);
}

/** `POST /bucket`. */
export async function createBucket({ database }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const body = await readJson(request);
  const name = checkBucketName(body.name ?? body.id);
  const id = checkBucketName(body.id ?? name);
  if (body.type !== undefined && body.type !== "STANDARD") {
    throw new StorageError(409, "FeatureNotEnabled", "Analytics and vector buckets are not part of the local stack");
  }
  const owner = subjectOf(request.caller) ?? null;
  const values = [
    id,
    name,
    body.public === true,
    limitOf(body.file_size_limit ?? body.fileSizeLimit) ?? null,
    typesOf(body.allowed_mime_types ?? body.allowedMimeTypes) ?? null,
    owner,
  ];
  try {
    await database.as(actionOf(request, "bucket.create"), (sql) =>
      sql.query(
        `insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types, owner_id)
         values ($1, $2, $3::boolean, $4::bigint,
           case when $5::text is null then null else array(select jsonb_array_elements_text($5::jsonb)) end, $6)`,
        values,
      ));
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "KeyAlreadyExists") throw error;
    throw new StorageError(409, "BucketAlreadyExists", error.message, { error: "Duplicate" });
  }
  return { name: id };
}

/** `PUT /bucket/:id`. */
export async function updateBucket({ database }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const body = await readJson(request);
  const limit = limitOf(body.file_size_limit);
  const types = typesOf(body.allowed_mime_types);
  const isPublic = typeof body.public === "boolean" ? body.public : null;
  const { rows } = await database.as(actionOf(request, "bucket.update"), (sql) =>
    sql.query(
      `update storage.buckets set updated_at = now(), public = coalesce($2::boolean, public),
         file_size_limit = case when $3::boolean then $4::bigint else file_size_limit end,
         allowed_mime_types = case when not $5::boolean then allowed_mime_types
           when $6::text is null then null else array(select jsonb_array_elements_text($6::jsonb)) end
       where id = $1 returning id`,
      [request.bucket, isPublic, limit !== undefined, limit ?? null, types !== undefined, types ?? null],
    ));
  if (rows.length === 0) throw noSuchBucket();
  return { message: "Successfully updated" };
}

/** `DELETE /bucket/:id`. */
export async function deleteBucket({ database }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const { bucket } = request;
  const action = actionOf(request, "bucket.delete");
  await database.asService(async (sql) => {
    const { rows: [row] } = await sql.query<{ used: boolean }>(
      "select exists (select from storage.objects where bucket_id = $1) as used",
      [bucket],
    );
    if (row?.used) throw new StorageError(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty");
  });
  const { rows } = await database.as(
    action,
    async (sql) => await sql.query("delete from storage.buckets where id = $1 returning id", [bucket]),
  );
  if (rows.length === 0) throw noSuchBucket();
  return { message: "Successfully deleted" };
}

/** `POST /bucket/:id/empty`. */
export async function emptyBucket({ database, files }: StorageContext, request: StorageRequest): Promise<Outcome> {
  const { bucket } = request;
  const deleted = await database.as(actionOf(request, "bucket.empty"), async (sql) => {
    if ((await findBuckets(sql, bucket)).length === 0) throw noSuchBucket();
    return await deleteObjects(sql, bucket, undefined);
  });
  await files.remove(deleted.map(({ version }) => version));
  const left = await database.asService(async (sql) =>
    (await sql.query("select from storage.objects where bucket_id = $1 limit 1", [bucket])).rows.length
  );
  if (left > 0) throw accessDenied("Access denied");
  return { message: "Successfully emptied" };
}
