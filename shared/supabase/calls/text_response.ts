/**
 * Answers that are read as text.
 *
 * @module
 */
import { type BodyWatcher, type Origin, trackBody, WITHOUT_BODY } from "./tracked_body.ts";

/** What is told of such an answer. */
export interface TextWatcher extends BodyWatcher {
  /** What `promise` settles as, or the rejection of what aborts {@linkcode BodyWatcher.signal} first. */
  race<T>(promise: Promise<T>): Promise<T>;
}

/**
 * `trackBody` at a fifth of its cost, for a reader that reads `text()` and
 * nothing else, as postgrest-js does: `watcher` is told of no other way to read
 * it. It is a `Response` to `instanceof`, and has all that one has, but cannot
 * be returned to a server.
 */
export function trackText(response: Response, method: string, origin: Origin, watcher: TextWatcher): Response {
  const { status } = response;
  if (method === "HEAD" || origin.redirected || status > 599 || WITHOUT_BODY.includes(status)) {
    return trackBody(response, method, origin, watcher);
  }
  return new TextOnlyResponse(response, watcher) as unknown as Response;
}

/**
 * Stands for the answer that came. A `text` of that answer's own would do as
 * well; but the runtime's responses are made so that a property added to one
 * costs more than all else that is done here.
 */
class TextOnlyResponse {
  readonly #original: Response;
  readonly #watcher: TextWatcher;

  constructor(original: Response, watcher: TextWatcher) {
    this.#original = original;
    this.#watcher = watcher;
  }

  static originalOf(response: TextOnlyResponse): Response {
    return response.#original;
  }

  text(): Promise<string> {
    const watcher = this.#watcher;
    watcher.markReading();
    return watcher.race(
      this.#original.text().then((text) => {
        watcher.settle();
        return text;
      }, (error) => {
        watcher.fail(error);
        throw error;
      }),
    );
  }
}

const { originalOf } = TextOnlyResponse;

Object.setPrototypeOf(TextOnlyResponse.prototype, Response.prototype);

for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(Response.prototype))) {
  if (Object.hasOwn(TextOnlyResponse.prototype, name)) continue;
  Object.defineProperty(TextOnlyResponse.prototype, name, {
    configurable: true,
    get(this: TextOnlyResponse): unknown {
      const original = originalOf(this);
      const value: unknown = Reflect.get(original, name);
      return get === undefined && typeof value === "function" ? value.bind(original) : value;
    },
  });
}
