/**
 * The responses that the messages sent ask for, in order (PostgreSQL, "Message Flow").
 *
 * @module
 */
import { Reply, unexpectedMessage } from "./messages.ts";

/** A simple query: any number of results up to ReadyForQuery. No message has this code. */
const SIMPLE_QUERY = 0;

/** The number of responses already received that are kept before the list is shortened. */
const MAX_RECEIVED = 256;

/**
 * The responses that the server has yet to send. It refuses every message that is not the next one: messages that match
 * no request would otherwise reach the wrong caller.
 */
export class ExpectedResponses {
  #types: number[] = [];
  #at = 0;
  /** True after an error whose Sync was not sent yet: the server ignores what is sent before it. */
  #skipping = false;

  /** Adds the response that ends the effect of a message just encoded. */
  expect(type: number): void {
    if (this.#skipping) {
      if (type !== Reply.readyForQuery) return;
      this.#skipping = false;
    }
    this.#types.push(type);
  }

  /** Adds all the responses to a simple query. */
  expectSimpleQuery(): void {
    this.expect(SIMPLE_QUERY);
  }

  /** The position after the latest response, for {@linkcode rewind}. */
  get end(): number {
    return this.#types.length - this.#at;
  }

  /** Removes what was added since {@linkcode end} had this value. */
  rewind(end: number): void {
    this.#types.length = this.#at + end;
  }

  /**
   * Accepts a row.
   *
   * @throws {ConnectionError} when none may come now.
   */
  acceptRow(): void {
    const next = this.#types[this.#at];
    if (next !== Reply.commandComplete && next !== SIMPLE_QUERY) throw unexpectedMessage(Reply.dataRow);
  }

  /**
   * Accepts any other response of a request.
   *
   * @throws {ConnectionError} when it may not come now.
   */
  accept(type: number): void {
    const next = this.#types[this.#at];
    switch (type) {
      case Reply.rowDescription:
        if (next === SIMPLE_QUERY) return;
        break;
      case Reply.noData:
        if (next === Reply.rowDescription) return this.#advance();
        break;
      case Reply.commandComplete:
      case Reply.emptyQuery:
        if (next === Reply.commandComplete) return this.#advance();
        if (next === SIMPLE_QUERY) return;
        break;
      case Reply.readyForQuery:
        if (next === SIMPLE_QUERY) return this.#advance();
    }
    if (next !== type) throw unexpectedMessage(type);
    this.#advance();
  }

  /**
   * Accepts an error of the server, which skips everything up to the next Sync.
   *
   * @throws {ConnectionError} when nothing but ReadyForQuery may come now.
   */
  acceptError(): void {
    if (this.#types[this.#at] === Reply.readyForQuery) return;
    while (this.#at < this.#types.length) {
      const next = this.#types[this.#at];
      if (next === Reply.readyForQuery) return;
      if (next === SIMPLE_QUERY) {
        this.#types[this.#at] = Reply.readyForQuery;
        return;
      }
      this.#advance();
    }
    this.#skipping = true;
  }

  #advance(): void {
    if (++this.#at === this.#types.length) {
      this.#types.length = this.#at = 0;
    } else if (this.#at >= MAX_RECEIVED) {
      this.#types.splice(0, this.#at);
      this.#at = 0;
    }
  }
}
