/**
 * A span for each Postgres statement.
 *
 * @module
 */
import type { Attributes, Context, Histogram, Span, Tracer } from "@opentelemetry/api";
import type { OpenTelemetryApi } from "./api.ts";
import { seconds } from "./api.ts";
import { operationOf, summaryOf } from "./operation_name.ts";
import { errorTypeOf } from "./request_tracer.ts";
import { runIn, safely } from "./safely.ts";

/** Work on Postgres connections; see `ObservedWork` of `postgres`. */
export interface TracedWork {
  /** One statement, a list in one transaction, or the function of a transaction. */
  readonly kind: "statement" | "list" | "transaction";
  /** The texts of the statements. */
  readonly texts: readonly string[];
}

/** Its times, in ms; see `ObservedTimes` of `postgres`. */
export interface TracedTimes {
  /** The wait for a connection, without the time to establish it. */
  readonly waitedMs: number;
  /** The time that establishing the connection took; 0 if it was there. */
  readonly connectMs: number;
  /** The time until the result. */
  readonly executionMs: number;
}

/** A Postgres pool whose statements can be traced: a `PostgresConnectionManager`. */
export interface TracedPostgres {
  /** Passes each statement and transaction to an observer. */
  observeStatements(observer: {
    observe<T>(work: TracedWork, times: TracedTimes, run: () => Promise<T>): Promise<T>;
  }): Disposable;
  /** The options in effect. */
  readonly config?: { readonly host?: string; readonly port?: number; readonly database?: string };
}

/** SQLSTATE: five digits and capitals. One without a digit, such as `EPIPE`, is a code of the system. */
const SQLSTATE = /^(?=.*\d)[\dA-Z]{5}$/;

/** Maximum number of types of errors in the histogram: functions of the database and of the program choose codes. */
const MAX_ERROR_TYPES = 100;

/** The type of errors without a code, and of those beyond {@linkcode MAX_ERROR_TYPES}. */
const OTHER_ERROR = "_OTHER";

/** The span of one piece of work, and the context in which it is the active one. */
interface Begun {
  readonly span: Span;
  readonly active: Context;
}

/** Traces statements: their operation and where they ran, never their text or values. */
export class StatementTracer {
  readonly #api: OpenTelemetryApi;
  readonly #tracer: Tracer;
  readonly #duration: Histogram;
  readonly #target: Attributes;
  /** The types of errors in the histogram. */
  readonly #errorTypes = new Set<string>();

  /** @param duration The histogram `db.client.operation.duration`, in s. */
  constructor(api: OpenTelemetryApi, tracer: Tracer, duration: Histogram, { host, port, database }: {
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    readonly database?: string | undefined;
  } = {}) {
    this.#api = api;
    this.#tracer = tracer;
    this.#duration = duration;
    this.#target = {
      "db.system.name": "postgresql",
      ...(database !== undefined && { "db.namespace": database }),
      // A socket has a path.
      ...(host !== undefined && { "server.address": host }),
      ...(host !== undefined && !host.startsWith("/") && port !== undefined && { "server.port": port }),
    };
  }

  /** Runs work in a span of its own. What the provider throws changes nothing of it. */
  async observe<T>(work: TracedWork, times: TracedTimes, run: () => Promise<T>): Promise<T> {
    const operation = operationOf(work);
    const attributes: Attributes = {
      ...this.#target,
      "db.operation.name": operation,
      ...(work.kind === "list" && work.texts.length > 1 && { "db.operation.batch.size": work.texts.length }),
    };
    const begun = safely(() => this.#begin(summaryOf(operation), attributes));
    let errorType: string | undefined;
    try {
      return await (begun ? runIn(this.#api, begun.active, run) : run());
    } catch (error) {
      errorType = errorTypeOf(error, OTHER_ERROR);
      throw error;
    } finally {
      const measured = errorType === undefined ? attributes : { ...attributes, "error.type": this.#bounded(errorType) };
      safely(() => this.#duration.record(seconds(times.waitedMs + times.connectMs + times.executionMs), measured));
      if (begun) this.#end(begun.span, times, errorType);
    }
  }

  #begin(name: string, attributes: Attributes): Begun {
    const { context, trace, SpanKind } = this.#api;
    const parent = context.active();
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, parent);
    return { span, active: trace.setSpan(parent, span) };
  }

  #bounded(errorType: string): string {
    if (this.#errorTypes.size < MAX_ERROR_TYPES) this.#errorTypes.add(errorType);
    return this.#errorTypes.has(errorType) ? errorType : OTHER_ERROR;
  }

  #end(span: Span, times: TracedTimes, errorType: string | undefined): void {
    safely(() => this.#describe(span, times, errorType));
    safely(() => span.end());
  }

  #describe(span: Span, { waitedMs, connectMs, executionMs }: TracedTimes, errorType: string | undefined): void {
    span.setAttributes({
      "supabase_pool.wait_time": seconds(waitedMs),
      "supabase_pool.connect_time": seconds(connectMs),
      "supabase_pool.execution_time": seconds(executionMs),
    });
    if (errorType === undefined) return;
    span.setAttribute("error.type", errorType);
    if (SQLSTATE.test(errorType)) span.setAttribute("db.response.status_code", errorType);
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
  }
}
