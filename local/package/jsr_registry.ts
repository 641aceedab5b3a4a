/**
 * A JSR registry on loopback that serves packages from folders. Set `JSR_URL` to its URL.
 *
 * Its layout is documented at https://jsr.io/docs/api#jsr-registry-api.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { fromFileUrl } from "../paths.ts";

/** A served package. */
interface ServedPackage {
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  /** The modules by path, with a leading slash. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

async function readFiles(folder: string, path = ""): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for await (const { name, isDirectory } of Deno.readDir(`${folder}${path}`)) {
    const entry = `${path}/${name}`;
    if (isDirectory) { for (const file of await readFiles(folder, entry)) files.set(...file); }
    else files.set(entry, await Deno.readFile(`${folder}${entry}`));
  }
  return files;
}

function contentType(path: string): string {
  return /\.m?ts$/.test(path) ? "text/typescript" : path.endsWith(".json") ? "application/json" : "text/plain";
}

/** The registry. */
export class JsrRegistry implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #packages = new Map<string, ServedPackage>();

  /** Listens on a free port. */
  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#serve(decodeURIComponent(new URL(request.url).pathname)),
    );
  }

  /** The URL, with a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** Serves the package in `folder`, whose `deno.json` has its name, version and exports. */
  async add(folder: URL): Promise<void> {
    const { name, version, exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", folder)));
    this.#packages.set(name, { version, exports, files: await readFiles(fromFileUrl(folder)) });
  }

  #serve(pathname: string): Response {
    const [, name = "", rest = ""] = /^\/(@[^/]+\/[^/]+)\/(.*)$/.exec(pathname) ?? [];
    const found = this.#packages.get(name);
    if (!found) return new Response("Not found", { status: 404 });
    const { version, exports, files } = found;
    if (rest === "meta.json") {
      const [scope, bare] = name.slice(1).split("/");
      return Response.json({ scope, name: bare, latest: version, versions: { [version]: {} } });
    }
    if (rest === `${version}_meta.json`) {
      const manifest = Object.fromEntries(
        Array.from(files, ([path, bytes]) => {
          return [path, { size: bytes.length, checksum: `sha256-${createHash("sha256").update(bytes).digest("hex")}` }];
        }),
      );
      return Response.json({ manifest, exports });
    }
    const path = rest.startsWith(`${version}/`) ? rest.slice(version.length) : "";
    const bytes = files.get(path);
    if (!bytes) return new Response("Not found", { status: 404 });
    return new Response(bytes, { headers: { "content-type": contentType(path) } });
  }

  /** Stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
