/**
 * A provider of OpenTelemetry that keeps spans and measurements in memory.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes,
  type Context,
  context,
  type ContextManager,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  type TextMapPropagator,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";

/** A span that has ended, or not yet. */
export interface FakeSpan {
  readonly name: string;
  readonly kind: number | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly attributes: Attributes;
  status: number;
  ended: number;
}

/** A value that an instrument took. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly attributes: Attributes;
}

/** The spans and measurements that were reported. Disposing of it removes the provider. */
export interface FakeProvider extends Disposable {
  readonly spans: FakeSpan[];
  readonly measurements: Measurement[];
  /** The methods that throw, such as `startSpan`. Default: none. */
  readonly faults: Set<string>;
  /** Reads the observable instruments. */
  collect(): Measurement[];
}

function hex(digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join("").replace(/^0/, "1");
}

/** Throws if a method is among those that should. */
type Fault = (method: string) => void;

class Contexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  readonly #fault: Fault;

  constructor(fault: Fault) {
    this.#fault = fault;
  }

  active(): Context {
    this.#fault("active");
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    run: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    this.#fault("with");
    return this.#storage.run(active, () => run.call(self, ...args));
  }

  bind<T>(_context: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

/** Carries `traceparent`, as it is, and a `baggage` that nothing may pass on. */
const propagatorOf = (fault: Fault): TextMapPropagator => ({
  fields: () => ["traceparent", "baggage"],
  inject(active, carrier, setter) {
    fault("inject");
    const span = trace.getSpanContext(active);
    if (!span) return;
    setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-0${span.traceFlags}`);
    setter.set(carrier, "baggage", "secret=1");
  },
  extract(active, carrier, getter) {
    fault("extract");
    const value = String(getter.get(carrier, "traceparent") ?? "");
    const [, traceId = "", spanId = ""] = value.split("-");
    return trace.setSpanContext(active, { traceId, spanId, traceFlags: 1, isRemote: true });
  },
});

/** Registers a provider. */
export function registerFakeProvider(): FakeProvider {
  const spans: FakeSpan[] = [];
  const measurements: Measurement[] = [];
  const observed: ((take: (value: number, attributes?: Attributes) => void) => void)[] = [];
  const collected: Measurement[] = [];
  const faults = new Set<string>();
  const fault: Fault = (method) => {
    if (faults.has(method)) throw new Error(`the provider fails in ${method}`);
  };
  const start = (name: string, options: SpanOptions = {}, parent: Context = context.active()): Span => {
    fault("startSpan");
    const above = trace.getSpanContext(parent);
    const shown: FakeSpan = {
      name,
      kind: options.kind,
      traceId: above?.traceId ?? hex(32),
      spanId: hex(16),
      parentId: above?.spanId,
      attributes: { ...options.attributes },
      status: 0,
      ended: 0,
    };
    spans.push(shown);
    const spanContext: SpanContext = { traceId: shown.traceId, spanId: shown.spanId, traceFlags: 1 };
    const span: Span = {
      spanContext: () => (fault("spanContext"), spanContext),
      setAttribute: (key, value) => (fault("setAttribute"), shown.attributes[key] = value, span),
      setAttributes: (attributes) => (fault("setAttributes"), Object.assign(shown.attributes, attributes), span),
      addEvent: () => span,
      addLink: () => span,
      addLinks: () => span,
      setStatus: ({ code }) => (fault("setStatus"), shown.status = code, span),
      updateName: () => span,
      end: () => (shown.ended++, fault("end")),
      isRecording: () => true,
      recordException: () => {},
    };
    return span;
  };
  const provider = { getTracer: () => ({ startSpan: start, startActiveSpan: () => {} }) };
  const observable = (name: string) => ({
    addCallback: (callback: (result: unknown) => void) =>
      void observed.push(() =>
        callback({
          observe: (value: number, attributes: Attributes = {}) => collected.push({ name, value, attributes }),
        })
      ),
    removeCallback: () => {},
  });
  const meter = {
    createHistogram: (name: string) => ({
      record: (value: number, attributes: Attributes = {}) => {
        fault("record");
        measurements.push({ name, value, attributes });
      },
    }),
    createObservableUpDownCounter: observable,
    createObservableCounter: observable,
  };
  trace.setGlobalTracerProvider(provider as never as TracerProvider);
  metrics.setGlobalMeterProvider({ getMeter: () => meter } as never);
  context.setGlobalContextManager(new Contexts(fault));
  propagation.setGlobalPropagator(propagatorOf(fault));
  return {
    spans,
    measurements,
    faults,
    collect() {
      collected.length = 0;
      for (const read of observed) read(() => {});
      return [...collected];
    },
    [Symbol.dispose]() {
      trace.disable();
      metrics.disable();
      context.disable();
      propagation.disable();
    },
  };
}
