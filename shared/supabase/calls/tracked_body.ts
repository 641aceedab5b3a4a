/**
 * Responses that tell when they have been read.
 *
 * @module
 */

/** Observes the body of a response, and can end it. */
export interface BodyWatcher {
  /** Aborts when the body is not to be read any more; its reader gets the reason. */
  readonly signal: AbortSignal;
  /** The body is being read, or its stream has been taken to be read later. */
  markReading(): void;
  /** The reader of the body's stream asks for more. */
  onPull(): void;
  /** The reader got a chunk. Until it asks for more, nothing is read from the source. */
  onChunk(): void;
  /** The body was read to its end, or canceled. */
  settle(): void;
  /** The body broke off. */
  fail(error: unknown): void;
  /** Runs `read`, which reads the whole body, and settles or fails with it. Rejects when the signal aborts. */
  read<T>(read: () => Promise<T>): Promise<T>;
}

/** The origin of a response. */
interface Origin {
  readonly url: string;
  readonly redirected: boolean;
}

type Bytes = Uint8Array<ArrayBuffer>;
type Reading = "arrayBuffer" | "blob" | "bytes" | "formData" | "json" | "text";

/** The longest body that the runtime reads whole, in bytes: it does not tell how far it has come. */
const MAX_WHOLE_BYTES = 1_048_576;

/** Statuses that never have a body (Fetch standard, "null body status"). */
const WITHOUT_BODY: readonly number[] = [101, 103, 204, 205, 304];

/**
 * Returns `response` as one whose reading `watcher` observes, in whichever way its
 * body is read. Everything that takes a response takes it, a server that it is
 * returned to included. A response without a body is returned as it is.
 */
export function trackBody(response: Response, method: string, origin: Origin, watcher: BodyWatcher): Response {
  if (method === "HEAD" || WITHOUT_BODY.includes(response.status) || response.body === null) {
    watcher.settle();
    return response;
  }
  return new TrackedResponse(response, response.body, origin, watcher);
}

/** A response whose body is a watched stream. What reads the whole body at once does not go through the stream. */
class TrackedResponse extends Response {
  readonly #original: Response;
  readonly #origin: Origin;
  readonly #watcher: BodyWatcher;
  readonly #stream: TrackedStream;
  #readWhole = false;

  constructor(original: Response, body: ReadableStream<Bytes>, origin: Origin, watcher: BodyWatcher) {
    const stream = new TrackedStream(body, watcher);
    const { status, statusText, headers } = original;
    // No response can be made with a status above 599; such a response counts as 500 (RFC 9110, section 15).
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

  /**
   * The runtime reads its own streams at half the cost of a stream created here. A body that is long, or whose length is
   * not known, is read as a stream, so that its progress is seen; not so that of an error.
   */
  #read<T>(name: Reading, slowly: () => Promise<T>): Promise<T> {
    const isShort = !this.ok || Number(this.headers.get("content-length") ?? Infinity) <= MAX_WHOLE_BYTES;
    if (this.#readWhole || this.#stream.hasBegun || !isShort) return slowly();
    super.body?.getReader(); // locked, as the body of every response that is being read
    this.#readWhole = true;
    return this.#watcher.read(() => this.#original[name]() as Promise<unknown> as Promise<T>);
  }
}

/** The stream of a body, through which its reader gets it. */
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

  /** True once it is being read, or the stream may have been taken. */
  get hasBegun(): boolean {
    return this.#begun;
  }

  /** Notes that it is being read. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#watcher.markReading();
  }

  async #pull(controller: ReadableByteStreamController): Promise<void> {
    this.begin();
    this.#watcher.onPull();
    try {
      this.#reader ??= this.#source.getReader();
      let chunk = await this.#reader.read();
      while (!chunk.done && chunk.value.byteLength === 0) chunk = await this.#reader.read();
      if (chunk.done) {
        controller.close();
        controller.byobRequest?.respond(0); // returns its buffer to a reader that brought one
        this.#watcher.settle();
      } else {
        const { value } = chunk;
        // The stream takes over the whole buffer, which must not be one that others use as well.
        controller.enqueue(value.byteLength === value.buffer.byteLength ? value : value.slice());
        this.#watcher.onChunk();
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

/** Gives a copy of a response the origin of that response, and its own copies too. */
function describe(copy: Response, { url, redirected }: Origin, type: ResponseType): Response {
  const clone = () => describe(Response.prototype.clone.call(copy), { url, redirected }, type);
  for (const [name, value] of Object.entries({ url, redirected, type, clone })) {
    Object.defineProperty(copy, name, { configurable: true, value });
  }
  return copy;
}

/**
 * Does what `trackBody` does at a fifth of its cost, for a reader that reads
 * `text()` and nothing else, as postgrest-js does: `watcher` does not notice any
 * other way to read it. The result is a `Response` to `instanceof` and has all
 * members of one, but cannot be returned to a server.
 */
export function trackText(response: Response, method: string, origin: Origin, watcher: BodyWatcher): Response {
  const { status } = response;
  if (method === "HEAD" || origin.redirected || status > 599 || WITHOUT_BODY.includes(status)) {
    return trackBody(response, method, origin, watcher);
  }
  return new TextOnlyResponse(response, watcher) as unknown as Response;
}

/**
 * Wraps the response of the runtime. A `text` method added to that response would
 * do as well; but adding a property to a response of the runtime costs more than
 * all else that is done here.
 */
class TextOnlyResponse {
  readonly #original: Response;
  readonly #watcher: BodyWatcher;

  constructor(original: Response, watcher: BodyWatcher) {
    this.#original = original;
    this.#watcher = watcher;
  }

  text(): Promise<string> {
    return this.#watcher.read(() => this.#original.text());
  }

  static {
    Object.setPrototypeOf(this.prototype, Response.prototype);
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(Response.prototype))) {
      if (Object.hasOwn(this.prototype, name)) continue;
      Object.defineProperty(this.prototype, name, {
        configurable: true,
        get(this: TextOnlyResponse): unknown {
          const original = this.#original;
          const value: unknown = Reflect.get(original, name);
          return get === undefined && typeof value === "function" ? value.bind(original) : value;
        },
      });
    }
  }
}
