/**
 * A stand-in on loopback for the part of the Supabase Management API that a deployment uses. It stores uploads.
 *
 * What it knows of the real one: https://api.supabase.com/api/v1, and what the
 * CLI sends.
 *
 * @module
 */
import { z } from "zod";

/** An uploaded function. */
export interface Upload {
  /** Its name, from the URL. */
  readonly name: string;
  /** True if it takes effect only when all functions are uploaded. */
  readonly bundleOnly: boolean;
  /** Its metadata, as the CLI sent it. */
  readonly metadata: UploadMetadata;
  /** Its files by path. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

const metadataShape = z.object({
  name: z.string(),
  entrypoint_path: z.string(),
  import_map_path: z.string().optional(),
  static_patterns: z.array(z.string()).optional(),
  // Without a table in config.toml, the CLI leaves it to the platform, which checks.
  verify_jwt: z.boolean().default(true),
});
/** The field `metadata` of an upload. */
export type UploadMetadata = z.infer<typeof metadataShape>;

const REF = "abcdefghijklmnopqrst";
const bulkShape = z.array(z.object({ slug: z.string(), status: z.string() }));

function refuse(status: number, message: string): Response {
  return Response.json({ message }, { status });
}

/** Returns true for a path outside the folder that the upload is unpacked in. */
function leaves(path: string): boolean {
  return path.startsWith("/") || path.includes("\\") || path.split("/").includes("..");
}

async function readUpload(request: Request, url: URL): Promise<Upload | string> {
  const form = await request.formData();
  const metadata = metadataShape.safeParse(JSON.parse(String(form.get("metadata"))));
  if (!metadata.success) return z.prettifyError(metadata.error);
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const file of form.getAll("file")) {
    if (!(file instanceof File)) return "a file without a name";
    if (leaves(file.name)) return `${file.name} leads out of the function`;
    if (files.has(file.name)) return `${file.name} is there twice`;
    files.set(file.name, new Uint8Array(await file.arrayBuffer()));
  }
  const name = url.searchParams.get("slug") ?? metadata.data.name;
  return { name, bundleOnly: url.searchParams.get("bundleOnly") === "true", metadata: metadata.data, files };
}

/** The stand-in. */
export class ManagementApi implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Names of functions whose upload fails with status 400. */
  readonly rejected = new Set<string>();
  /** The project that can be deployed to. */
  readonly ref = REF;
  /** The access token that it accepts. */
  readonly token = `sbp_${crypto.randomUUID().replaceAll("-", "")}01234567`;
  /** Every upload, in order. */
  readonly uploads: Upload[] = [];
  /** The functions that take effect, by name. */
  readonly deployed = new Map<string, Upload>();
  /** The requests, such as `GET /v1/projects/…`, in order. */
  readonly requests: string[] = [];

  /** Listens on a free port. */
  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#serve(request),
    );
  }

  /** Its URL, without a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.requests.push(`${request.method} ${url.pathname}`);
    if (request.headers.get("authorization") !== `Bearer ${this.token}`) return refuse(401, "Unauthorized");
    const project = `/v1/projects/${REF}`;
    switch (`${request.method} ${url.pathname}`) {
      case `POST ${project}/functions/deploy`:
        return await this.#upload(request, url);
      case `PUT ${project}/functions`:
        return await this.#activate(request);
      case `GET ${project}`:
        return Response.json({ id: REF, ref: REF, name: "stand-in", region: "local", status: "ACTIVE_HEALTHY" });
      case `GET ${project}/functions`:
        return Response.json([...this.deployed.values()].map((upload) => this.#describe(upload)));
      default:
        return this.#remove(request.method, url.pathname.replace(`${project}/functions/`, ""));
    }
  }

  #describe({ name, metadata }: Upload): Record<string, unknown> {
    const version = this.uploads.filter((upload) => upload.name === name).length;
    const { name: _, static_patterns: __, ...kept } = metadata;
    const now = Date.now();
    return {
      ...kept,
      id: crypto.randomUUID(),
      slug: name,
      name,
      version,
      status: "ACTIVE",
      created_at: now,
      updated_at: now,
    };
  }

  async #upload(request: Request, url: URL): Promise<Response> {
    const upload = await readUpload(request, url);
    if (typeof upload === "string") return refuse(400, upload);
    if (this.rejected.has(upload.name)) return refuse(400, "Failed to bundle the function");
    this.uploads.push(upload);
    if (!upload.bundleOnly) this.deployed.set(upload.name, upload);
    return Response.json(this.#describe(upload), { status: 201 });
  }

  async #activate(request: Request): Promise<Response> {
    const functions = bulkShape.parse(await request.json());
    for (const { slug } of functions) {
      const upload = this.uploads.findLast(({ name }) => name === slug);
      if (!upload) return refuse(400, `${slug} was not uploaded`);
      this.deployed.set(slug, upload);
    }
    return Response.json({ functions: functions.map(({ slug }) => ({ slug })) });
  }

  #remove(method: string, name: string): Response {
    if (method !== "DELETE" || !this.deployed.delete(name)) return refuse(404, "Not Found");
    return new Response(null, { status: 200 });
  }

  /** Stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
