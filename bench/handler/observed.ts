/**
 * Handlers with observability, and a provider of OpenTelemetry that counts.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import * as api from "@opentelemetry/api";
import { type PooledSupabaseOptions, withPooledSupabase } from "../../shared/mod.ts";
import { installOpenTelemetry, MetricsRegistry } from "../../shared/observability/mod.ts";
import { type Handle, MAX_CONNECTIONS, rows } from "./candidates.ts";
import type { Project } from "./project.ts";

/** The spans and measurements that were reported; an exporter would send them. */
export const counted = { spans: 0, measurements: 0 };

class Contexts implements api.ContextManager {
  readonly #storage = new AsyncLocalStorage<api.Context>();

  active(): api.Context {
    return this.#storage.getStore() ?? api.ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: api.Context,
    run: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(context, () => run.call(self, ...args));
  }

  bind<T>(_context: api.Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

/** A span that keeps its attributes until it ends, as those of the SDK do. */
class CountedSpan implements api.Span {
  readonly #context: api.SpanContext;
  readonly #attributes: api.Attributes = {};

  constructor(traceId: string) {
    this.#context = { traceId, spanId: crypto.randomUUID().replaceAll("-", "").slice(16), traceFlags: 1 };
  }

  spanContext(): api.SpanContext {
    return this.#context;
  }

  setAttribute(key: string, value: api.AttributeValue): this {
    this.#attributes[key] = value;
    return this;
  }

  setAttributes(attributes: api.Attributes): this {
    Object.assign(this.#attributes, attributes);
    return this;
  }

  addEvent(): this {
    return this;
  }

  addLink(): this {
    return this;
  }

  addLinks(): this {
    return this;
  }

  setStatus(): this {
    return this;
  }

  updateName(): this {
    return this;
  }

  end(): void {
    counted.spans++;
  }

  isRecording(): boolean {
    return true;
  }

  recordException(): void {}
}

/** Registers the provider and installs the API for the handlers of this process that are traced. */
function registerProvider(): void {
  api.context.setGlobalContextManager(new Contexts());
  const startSpan = (_name: string, options: api.SpanOptions = {}, parent = api.context.active()) => {
    const { traceId = crypto.randomUUID().replaceAll("-", "") } = api.trace.getSpanContext(parent) ?? {};
    return new CountedSpan(traceId).setAttributes(options.attributes ?? {});
  };
  api.trace.setGlobalTracerProvider({
    getTracer: () => ({
      startSpan,
      startActiveSpan: () => {
        throw new Error("The library starts no active span");
      },
    }),
  });
  installOpenTelemetry(api);
}

/**
 * Opens a handler with metrics, the fleet and the log of connections, and a pool of its own.
 *
 * @param traced True if it creates spans, too.
 * @param parts Where the metrics and the lines go. Default: nowhere.
 */
export function observed(
  traced: boolean,
  parts: Pick<PooledSupabaseOptions<unknown>, "metrics" | "log"> = {},
): (project: Project) => Handle {
  return ({ env }) => {
    if (traced) registerProvider();
    const key = traced ? "sb_publishable_traced" : "sb_publishable_observed";
    return withPooledSupabase(
      {
        auth: "user",
        env: { ...env, publishableKeys: { default: key } },
        pool: { maxConnections: MAX_CONNECTIONS },
        rememberTokensMs: 60_000,
        variables: { POOL_TRACING: traced ? "on" : "off" },
        metrics: { registry: new MetricsRegistry() },
        fleet: {},
        logLevel: "debug",
        log: () => {},
        ...parts,
      },
      (_request, { supabase }) => rows(supabase),
    );
  };
}
