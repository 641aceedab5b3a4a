/**
 * Downloads: the response with the content of an object, or with its headers.
 *
 * @module
 */
import type { StoredObject } from "./database.ts";
import { noSuchKey, StorageError } from "./errors.ts";
import type { Files } from "./files.ts";
import { isFresh, parseRange } from "./ranges.ts";

/** Media types whose scripts would run on the origin of the gateway. */
const ACTIVE = /^(text\/html|application\/xhtml\+xml|image\/svg\+xml|text\/xml|application\/xml)\b/i;

/** Returns the header that names a download. */
function dispositionOf(url: URL): string | undefined {
  const name = url.searchParams.get("download");
  if (name === null) return undefined;
  if (name === "") return "attachment;";
  const encoded = encodeURIComponent(name);
  return `attachment; filename=${encoded}; filename*=UTF-8''${encoded};`;
}

/** Returns a value that a header may hold. */
function headerValue(text: string, fallback: string): string {
  return /^[\x20-\x7e]+$/.test(text) ? text : fallback;
}

/**
 * Creates the response to a download.
 *
 * @param object The row. `reload` returns it again if its file was replaced meanwhile.
 */
export async function download(
  files: Files,
  request: Request,
  object: StoredObject,
  reload: () => Promise<StoredObject | undefined>,
): Promise<Response> {
  const { metadata } = object;
  const size = metadata?.size ?? 0;
  const etag = metadata?.eTag ?? `"${object.version}"`;
  const modified = new Date(metadata?.lastModified ?? object.updated_at);
  const type = headerValue(metadata?.mimetype ?? "", "application/octet-stream");
  const headers = new Headers({
    "accept-ranges": "bytes",
    "cache-control": headerValue(metadata?.cacheControl ?? "", "no-cache"),
    // As on the hosted platform, which shows no pages.
    "content-type": type.replace(/^text\/html\b/i, "text/plain"),
    etag,
    "last-modified": modified.toUTCString(),
    "x-content-type-options": "nosniff",
    ...(ACTIVE.test(type) ? { "content-security-policy": "sandbox" } : {}),
  });
  const disposition = dispositionOf(new URL(request.url));
  if (disposition) headers.set("content-disposition", disposition);
  if (isFresh(request.headers, etag, modified)) return new Response(null, { status: 304, headers });

  const conditional = request.headers.get("if-range");
  const range = conditional === null || conditional === etag
    ? parseRange(request.headers.get("range"), size)
    : undefined;
  if (range === "unsatisfiable") {
    throw new StorageError(416, "InvalidRange", "The requested range is not satisfiable", {
      status: 416,
      headers: { "content-range": `bytes */${size}` },
    });
  }
  const { start, end } = range ?? { start: 0, end: size };
  headers.set("content-length", String(end - start));
  if (range) headers.set("content-range", `bytes ${start}-${end - 1}/${size}`);
  const status = range ? 206 : 200;
  if (request.method === "HEAD") return new Response(null, { status, headers });
  const body = await files.read(object.version ?? "", start, end);
  if (body) return new Response(body, { status, headers });
  const current = await reload();
  if (!current || current.version === object.version) throw noSuchKey();
  return await download(files, request, current, () => Promise.resolve(undefined));
}
