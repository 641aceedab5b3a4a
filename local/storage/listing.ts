/**
 * Lists of objects.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { invalidRequest } from "./errors.ts";
import { actionOf, type Json, numberOf, readJson, type StorageContext, type StorageRequest } from "./request.ts";

const COLUMNS = ["name", "updated_at", "created_at", "last_accessed_at"];

function orderOf(body: Json): { readonly column: string; readonly order: "asc" | "desc" } {
  const given = typeof body.sortBy === "object" && body.sortBy !== null ? body.sortBy as Json : {};
  const [column, order] = [String(given.column ?? "name"), String(given.order ?? "asc").toLowerCase()];
  if (!COLUMNS.includes(column)) throw invalidRequest(`body/sortBy/column must be one of ${COLUMNS.join(", ")}`);
  if (order !== "asc" && order !== "desc") throw invalidRequest("body/sortBy/order must be asc or desc");
  return { column, order };
}

function prefixOf(body: Json): string {
  const prefix = body.prefix ?? "";
  if (typeof prefix !== "string") throw invalidRequest("body/prefix must be string");
  return prefix;
}

/** `POST /object/list/:bucket`: the objects and folders in a folder. */
export async function listFolder({ database }: StorageContext, request: StorageRequest): Promise<readonly unknown[]> {
  const body = await readJson(request);
  const given = prefixOf(body);
  const prefix = given === "" || given.endsWith("/") ? given : `${given}/`;
  const { column, order } = orderOf(body);
  const search = typeof body.search === "string" ? body.search : "";
  const { rows } = await database.as(actionOf(request, "object.list"), (sql) =>
    sql.query<{ json: string }>(
      `select jsonb_build_object('name', name, 'id', id, 'updated_at', updated_at, 'created_at', created_at,
         'last_accessed_at', last_accessed_at, 'metadata', metadata)::text as json
       from storage.search($1, $2, $3::int, $4::int, $5::int, $6, $7, $8)`,
      [
        prefix,
        request.bucket,
        numberOf(body, "limit", 100, 1_000_000),
        prefix.split("/").length,
        numberOf(body, "offset", 0, 2_000_000_000),
        search,
        column,
        order,
      ],
    ));
  return rows.map(({ json }) => JSON.parse(json));
}

/** The place in a list: the values of its last entry. */
interface Cursor {
  readonly value: string;
  readonly key: string;
}

function parseCursor(value: unknown): Cursor | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  try {
    const cursor = JSON.parse(Buffer.from(String(value), "base64").toString());
    if (typeof cursor.value === "string" && typeof cursor.key === "string") return cursor;
  } catch {
    // Reported below.
  }
  throw invalidRequest("Invalid Parameter continuation token", "InvalidParameter");
}

interface Entry {
  readonly key: string;
  readonly value: string;
  readonly object: Record<string, unknown> | null;
}

/** `POST /object/list-v2/:bucket`: the objects with a prefix, in pages. */
export async function listPrefix(
  { database }: StorageContext,
  request: StorageRequest,
): Promise<Record<string, unknown>> {
  const body = await readJson(request);
  const prefix = prefixOf(body);
  const { column, order } = orderOf(body);
  const limit = Math.max(numberOf(body, "limit", 1_000, 1_000), 1);
  const cursor = parseCursor(body.cursor);
  const [direction, comparison] = order === "asc" ? ["asc", ">"] : ["desc", "<"];
  // A folder has no time: it sorts by its name, before the objects.
  const value = column === "name" ? "''" : `to_char(objects.${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US')`;
  const { rows } = await database.as(actionOf(request, "object.list_v2"), (sql) =>
    sql.query<{ json: string }>(
      `with found as (
         select objects.*, ${value} as sort_value, substr(name, length($2) + 1) as rest
         from storage.objects where bucket_id = $1 and starts_with(name, $2)
       ), entries as (
         select name as key, sort_value, to_jsonb(found) - 'sort_value' - 'rest' as object from found
         where not ($3::boolean and strpos(rest, '/') > 0)
         union all
         select distinct $2 || split_part(rest, '/', 1) || '/', '', null::jsonb from found
         where $3::boolean and strpos(rest, '/') > 0
       )
       select jsonb_build_object('key', key, 'value', sort_value, 'object', object)::text as json from entries
       where $4::text is null or (sort_value, key collate "C") ${comparison} ($5, $4)
       order by sort_value ${direction}, key collate "C" ${direction} limit $6::int`,
      [request.bucket, prefix, body.with_delimiter === true, cursor?.key ?? null, cursor?.value ?? "", limit + 1],
    ));
  const entries: Entry[] = rows.map(({ json }) => JSON.parse(json));
  const page = entries.slice(0, limit);
  const last = page.at(-1);
  const hasNext = entries.length > limit && last !== undefined;
  return {
    hasNext,
    ...(hasNext
      ? { nextCursor: Buffer.from(JSON.stringify({ value: last.value, key: last.key })).toString("base64") }
      : {}),
    folders: page.filter(({ object }) => object === null).map(({ key }) => ({ name: key, key })),
    objects: page.filter(({ object }) => object !== null).map(({ key, object }) => {
      const { id, updated_at, created_at, last_accessed_at, metadata } = object ?? {};
      return { id, key, name: key, updated_at, created_at, last_accessed_at, metadata };
    }),
  };
}
