/**
 * Responses that are read as text.
 *
 * @module
 */
import { type BodyWatcher, type Origin, trackBody, WITHOUT_BODY } from "./tracked_body.ts";

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
