/**
 * The requests in flight on one connection.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import type { Clock } from "../../resilience/mod.ts";
import { ConnectionError, ConnectionLostError } from "../errors/connection_error.ts";
import { redacted } from "../errors/server_error.ts";
import { ResultTooLargeError } from "../errors/statement_error.ts";
import { dispatch } from "./dispatch.ts";
import { MessageWriter } from "./message_writer.ts";
import { decodeError, decodeStatus, Reply } from "./messages.ts";
import type { SessionStatus, WireRequest } from "./wire_request.ts";

const STATUS = { I: "idle", T: "transaction", E: "failed" } as const;

/** The memory that a row needs besides its bytes: a server could send billions of rows without columns. */
const ROW_OVERHEAD = 64;

/** The connection of a {@linkcode RequestQueue}. */
export interface QueueOwner {
  /** Sends bytes to the server. */
  write(bytes: Uint8Array): void;
  /**
   * Called when the server has answered a request and is ready for the next one.
   *
   * @param status The status of the server now.
   * @param durationMs How long the server took, in ms.
   */
  onReady(status: SessionStatus, answered: WireRequest, durationMs: number): void;
  /** Called with an error that the server sent while nothing was in flight: it is about to close the connection. */
  onUnasked(error: Error): void;
}

/** Sends requests in order, and passes each response on to the request that it answers: the first one. */
export class RequestQueue {
  readonly #owner: QueueOwner;
  readonly #maxResultBytes: number;
  readonly #clock: Clock;
  /** Encodes what is sent; keeps what is not written yet. */
  readonly #out = new MessageWriter();
  /** Sent and not answered yet; the server is running the first one. */
  readonly #inFlight: WireRequest[] = [];
  /** The part of them that is not sent yet: a request that is partly sent, and what follows it. */
  readonly #unsent: WireRequest[] = [];
  /** The time at which the server began the first request, in ms of the clock. */
  #headSince = 0;
  /** The size of the rows of the first request, in bytes. */
  #resultBytes = 0;
  /** True once the rest of them is skipped. */
  #isTooLarge = false;
  #flushing = false;
  #closed = false;

  /** @param maxResultBytes The size of the largest result, in bytes. */
  constructor(owner: QueueOwner, maxResultBytes: number, clock: Clock) {
    this.#owner = owner;
    this.#maxResultBytes = maxResultBytes;
    this.#clock = clock;
  }

  /** The number of requests that are not answered. */
  get length(): number {
    return this.#inFlight.length;
  }

  /** True while what was sent waits for the end of this turn. */
  get isWriteDeferred(): boolean {
    return this.#flushing && !this.#out.isEmpty;
  }

  /** The request that the server runs. */
  get first(): WireRequest | undefined {
    return this.#inFlight[0];
  }

  /**
   * Sends a request behind those in flight, or, while one of them is partly sent, behind that one.
   *
   * @param deferWrite True if more may follow in this turn: they share one write, which costs more than all the rest.
   */
  send(request: WireRequest, deferWrite: boolean): void {
    if (this.#unsent.length > 0 || !request.send(this.#out, true)) this.#unsent.push(request);
    if (this.#inFlight.push(request) === 1) this.#headSince = this.#clock.now();
    if (!deferWrite) this.#flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
  }

  /** Continues with a request that is partly sent, and those behind it. */
  resume(): void {
    while (this.#unsent.length > 0 && !this.#closed) {
      if (!this.#unsent[0]?.send(this.#out, false)) break;
      this.#unsent.shift();
    }
    this.#flush();
  }

  #flush(): void {
    this.#flushing = false;
    if (!this.#out.isEmpty && !this.#closed) this.#owner.write(this.#out.take());
  }

  /**
   * Passes a message of the server on.
   *
   * @throws {ConnectionError} when it may not come now, or is malformed.
   * @throws {ResultTooLargeError} when the rows of the first request are larger than the limit, and it cannot be ended.
   */
  receive(type: number, bytes: Buffer, start: number, end: number): void {
    const [head] = this.#inFlight;
    switch (type) {
      case Reply.notice:
      case Reply.notification:
        return;
      case Reply.error:
        return this.#onError(decodeError(bytes, start, end));
      case Reply.readyForQuery:
        this.#out.expected.accept(type);
        return this.#onReadyForQuery(STATUS[decodeStatus(bytes, start, end)]);
      case Reply.dataRow:
        this.#out.expected.acceptRow();
        this.#resultBytes += end - start + ROW_OVERHEAD;
        if (this.#resultBytes <= this.#maxResultBytes) return head?.handleDataRow(bytes, start, end);
        if (!this.#isTooLarge) this.#skipRows(new ResultTooLargeError(this.#maxResultBytes));
        return;
      case Reply.copyIn:
      case Reply.copyOut:
      case Reply.copyBoth:
        // It has taken later requests for the data of the COPY, so that answers no longer match requests.
        throw new ConnectionError(
          "COPY_UNSUPPORTED",
          "A statement began a COPY over the connection: insert from arrays (unnest), or select in pages",
        );
      default:
        this.#out.expected.accept(type);
        if (head) dispatch(head, type, bytes, start, end);
    }
  }

  /**
   * Passes a row or error on that is too long to be read.
   *
   * @throws {ConnectionError} when it may not come now.
   * @throws {ResultTooLargeError} when the first request cannot be ended.
   */
  receiveTooLong(type: number, error: ResultTooLargeError): void {
    if (type === Reply.error) this.#onError(error);
    else this.#out.expected.acceptRow();
    if (!this.#isTooLarge) this.#skipRows(error);
  }

  #skipRows(error: ResultTooLargeError): void {
    if (!this.first?.handleTooLarge?.(error)) throw error;
    this.#isTooLarge = true;
  }

  #onError(error: Error): void {
    const [head] = this.#inFlight;
    if (!head) return this.#owner.onUnasked(error);
    this.#out.expected.acceptError();
    head.handleError(error);
  }

  #onReadyForQuery(status: SessionStatus): void {
    this.#resultBytes = 0;
    this.#isTooLarge = false;
    const answered = this.#inFlight.shift();
    const now = this.#clock.now();
    const durationMs = now - this.#headSince;
    this.#headSince = now;
    if (answered) this.#owner.onReady(status, answered, durationMs);
  }

  /** Rejects all requests and sends nothing more: the connection is dead. */
  close(reason: Error): void {
    this.#closed = true;
    this.#unsent.length = 0;
    const head = this.first;
    for (const request of this.#inFlight.splice(0)) {
      // The server's last message says more than that it closed the connection.
      if (request.failure) request.onLost(redacted(request.failure));
      else if (request === head && reason instanceof ResultTooLargeError) request.onLost(reason);
      else request.onLost(new ConnectionLostError(reason));
    }
  }
}
