/**
 * A span for each request.
 *
 * @module
 */
import type { Context, Span, Tracer } from "@opentelemetry/api";
import { codeOf } from "../../../resilience/mod.ts";
import { correlationIdOf, traceIdOf, useTraceId } from "../../log/mod.ts";
import type { TimedRequest } from "../slow_requests.ts";
import { type OpenTelemetryApi, propagatesItself, seconds } from "./api.ts";
import { runIn, safely } from "./safely.ts";

/** The span of one request. */
export interface RequestSpan {
  /** Runs `work` so that spans that it starts are children of this one. */
  run<T>(work: () => T): T;
  /**
   * Returns the headers that carry the trace to the next service: `traceparent` and `tracestate` of the innermost span.
   * `undefined` where there are none, or the runtime adds them to each `fetch` itself.
   */
  readonly headers: () => Record<string, string> | undefined;
  /** Ends the span. */
  end(timed: Omit<TimedRequest, "durationMs">): void;
}

/** Maximum length of `tracestate`, in characters (W3C Trace Context, section 3.3.1.5). */
const MAX_TRACESTATE = 512;

/** Members of a list of `key=value`, in printable characters. */
const TRACESTATE = /^[\x20-\x7e]+$/;

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/**
 * Returns the headers of a trace (W3C Trace Context), as far as they are valid; `undefined` for none. `baggage` is not
 * among them: callers put what they like into it.
 */
function traceHeaders(traceparent: unknown, tracestate: unknown): Record<string, string> | undefined {
  if (typeof traceparent !== "string" || traceIdOf(traceparent) === undefined) return undefined;
  const isValid = typeof tracestate === "string" && tracestate.length <= MAX_TRACESTATE && TRACESTATE.test(tracestate);
  return isValid ? { traceparent, tracestate } : { traceparent };
}

/** Returns what failed, as `error.type`: a stable code, else the status. */
export function errorTypeOf(error: unknown, otherwise: string): string {
  const code = codeOf(error);
  return code !== undefined && /^[\w.-]{1,64}$/.test(code) ? code : otherwise;
}

/** Starts the spans of requests. */
export class RequestTracer {
  readonly #api: OpenTelemetryApi;
  readonly #tracer: Tracer;
  readonly #isPropagated: boolean;

  constructor(api: OpenTelemetryApi, tracer: Tracer) {
    this.#api = api;
    this.#tracer = tracer;
    this.#isPropagated = propagatesItself(api);
  }

  /**
   * Starts the span of a request: a child of the span that is active, such as that of `Deno.serve`, else of the caller's
   * `traceparent`, if that is valid. Returns `undefined` if no provider is registered, or if it throws.
   */
  begin(request: Request): RequestSpan | undefined {
    return safely(() => this.#begin(request));
  }

  #begin(request: Request): RequestSpan | undefined {
    const { context, trace, propagation, isSpanContextValid, SpanKind } = this.#api;
    let parent = context.active();
    if (!trace.getSpan(parent)) {
      const { headers } = request;
      const traceparent = headers.get("traceparent");
      if (traceparent !== null) {
        const carried = traceHeaders(traceparent, headers.get("tracestate"));
        if (carried) parent = propagation.extract(parent, carried);
      }
    }
    const method = METHODS.has(request.method) ? request.method : "_OTHER";
    const attributes = { "http.request.method": method };
    const span = this.#tracer.startSpan("pooled request", { kind: SpanKind.INTERNAL, attributes }, parent);
    const spanContext = safely(() => span.spanContext());
    if (!spanContext || !isSpanContextValid(spanContext)) {
      safely(() => span.end());
      return undefined;
    }
    useTraceId(request, spanContext.traceId);
    const active = trace.setSpan(parent, span);
    return {
      run: (work) => runIn(this.#api, active, work),
      headers: () => this.#isPropagated ? undefined : safely(() => this.#headersOf(context.active())),
      end: (timed) => this.#end(span, timed),
    };
  }

  #headersOf(active: Context): Record<string, string> | undefined {
    const carrier: Record<string, unknown> = {};
    this.#api.propagation.inject(active, carrier);
    return traceHeaders(carrier.traceparent, carrier.tracestate);
  }

  #end(span: Span, timed: Omit<TimedRequest, "durationMs">): void {
    safely(() => this.#describe(span, timed));
    safely(() => span.end());
  }

  #describe(
    span: Span,
    { request, status, error, verifyMs, waitedMs, upstreamMs }: Omit<TimedRequest, "durationMs">,
  ): void {
    span.setAttributes({
      "http.response.status_code": status,
      "supabase_pool.correlation_id": correlationIdOf(request),
      "supabase_pool.verify_time": seconds(verifyMs),
      "supabase_pool.wait_time": seconds(waitedMs),
      "supabase_pool.upstream_time": seconds(upstreamMs),
    });
    if (error !== undefined || status >= 500) span.setAttribute("error.type", errorTypeOf(error, String(status)));
    if (status >= 500) span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
  }
}
