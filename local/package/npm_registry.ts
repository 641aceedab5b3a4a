/**
 * An npm registry on loopback that serves one packed package, and redirects to the real registry for others.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { PACKAGE_NAME, PACKAGE_VERSION } from "./identity.ts";

/** The registry for other packages: `npm_config_registry`, or that of npm. */
const UPSTREAM = (Deno.env.get("npm_config_registry") ?? Deno.env.get("NPM_CONFIG_REGISTRY") ??
  "https://registry.npmjs.org").replace(/\/$/, "");

/** The registry. */
export class NpmRegistry implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #tarball: Uint8Array<ArrayBuffer>;
  readonly #manifest: Readonly<Record<string, unknown>>;
  /** A path of its content: Deno's cache is kept by URL, and a later registry may have the same port. */
  readonly #path: string;
  /** The number of times that the tarball was downloaded. */
  downloads = 0;

  private constructor(tarball: Uint8Array<ArrayBuffer>, manifest: Readonly<Record<string, unknown>>) {
    this.#tarball = tarball;
    this.#manifest = manifest;
    this.#path = createHash("sha256").update(tarball).digest("hex").slice(0, 12);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#serve(new URL(request.url)),
    );
  }

  /**
   * Listens on a free port.
   *
   * @param tarball The path of the packed package.
   * @param folder The package's folder, with its `package.json`.
   */
  static async start(tarball: string, folder: string): Promise<NpmRegistry> {
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
    return new NpmRegistry(await Deno.readFile(tarball), manifest);
  }

  /** The URL, with a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/${this.#path}/`;
  }

  /** The port. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** A `.npmrc` under which npm and Deno take the package's scope from here, and others from the usual registry. */
  get npmrc(): string {
    return `${PACKAGE_NAME.split("/")[0]}:registry=${this.url}\n`;
  }

  #serve({ pathname, search }: URL): Response {
    const prefix = `/${this.#path}`;
    if (!pathname.startsWith(`${prefix}/`)) return new Response("Not found", { status: 404 });
    const path = decodeURIComponent(pathname.slice(prefix.length + 1));
    if (path === PACKAGE_NAME) return Response.json(this.#packument());
    if (path !== this.#file) return Response.redirect(`${UPSTREAM}${pathname.slice(prefix.length)}${search}`, 307);
    this.downloads += 1;
    return new Response(this.#tarball, { headers: { "content-type": "application/octet-stream" } });
  }

  get #file(): string {
    return `${PACKAGE_NAME}/-/package-${PACKAGE_VERSION}.tgz`;
  }

  #packument(): Record<string, unknown> {
    const hash = (algorithm: string) => createHash(algorithm).update(this.#tarball);
    const dist = {
      tarball: `${this.url}${this.#file}`,
      shasum: hash("sha1").digest("hex"),
      integrity: `sha512-${hash("sha512").digest("base64")}`,
    };
    return {
      name: PACKAGE_NAME,
      "dist-tags": { latest: PACKAGE_VERSION },
      versions: { [PACKAGE_VERSION]: { ...this.#manifest, _id: `${PACKAGE_NAME}@${PACKAGE_VERSION}`, dist } },
    };
  }

  /** Stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
