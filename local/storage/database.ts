/**
 * The rows of Storage: read and written as the caller, so that policies decide, or as the service.
 *
 * @module
 */
import { PostgresConnectionManager, type Transaction } from "../../shared/postgres/mod.ts";
import { loginOf } from "../auth/database.ts";
import type { Claims } from "../auth/tokens.ts";
import { ofDatabase } from "./errors.ts";

/** A row of `storage.buckets`. */
export interface Bucket {
  readonly id: string;
  readonly name: string;
  readonly owner: string | null;
  readonly public: boolean;
  readonly type: string;
  readonly file_size_limit: number | null;
  readonly allowed_mime_types: readonly string[] | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** The metadata that Storage keeps of a file. */
export interface FileMetadata {
  readonly eTag: string;
  readonly size: number;
  readonly mimetype: string;
  readonly cacheControl: string;
  readonly lastModified: string;
  readonly contentLength: number;
  readonly httpStatusCode: number;
}

/** A row of `storage.objects`. */
export interface StoredObject {
  readonly id: string;
  readonly bucket_id: string;
  readonly name: string;
  readonly owner: string | null;
  readonly owner_id: string | null;
  readonly version: string | null;
  readonly metadata: Partial<FileMetadata> | null;
  readonly user_metadata: Record<string, unknown> | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly last_accessed_at: string;
}

/** The caller of a request, and what it does. */
export interface Action {
  /** The claims of the caller. */
  readonly claims: Claims;
  /** The name of the action, such as `storage.object.upload`, which policies may read. */
  readonly operation: string;
  /** The method of the request. */
  readonly method: string;
  /** The path of the request. */
  readonly path: string;
}

/** Runs statements in a transaction. */
export type StorageSql = Pick<Transaction, "query">;

/** The connections of Storage. */
export interface Logins {
  /** The URL for a role that may become `supabase_storage_admin`. */
  readonly databaseUrl: string;
  /** The URL for `authenticator`, which may only become the role of a caller. */
  readonly authenticatorUrl: string;
}

const SETTINGS = `select num_nulls(set_config('role', $1, true), set_config('request.jwt.claims', $2, true),
  set_config('request.jwt.claim.role', $1, true), set_config('request.jwt.claim.sub', $3, true),
  set_config('storage.operation', $4, true), set_config('request.method', $5, true),
  set_config('request.path', $6, true), set_config('storage.allow_delete_query', 'true', true))`;

class Undo {
  constructor(readonly result: unknown) {}
}

/** Runs statements on the rows of Storage. */
export class StorageDatabase implements AsyncDisposable {
  readonly #service: PostgresConnectionManager;
  readonly #callers: PostgresConnectionManager;

  /** Connects at the first statement. */
  constructor({ databaseUrl, authenticatorUrl }: Logins) {
    const common = {
      minConnections: 0,
      maxConnections: 10,
      acquireTimeoutMs: 5_000,
      healthCheckIntervalMs: 0,
      applicationName: "storage",
    };
    const options = "-c search_path=storage,public,extensions -c timezone=UTC";
    this.#service = new PostgresConnectionManager({
      ...common,
      ...loginOf(databaseUrl),
      options: `${options} -c role=supabase_storage_admin -c storage.allow_delete_query=true`,
    });
    this.#callers = new PostgresConnectionManager({ ...common, ...loginOf(authenticatorUrl), options });
  }

  /**
   * Runs `work` in a transaction as the caller.
   *
   * @throws {StorageError} If policies do not allow it.
   */
  async as<T>({ claims, operation, method, path }: Action, work: (sql: StorageSql) => Promise<T>): Promise<T> {
    const role = typeof claims.role === "string" && claims.role !== "" ? claims.role : "anon";
    const subject = typeof claims.sub === "string" ? claims.sub : "";
    try {
      return await this.#callers.transaction(async (sql) => {
        await sql.query(SETTINGS, [role, JSON.stringify({ ...claims, role }), subject, operation, method, path]);
        return await work(sql);
      });
    } catch (error) {
      if (error instanceof Undo) return error.result as T;
      throw ofDatabase(error);
    }
  }

  /**
   * Checks that the caller may do `work`, and undoes it.
   *
   * @throws {StorageError} If policies do not allow it.
   */
  async check(action: Action, work: (sql: StorageSql) => Promise<unknown>): Promise<void> {
    await this.as(action, async (sql) => {
      throw new Undo(await work(sql));
    });
  }

  /** Runs `work` in a transaction as the service, which policies do not apply to. */
  async asService<T>(work: (sql: StorageSql) => Promise<T>): Promise<T> {
    try {
      return await this.#service.transaction(work);
    } catch (error) {
      throw ofDatabase(error);
    }
  }

  /** Closes the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#service.shutdown(), this.#callers.shutdown()]);
  }
}

/** Runs a statement whose column `json` is a row as JSON, and returns the rows. */
async function rowsOf<T>(sql: StorageSql, text: string, values: readonly unknown[]): Promise<T[]> {
  const { rows } = await sql.query<{ json: string }>(text, values);
  return rows.map(({ json }) => JSON.parse(json));
}

