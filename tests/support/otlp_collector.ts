/**
 * A collector of OpenTelemetry on loopback that keeps what it receives in JSON (OTLP over HTTP).
 *
 * @module
 */

/** A value of an attribute. */
type Value = string | number | boolean | undefined;

/** A span that was received. */
export interface ReceivedSpan {
  readonly scope: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly status: number;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, Value>>;
}

/** A histogram or sum that was received, by the attributes of its points. */
export interface ReceivedMetric {
  readonly scope: string;
  readonly name: string;
  readonly unit: string;
  readonly points: readonly {
    readonly attributes: Readonly<Record<string, Value>>;
    readonly count: number;
    readonly sum: number;
  }[];
}

/** A collector. Disposing of it stops its server. */
export interface OtlpCollector extends AsyncDisposable {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** The metrics as of the latest export, by name. */
  readonly metrics: Map<string, ReceivedMetric>;
  /** All that was received, as text: to look for secrets. */
  readonly texts: string[];
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

function attributesOf(list: readonly Attribute[] = []): Record<string, Value> {
  return Object.fromEntries(list.map(({ key, value }) => {
    const { stringValue, intValue, doubleValue, boolValue } = value;
    const number = intValue ?? doubleValue;
    return [key, number === undefined ? (stringValue ?? boolValue) as Value : Number(number)];
  }));
}

/** Starts a collector on a free port. */
export function startOtlpCollector(): OtlpCollector {
  const spans: ReceivedSpan[] = [];
  const metrics = new Map<string, ReceivedMetric>();
  const texts: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const text = await request.text();
    texts.push(text);
    const body = JSON.parse(text);
    for (const { scopeSpans } of body.resourceSpans ?? []) {
      for (const { scope, spans: received } of scopeSpans) {
        for (const span of received) {
          const { name, kind, traceId, spanId, parentSpanId, status, startTimeUnixNano, endTimeUnixNano } = span;
          const durationMs = Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6;
          const attributes = attributesOf(span.attributes);
          spans.push({
            ...{ scope: scope.name, name, kind, traceId, spanId, parentSpanId },
            ...{ status: status?.code ?? 0, durationMs, attributes },
          });
        }
      }
    }
    for (const { scopeMetrics } of body.resourceMetrics ?? []) {
      for (const { scope, metrics: received } of scopeMetrics) {
        for (const { name, unit, histogram, sum, gauge } of received) {
          const points = (histogram ?? sum ?? gauge).dataPoints.map((point: Record<string, unknown>) => ({
            attributes: attributesOf(point.attributes as Attribute[]),
            count: Number(point.count ?? 1),
            sum: Number(point.sum ?? point.asInt ?? point.asDouble ?? 0),
          }));
          metrics.set(name, { scope: scope.name, name, unit, points });
        }
      }
    }
    return Response.json({});
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    spans,
    metrics,
    texts,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
