/**
 * The choice between a project and its read replicas: the calls that replicas may serve are passed to the balancer of
 * replicas, which is loaded by the first of them.
 *
 * @module
 */
import type { ProjectRequest } from "./project_request.ts";
import type { ReadReplicas, ReadReplicasOptions } from "./read_replicas.ts";

/** Methods that only read. PostgREST runs them in read-only transactions. */
const READS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** Methods that change nothing. */
const SAFE: ReadonlySet<string> = new Set([...READS, "OPTIONS"]);

/**
 * Sends a call that replicas may serve.
 *
 * @param onProject Called before it is sent to the project, which serves what no replica does. What it throws is the
 * result of the call.
 */
export type ReplicaSend = (
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  onProject: () => void,
) => Promise<Response>;

/** Returns whether replicas may serve a call, by its address and its method. */
export function isReplicaRead(baseUrl: string, url: string, method: string): boolean {
  return READS.has(method) && url.startsWith(`${baseUrl}/rest/v1/`);
}

/** Decides which calls replicas may serve. */
export class ReadBalancer {
  readonly #options: ReadReplicasOptions;
  readonly #load: () => Promise<Pick<ReadReplicas, "send">>;
  readonly #written = new WeakSet<object>();
  #loading: Promise<Pick<ReadReplicas, "send">> | undefined = undefined;
  readonly #send: ReplicaSend = async (input, init, onProject) => {
    return await (await this.#loaded()).send(input, init, onProject);
  };

  /** @param load Loads the balancer of replicas. Default: its module is imported. */
  constructor(options: ReadReplicasOptions, load?: () => Promise<Pick<ReadReplicas, "send">>) {
    this.#options = options;
    this.#load = load ?? (async () => new (await import("./read_replicas.ts")).ReadReplicas(options));
  }

  /**
   * Returns the function that sends a call; `undefined` if the project has to serve it.
   *
   * @param scope An object that stands for the scope of the call: once it has sent anything but a read, the project serves
   * its reads.
   */
  senderOf(scope: object, { url, method }: Pick<ProjectRequest, "url" | "method">): ReplicaSend | undefined {
    if (!SAFE.has(method)) this.#written.add(scope);
    const mayServe = isReplicaRead(this.#options.baseUrl, url, method) && !this.#written.has(scope);
    return mayServe ? this.#send : undefined;
  }

  /** Returns the balancer of replicas. A failure to load it is the result of one call alone: the next one tries again. */
  #loaded(): Promise<Pick<ReadReplicas, "send">> {
    return this.#loading ??= this.#load().catch((error) => {
      this.#loading = undefined;
      throw error;
    });
  }
}
