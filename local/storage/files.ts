/**
 * The files of objects. A file is named by a random id, never by the object: a name cannot reach another file.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { tooLarge } from "./errors.ts";

/** A file that was written. */
export interface WrittenFile {
  /** Its id. */
  readonly version: string;
  /** Its size, in bytes. */
  readonly size: number;
  /** A hash of its content, in quotation marks. */
  readonly etag: string;
}

/** The size of a write, in bytes: the chunks of a request are small. */
const BUFFER_SIZE = 262_144;

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The files in one folder. */
export class Files {
  readonly #root: string;
  #ready: Promise<void> | undefined;

  /** @param root The folder; it is created when it is needed. */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Writes a file. A file that is not complete has another name, and is removed.
   *
   * @param maxBytes The largest size.
   * @throws {StorageError} `EntityTooLarge`.
   */
  async write(content: AsyncIterable<Uint8Array>, maxBytes: number): Promise<WrittenFile> {
    await this.#prepared();
    const version = crypto.randomUUID();
    const draft = `${this.#root}/drafts/${version}`;
    const hash = createHash("md5");
    let size = 0;
    try {
      {
        using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
        const buffer = new Uint8Array(BUFFER_SIZE);
        let used = 0;
        const flush = async () => {
          for (let written = 0; written < used;) written += await file.write(buffer.subarray(written, used));
          used = 0;
        };
        for await (const chunk of content) {
          size += chunk.length;
          if (size > maxBytes) throw tooLarge();
          hash.update(chunk);
          for (let at = 0; at < chunk.length;) {
            const part = chunk.subarray(at, at + BUFFER_SIZE - used);
            buffer.set(part, used);
            used += part.length;
            at += part.length;
            if (used === BUFFER_SIZE) await flush();
          }
        }
        await flush();
      }
      await this.#publish(draft, version);
    } catch (error) {
      await Deno.remove(draft).catch(() => {});
      throw error;
    }
    return { version, size, etag: `"${hash.digest("hex")}"` };
  }

  /**
   * Opens a file; `undefined` if it does not exist.
   *
   * @param start The first byte.
   * @param end The byte behind the last one.
   */
  async read(
    version: string,
    start: number,
    end: number,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
    const file = await this.#open(version);
    if (!file) return undefined;
    await file.seek(start, Deno.SeekMode.Start);
    let left = end - start;
    let closed = false;
    const close = () => {
      if (!closed) file.close();
      closed = true;
    };
    return new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: 65_536,
      async pull(controller) {
        const view = controller.byobRequest?.view;
        if (!view) return;
        const buffer = new Uint8Array(view.buffer, view.byteOffset, Math.min(view.byteLength, left));
        const count = left === 0 ? null : await file.read(buffer);
        left -= count ?? 0;
        if (count !== null) controller.byobRequest?.respond(count);
        if (count === null || left === 0) {
          close();
          controller.close();
          if (count === null) controller.byobRequest?.respond(0);
        }
      },
      cancel: close,
    });
  }

  /** Copies a file; `undefined` if it does not exist. */
  async copy(version: string): Promise<string | undefined> {
    (await this.#open(version))?.close();
    const copy = crypto.randomUUID();
    const draft = `${this.#root}/drafts/${copy}`;
    try {
      await this.#prepared();
      await Deno.copyFile(this.#path(version), draft);
      await this.#publish(draft, copy);
      return copy;
    } catch (error) {
      await Deno.remove(draft).catch(() => {});
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Removes files; those that do not exist are skipped. */
  async remove(versions: readonly (string | null)[]): Promise<void> {
    for (const version of versions) {
      if (version !== null && ID.test(version)) await Deno.remove(this.#path(version)).catch(() => {});
    }
  }

  #path(version: string): string {
    return `${this.#root}/objects/${version.slice(0, 2)}/${version}`;
  }

  async #publish(draft: string, version: string): Promise<void> {
    const path = this.#path(version);
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
    await Deno.rename(draft, path);
  }

  async #open(version: string): Promise<Deno.FsFile | undefined> {
    if (!ID.test(version)) return undefined;
    try {
      // A link could lead out of the folder.
      if (!(await Deno.lstat(this.#path(version))).isFile) return undefined;
      return await Deno.open(this.#path(version));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Prepares the folder once. After a failure, such as a full disk, the next write tries again. */
  #prepared(): Promise<void> {
    return this.#ready ??= this.#prepare().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
  }

  /** Creates the folder of drafts, without those of a process that was killed. */
  async #prepare(): Promise<void> {
    await Deno.remove(`${this.#root}/drafts`, { recursive: true }).catch(() => {});
    await Deno.mkdir(`${this.#root}/drafts`, { recursive: true, mode: 0o700 });
  }
}
