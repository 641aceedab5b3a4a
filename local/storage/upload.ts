/**
 * Uploads: the content of a request, and the steps that store it.
 *
 * @module
 */
import { Busboy } from "@fastify/busboy";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { DRAIN_MS, parseObject } from "../body.ts";
import {
  type Action,
  type Bucket,
  type FileMetadata,
  findObject,
  lockName,
  type StorageDatabase,
  type StoredObject,
  writeObject,
} from "./database.ts";
import { invalidRequest, keyExists, tooLarge } from "./errors.ts";
import type { Files, WrittenFile } from "./files.ts";
import { checkMediaType, isEmptyFolder } from "./names.ts";

/** The content of an upload. */
export interface Content {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly mediaType: string;
  readonly cacheControl: string;
  readonly userMetadata: Record<string, unknown> | undefined;
  /** Reads the rest of a form that is rejected, without keeping it. */
  readonly discard?: () => Promise<void>;
}

const MAX_METADATA = 1_048_576;
const MAX_FIELD = 2_000_000;

function metadataOf(text: string): Record<string, unknown> | undefined {
  if (text.length > MAX_METADATA) throw tooLarge();
  return text.trim() === "" ? undefined : parseObject(text);
}

/** Returns the content of a form: the file, and the fields before it. */
async function readForm(body: ReadableStream<Uint8Array>, contentType: string): Promise<Content> {
  const form = new Busboy({
    headers: { "content-type": contentType },
    limits: { fieldSize: MAX_FIELD, files: 1, fields: 20 },
  });
  const fields = new Map<string, string>();
  form.on("field", (name: string, value: string) => fields.set(name, value));
  // deno-lint-ignore no-explicit-any
  const source = Readable.fromWeb(body as any);
  const closed = new Promise<void>((resolve) => source.once("close", resolve));
  const discard = async () => {
    // Nothing reads a form whose file is not read.
    source.unpipe(form);
    source.resume();
    const timer = setTimeout(() => source.destroy(), DRAIN_MS);
    await closed;
    clearTimeout(timer);
  };
  const content = new Promise<Content>((resolve, reject) => {
    const fail = () => reject(invalidRequest("No content provided"));
    form.on("error", fail);
    form.on("finish", fail);
    form.on("file", (_field, stream, _filename, _encoding, mediaType) => {
      const seconds = fields.get("cacheControl");
      const given = fields.get("metadata") ?? fields.get("userMetadata");
      // An upload that is interrupted ends the form, but not the stream of its file.
      source.once("error", (error) => stream.destroy(error));
      source.once("close", () => source.readableEnded || stream.destroy(new Error("The request was interrupted")));
      form.once(
        "error",
        (error) => stream.destroy(error instanceof Error ? error : new Error("The form is not valid")),
      );
      try {
        resolve({
          bytes: stream,
          mediaType: fields.get("contentType") || mediaType,
          cacheControl: seconds ? `max-age=${seconds}` : "no-cache",
          userMetadata: given === undefined ? undefined : metadataOf(given),
          discard,
        });
      } catch (error) {
        reject(error);
      }
    });
    source.once("error", fail);
    source.pipe(form);
  });
  try {
    return await content;
  } catch (error) {
    await discard();
    throw error;
  }
}

/**
 * Returns the content of a request: a form, or the body itself.
 *
 * @throws {StorageError} `InvalidRequest` or `EntityTooLarge`.
 */
export async function contentOf(request: Request, maxBytes: number): Promise<Content> {
  const { headers, body } = request;
  const type = headers.get("content-type") ?? "application/octet-stream";
  if (/^multipart\/form-data\b/i.test(type)) {
    if (!body) throw invalidRequest("No content provided");
    return await readForm(body, type);
  }
  if (Number(headers.get("content-length")) > maxBytes) throw tooLarge();
  const metadata = headers.get("x-metadata");
  return {
    bytes: body ?? (async function* () {})(),
    mediaType: type,
    cacheControl: headers.get("cache-control") ?? "no-cache",
    userMetadata: metadata === null ? undefined : metadataOf(Buffer.from(metadata, "base64").toString()),
  };
}

/** The object that an upload creates. */
export interface UploadTarget {
  readonly bucket: Bucket;
  readonly name: string;
  readonly owner: string | undefined;
  readonly upsert: boolean;
}

/** Checks that the caller may upload: the row is written as the caller, and undone. */
export async function checkUpload(
  database: StorageDatabase,
  action: Action,
  { bucket, name, owner, upsert }: UploadTarget,
  metadata: Partial<FileMetadata> | null,
  userMetadata?: Record<string, unknown>,
): Promise<void> {
  const object = { bucket: bucket.id, name, owner, version: "1", metadata, userMetadata };
  await database.check(action, (sql) => writeObject(sql, object, upsert));
}

/** Records a file that was written, and removes the one that it replaces. */
export async function recordFile(
  database: StorageDatabase,
  files: Files,
  { bucket, name, owner, upsert }: UploadTarget,
  version: string,
  metadata: Partial<FileMetadata>,
  userMetadata: Record<string, unknown> | undefined,
): Promise<StoredObject> {
  try {
    const [previous, saved] = await database.asService(async (sql) => {
      await lockName(sql, bucket.id, name);
      const existing = await findObject(sql, bucket.id, name, true);
      if (existing && !upsert) throw keyExists();
      const object = { bucket: bucket.id, name, owner, version, metadata, userMetadata };
      await writeObject(sql, object, upsert);
      return [existing, await findObject(sql, bucket.id, name)] as const;
    });
    if (!saved) throw new Error("The row of an upload was not found");
    await files.remove([previous?.version ?? null]);
    return saved;
  } catch (error) {
    await files.remove([version]);
    throw error;
  }
}

/**
 * Stores the content of a request.
 *
 * @param action The caller; `undefined` if a signed URL has authorized the upload.
 * @param maxBytes The limit of the project.
 */
export async function upload(
  database: StorageDatabase,
  files: Files,
  request: Request,
  target: UploadTarget,
  action: Action | undefined,
  maxBytes: number,
): Promise<StoredObject> {
  const { bucket, name } = target;
  const folder = isEmptyFolder(name);
  const limit = folder ? 0 : Math.min(maxBytes, bucket.file_size_limit ?? maxBytes);
  const content = await contentOf(request, limit);
  const { bytes, mediaType, cacheControl, userMetadata } = content;
  let written: WrittenFile;
  try {
    if (!folder) checkMediaType(mediaType, bucket.allowed_mime_types ?? []);
    if (action) await checkUpload(database, action, target, { mimetype: mediaType }, userMetadata);
    written = await files.write(bytes, limit);
  } catch (error) {
    await content.discard?.();
    throw error;
  }
  const { version, size, etag } = written;
  const metadata: FileMetadata = {
    eTag: etag,
    size,
    mimetype: mediaType,
    cacheControl,
    lastModified: new Date().toISOString(),
    contentLength: size,
    httpStatusCode: 200,
  };
  return await recordFile(database, files, target, version, metadata, userMetadata);
}
