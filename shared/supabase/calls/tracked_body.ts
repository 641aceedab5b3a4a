/**
 * Answers that tell when they have been read.
 *
 * @module
 */

/** What is told of an answer's body. */
export interface BodyWatcher {
  /** Aborts when the body is not to be read any more; whoever reads it gets the reason. */
  readonly signal: AbortSignal;
  /** Somebody reads it, or has taken the stream to read it later. */
  markReading(): void;
  /** It was read to its end, or cancelled. */
  settle(): void;
  /** It broke off. */
  fail(error: unknown): void;
}

/** Where an answer came from. */
export interface Origin {
  readonly url: string;
  readonly redirected: boolean;
}

type Bytes = Uint8Array<ArrayBuffer>;
type Reading = "arrayBuffer" | "blob" | "bytes" | "formData" | "json" | "text";

/** Statuses that never have a body (Fetch standard, "null body status"). */
export const WITHOUT_BODY: readonly number[] = [101, 103, 204, 205, 304];

/**
 * `response`, watched. It is a response to everything that takes one, a server
 * it is returned to included: whichever way its body is read, `watcher` is told.
 * One without a body is returned as it is.
 */
export function trackBody(response: Response, method: string, origin: Origin, watcher: BodyWatcher): Response {
  if (method === "HEAD" || WITHOUT_BODY.includes(response.status) || response.body === null) {
    watcher.settle();
    return response;
  }
  return new TrackedResponse(response, response.body, origin, watcher);
}

/** What `read` gives, and word of its end to `watcher`, which can cut it short. */
function readWhole<T>(read: () => Promise<T>, watcher: BodyWatcher): Promise<T> {
  const { signal } = watcher;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    const settled = () => signal.removeEventListener("abort", abort);
    read().then((value) => {
      settled();
      watcher.settle();
      resolve(value);
    }, (error) => {
      settled();
      watcher.fail(error);
      reject(error);
    });
  });
}

/** A response whose body is a watched stream, which its readers go around as long as they can. */
class TrackedResponse extends Response {
  readonly #original: Response;
  readonly #origin: Origin;
  readonly #watcher: BodyWatcher;
  readonly #stream: TrackedStream;
  #readWhole = false;

  constructor(original: Response, body: ReadableStream<Bytes>, origin: Origin, watcher: BodyWatcher) {
    const stream = new TrackedStream(body, watcher);
    const { status, statusText, headers } = original;
    // No response can be made with a status above 599; such an answer counts as 500 (RFC 9110, section 15).
    super(stream.stream, { status: status > 599 ? 500 : status, statusText, headers });
    this.#original = original;
    this.#origin = origin;
    this.#watcher = watcher;
    this.#stream = stream;
  }

  override get url(): string {
    return this.#origin.url;
  }

  override get redirected(): boolean {
    return this.#origin.redirected;
  }

  override get type(): ResponseType {
    return this.#original.type;
  }

  override get body(): ReadableStream<Bytes> | null {
    this.#stream.begin();
    return super.body;
  }

  override get bodyUsed(): boolean {
    return this.#readWhole || super.bodyUsed;
  }

  override clone(): Response {
    const copy = super.clone();
    this.#stream.begin();
    return describe(copy, this.#origin, this.#original.type);
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return this.#read("arrayBuffer", () => super.arrayBuffer());
  }

  override blob(): Promise<Blob> {
    return this.#read("blob", () => super.blob());
  }

  override bytes(): Promise<Bytes> {
    return this.#read("bytes", () => super.bytes());
  }

  override formData(): Promise<FormData> {
    return this.#read("formData", () => super.formData());
  }

  override json(): Promise<unknown> {
    return this.#read("json", () => super.json());
  }

  override text(): Promise<string> {
    return this.#read("text", () => super.text());
  }

  /** The runtime reads its own streams at half the cost of one made here. */
  #read<T>(name: Reading, slowly: () => Promise<T>): Promise<T> {
    if (this.#readWhole || this.#stream.hasBegun) return slowly();
    super.body?.getReader(); // locked, as the body of every response that is being read
    this.#readWhole = true;
    this.#stream.begin();
    return readWhole(() => this.#original[name]() as Promise<unknown> as Promise<T>, this.#watcher);
  }
}

/** A body on its way through to its reader. */
class TrackedStream {
  readonly stream: ReadableStream<Bytes>;
  readonly #source: ReadableStream<Bytes>;
  readonly #watcher: BodyWatcher;
  #reader: ReadableStreamDefaultReader<Bytes> | undefined = undefined;
  #begun = false;

  constructor(source: ReadableStream<Bytes>, watcher: BodyWatcher) {
    this.#source = source;
    this.#watcher = watcher;
    this.stream = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        watcher.signal.addEventListener("abort", () => {
          controller.error(watcher.signal.reason);
          this.#cancel(watcher.signal.reason).catch(() => {});
        }, { once: true });
      },
      pull: (controller) => this.#pull(controller),
      cancel: (reason) => {
        watcher.settle();
        return this.#cancel(reason);
      },
    });
  }

  /** Whether somebody reads it, or may have taken the stream. */
  get hasBegun(): boolean {
    return this.#begun;
  }

  /** Notes that somebody does. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#watcher.markReading();
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    this.begin();
    try {
      this.#reader ??= this.#source.getReader();
      let chunk = await this.#reader.read();
      while (!chunk.done && chunk.value.byteLength === 0) chunk = await this.#reader.read();
      if (chunk.done) {
        controller.close();
        controller.byobRequest?.respond(0); // a reader with a buffer of its own gets it back
        this.#watcher.settle();
      } else {
        const { value } = chunk;
        // The stream takes the whole buffer over: not one that others look into as well.
        controller.enqueue(value.byteLength === value.buffer.byteLength ? value : value.slice());
      }
    } catch (error) {
      controller.error(error);
      this.#watcher.fail(error);
    }
  }

  #cancel(reason: unknown): Promise<void> {
    return this.#reader ? this.#reader.cancel(reason) : this.#source.cancel(reason);
  }
}

/** A copy of an answer that says where the answer came from, as its own copies do. */
function describe(copy: Response, { url, redirected }: Origin, type: ResponseType): Response {
  const clone = () => describe(Response.prototype.clone.call(copy), { url, redirected }, type);
  for (const [name, value] of Object.entries({ url, redirected, type, clone })) {
    Object.defineProperty(copy, name, { configurable: true, value });
  }
  return copy;
}
