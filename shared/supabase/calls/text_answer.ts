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
  return new TextAnswer(response, watcher) as unknown as Response;
}

/**
 * Stands for the answer that came. A `text` of that answer's own would do as
 * well; but the runtime's responses are made so that a property added to one
 * costs more than all else that is done here.
 */
class TextAnswer {
  readonly #came: Response;
  readonly #watcher: TextWatcher;

  constructor(came: Response, watcher: TextWatcher) {
    this.#came = came;
    this.#watcher = watcher;
  }

  static cameAs(answer: TextAnswer): Response {
    return answer.#came;
  }

  text(): Promise<string> {
    const watcher = this.#watcher;
    watcher.begun();
    return watcher.race(
      this.#came.text().then((text) => {
        watcher.over();
        return text;
      }, (error) => {
        watcher.failed(error);
        throw error;
      }),
    );
  }
}

const { cameAs } = TextAnswer;

Object.setPrototypeOf(TextAnswer.prototype, Response.prototype);

for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(Response.prototype))) {
  if (Object.hasOwn(TextAnswer.prototype, name)) continue;
  Object.defineProperty(TextAnswer.prototype, name, {
    configurable: true,
    get(this: TextAnswer): unknown {
      const came = cameAs(this);
      const value: unknown = Reflect.get(came, name);
      return get === undefined && typeof value === "function" ? value.bind(came) : value;
    },
  });
}