/** Returns buckets, by name. */
export async function findBuckets(sql: StorageSql, id?: string): Promise<Bucket[]> {
  return await rowsOf(
    sql,
    "select to_jsonb(buckets)::text as json from storage.buckets where $1::text is null or id = $1 order by name",
    [id ?? null],
  );
}

/** Returns an object. `lock` keeps others from changing it until the transaction ends. */
export async function findObject(
  sql: StorageSql,
  bucket: string,
  name: string,
  lock = false,
): Promise<StoredObject | undefined> {
  const [row] = await rowsOf<StoredObject>(
    sql,
    `select to_jsonb(objects)::text as json from storage.objects where bucket_id = $1 and name = $2
     ${lock ? "for update" : ""}`,
    [bucket, name],
  );
  return row;
}

/** Returns the objects with names. */
export async function findObjects(sql: StorageSql, bucket: string, names: readonly string[]): Promise<StoredObject[]> {
  return await rowsOf(
    sql,
    `select to_jsonb(objects)::text as json from storage.objects
     where bucket_id = $1 and name in (select jsonb_array_elements_text($2::jsonb))`,
    [bucket, JSON.stringify(names)],
  );
}

/** Deletes objects, and returns those that were deleted; all of the bucket without `names`. */
export async function deleteObjects(
  sql: StorageSql,
  bucket: string,
  names: readonly string[] | undefined,
): Promise<StoredObject[]> {
  return await rowsOf(
    sql,
    `delete from storage.objects where bucket_id = $1
     and ($2::jsonb is null or name in (select jsonb_array_elements_text($2::jsonb)))
     returning to_jsonb(objects)::text as json`,
    [bucket, names === undefined ? null : JSON.stringify(names)],
  );
}

/** The columns of a new object. */
export interface NewObject {
  readonly bucket: string;
  readonly name: string;
  /** The subject of the caller. */
  readonly owner: string | undefined;
  readonly version: string;
  readonly metadata: Partial<FileMetadata> | null;
  readonly userMetadata: Record<string, unknown> | undefined;
}

/** Writes an object; with `upsert` it replaces the one with its name. Returns nothing: that would need the right to read. */
export async function writeObject(sql: StorageSql, object: NewObject, upsert: boolean): Promise<void> {
  const { bucket, name, owner, version, metadata, userMetadata } = object;
  const isUuid = owner !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(owner);
  const replace = `on conflict (bucket_id, name) do update set owner = excluded.owner, owner_id = excluded.owner_id,
    version = excluded.version, metadata = excluded.metadata, user_metadata = excluded.user_metadata,
    last_accessed_at = now()`;
  await sql.query(
    `insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata)
     values ($1, $2, $3::uuid, $4, $5, $6::jsonb, $7::jsonb) ${upsert ? replace : ""}`,
    [
      bucket,
      name,
      isUuid ? owner : null,
      owner ?? null,
      version,
      JSON.stringify(metadata),
      userMetadata === undefined ? null : JSON.stringify(userMetadata),
    ],
  );
}

/** Keeps others from writing the object with a name until the transaction ends. */
export async function lockName(sql: StorageSql, bucket: string, name: string): Promise<void> {
  await sql.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [`${bucket}/${name}`]);
}
