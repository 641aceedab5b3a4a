/**
 * Faults that are put into monitors and tracing on purpose, to see a test fail.
 *
 * @module
 */
import type { Mutation } from "../../support/mutations.ts";

const MONITOR = "observability/monitors/connection_monitor.ts";
const COUNTERS = "observability/monitors/connection_health_monitor.ts";
const CHECKS = "observability/monitors/service_health.ts";
const SOURCES = "observability/monitors/health_sources.ts";
const SLOW = "observability/tracing/slow_requests.ts";
const POOL_LOG = "observability/tracing/pool_log.ts";
const REQUESTS = "observability/tracing/otel/request_tracer.ts";
const STATEMENTS = "observability/tracing/otel/statement_tracer.ts";
const NAMES = "observability/tracing/otel/operation_name.ts";
const METER = "observability/tracing/otel/pool_meter.ts";
const CORRELATION = "observability/log/correlation.ts";
const EVENTS = "observability/monitors/monitor_events.ts";
const SAFELY = "observability/tracing/otel/safely.ts";
const LINK = "http/tracing/tracing_link.ts";
const POOL_EVENTS = "http/logging/pool_events.ts";
const TIMING = "http/responses/response_headers.ts";
const LOG = "observability/log/structured_log.ts";
const BUDGET = "observability/log/log_budget.ts";
const DATA = "observability/log/plain_data.ts";
const ERRORS = "observability/log/describe_error.ts";
const TEXTS = "observability/log/redact.ts";

/** Faults of monitors and tracing, each of which the tests of both catch. */
export const TRACING_MUTATIONS: readonly Mutation[] = [
  {
    file: CHECKS,
    find: "    if (this.#pending) return",
    replace: "    if (this.#pending && timeoutMs < 0) return",
    what: "a check begins while the one before it hangs",
  },
  {
    file: CHECKS,
    find: "tookMs >= timeoutMs * FROZEN_FACTOR",
    replace: "tookMs < 0",
    what: "a check that was frozen is a failure",
  },
  {
    file: CHECKS,
    find: "if (this.#history.push(health) > this.#bounds.historySize) this.#history.shift();",
    replace: "this.#history.push(health);",
    what: "the history grows without end",
  },
  {
    file: CHECKS,
    find: "...(error && { error: describeError(error).error }),",
    replace: "...(error && { error: error.message }),",
    what: "the health of a service shows credentials",
  },
  {
    file: CHECKS,
    find: "- this.#latestMs > maxAgeMs;",
    replace: "- this.#latestMs > Infinity;",
    what: "what was known before a freeze counts after it",
  },
  {
    file: MONITOR,
    find: "    if (this.#isStarted) this.#timer ??= ",
    replace: "    this.#timer ??= ",
    what: "a monitor that was stopped goes on",
  },
  {
    file: MONITOR,
    find: "    if (this.#watched.get(name)?.checks !== checks) return;\n",
    replace: "",
    what: "a service that was removed emits events",
  },
  {
    file: MONITOR,
    find: "    watched.primary = after ?? before;\n",
    replace: "    watched.primary = after;\n",
    what: "a failover of two steps is not emitted",
  },
  {
    file: MONITOR,
    find: "    for (const { subscriptions } of this.#watched.values()) unsubscribe(subscriptions);\n",
    replace: "",
    what: "a monitor that was stopped keeps its listeners",
  },
  {
    file: MONITOR,
    find: "    return all.length > 0 && all.every(",
    replace: "    return all.every(",
    what: "a monitor without services is healthy",
  },
  {
    file: SOURCES,
    find: "      if (services.get(name) === service) services.delete(name);",
    replace: "      services.delete(name);",
    what: "the end of a service removes the one that has replaced it",
  },
  {
    file: COUNTERS,
    find: "metrics.waitingRequests > MANY_WAITING",
    replace: "metrics.waitingRequests >= MANY_WAITING",
    what: "10 waiting requests are too many",
  },
  {
    file: COUNTERS,
    find: "    this.stopMonitoring();\n    const tick",
    replace: "    const tick",
    what: "a monitor that is started twice prints twice",
  },
  {
    file: COUNTERS,
    find: "message: describeError(error).error,",
    replace: "message: String((error as Error)?.message),",
    what: "the latest error shows credentials",
  },
  {
    file: SLOW,
    find: "    if (this.#kept.length === this.#size) this.#kept.pop();\n",
    replace: "",
    what: "the list of slow requests grows without end",
  },
  {
    file: SLOW,
    find: "this.#kept.filter(({ untilMs }) => untilMs > nowMs)",
    replace: "this.#kept",
    what: "a slow request stays for ever",
  },
  {
    file: POOL_LOG,
    find: '    if (event === "connection_released") owners.delete(leaseId);\n',
    replace: '    if (event === "connection_acquired") owners.delete(leaseId);\n',
    what: "the release of a lease loses the id of its request",
  },
  {
    file: POOL_LOG,
    find: 'this.#logsLeases = log.isWritten("debug") && sample > 0;',
    replace: "this.#logsLeases = sample > 0;",
    what: "events are created that no line is written for",
  },
  {
    file: POOL_LOG,
    find: "    if (!(owner ? owner.isSampled : this.#isSampled(String(leaseId)))) return;\n",
    replace: "",
    what: "the sample is ignored",
  },
  {
    file: POOL_LOG,
    find: 'this.#log.error("connection_error", { data, error: memberOf(event, "error"), perSecond: ERROR_LINES });',
    replace: 'this.#log.error("connection_error", { data, error: memberOf(event, "error") });',
    what: "one outage fills the log",
  },
  {
    file: REQUESTS,
    find: 'if (typeof traceparent !== "string" || traceIdOf(traceparent) === undefined) return undefined;',
    replace: 'if (typeof traceparent !== "string") return undefined;',
    what: "a hostile traceparent is continued",
  },
  {
    file: REQUESTS,
    find: "    return traceHeaders(carrier.traceparent, carrier.tracestate);",
    replace: "    return carrier as Record<string, string>;",
    what: "baggage reaches the project",
  },
  {
    file: REQUESTS,
    find: "if (!spanContext || !isSpanContextValid(spanContext)) {",
    replace: "if (!spanContext) {",
    what: "responses have an id of zeros when no provider is registered",
  },
  {
    file: STATEMENTS,
    find: "await (begun ? runIn(this.#api, begun.active, run) : run())",
    replace: "await run()",
    what: "statements are not below their transaction",
  },
  {
    file: STATEMENTS,
    find: "record(seconds(times.waitedMs + times.connectMs + times.executionMs), measured)",
    replace: "record(seconds(times.executionMs), measured)",
    what: "the duration of an operation leaves its wait out",
  },
  {
    file: STATEMENTS,
    find: "    safely(() => span.end());\n",
    replace: "",
    what: "the span of a statement never ends",
  },
  {
    file: NAMES,
    find: 'return COMMANDS.has(command) ? command : "OTHER";',
    replace: "return command;",
    what: "a span carries words of a text",
  },
  {
    file: METER,
    find: "        if (this.#pools.get(name) === pool) this.#end(name);\n",
    replace: "        this.#end(name);\n",
    what: "the end of a pool ends the metrics of the one that has replaced it",
  },
  {
    file: CORRELATION,
    find: "  ids.set(request, isChosen ?? traceId);",
    replace: "  ids.set(request, traceId);",
    what: "an id that the caller chose is lost when a request is traced",
  },
  {
    file: COUNTERS,
    find: "metrics.errors > MANY_ERRORS",
    replace: "metrics.errors >= MANY_ERRORS",
    what: "5 errors are too many",
  },
  {
    file: COUNTERS,
    find: "startMonitoring(interval: number = 30_000)",
    replace: "startMonitoring(interval: number = 60_000)",
    what: "a pool is counted every minute only",
  },
  {
    file: COUNTERS,
    find: "`Pool ${name} metrics:`, metrics",
    replace: "`Pool ${name} metrics`, metrics",
    what: "a text of the specification has another form",
  },
  {
    file: COUNTERS,
    find: "High number of waiting requests in ${name} pool: ${metrics.waitingRequests}",
    replace: "High number of waiting requests in ${name}: ${metrics.waitingRequests}",
    what: "a warning has another form than that of the specification",
  },
  {
    file: COUNTERS,
    find: "High number of errors in ${name} pool: ${metrics.errors}",
    replace: "High number of errors in the pool ${name}: ${metrics.errors}",
    what: "an error has another form than that of the specification",
  },
  {
    file: COUNTERS,
    find: "      observe(() => this.#report(), () => {});",
    replace: "      this.#report();",
    what: "what a console throws ends the isolate",
  },
  {
    file: COUNTERS,
    find: "observe(() => this.updateMetrics(), (error) => this.recordError(error));",
    replace: "observe(() => this.updateMetrics(), () => {});",
    what: "a pool that cannot be counted has no error",
  },
  {
    file: COUNTERS,
    find: "    this.metrics.errors++;\n",
    replace: "    this.metrics.errors = 1;\n",
    what: "errors are not counted",
  },
  {
    file: COUNTERS,
    find: "this.metrics.waitingRequests = this.pool.waitingCount;",
    replace: "this.metrics.waitingRequests = this.pool.idleCount;",
    what: "waiting requests are those of another counter",
  },
  {
    file: SOURCES,
    find: "      if (prioritySource === source) prioritySource = undefined;",
    replace: "      prioritySource = undefined;",
    what: "the end of pools by priority removes those that have replaced them",
  },
  {
    file: SOURCES,
    find: "?? NO_COUNTS",
    replace: "as PoolCounts",
    what: "a pool that was not used cannot be counted",
  },
  {
    file: CHECKS,
    find: "healthy === true ? {}",
    replace: "healthy ? {}",
    what: "a response that says no in words is healthy",
  },
  {
    file: CHECKS,
    find: "  } catch {\n    return new Error(otherwise);\n  }\n",
    replace: "  } finally {\n    // nothing\n  }\n",
    what: "a rejection without a text ends the monitoring",
  },
  {
    file: CHECKS,
    find: "timeoutSignal(timeoutMs, clock,",
    replace: "timeoutSignal(Infinity, clock,",
    what: "a check has no deadline",
  },
  {
    file: MONITOR,
    find: "if (health.status !== previousHealth.status) this.#emitter",
    replace: "this.#emitter",
    what: "a health that has not changed is a change",
  },
  {
    file: MONITOR,
    find: 'else if (previousHealth.status === "unhealthy" && health.status === "healthy")',
    replace: "else",
    what: "each check is a recovery",
  },
  {
    file: MONITOR,
    find: "return this.#checking ??= ",
    replace: "return this.#checking = ",
    what: "checks of a service overlap",
  },
  {
    file: MONITOR,
    find: "    if (joined && [...",
    replace: "    if (false && joined && [...",
    what: "a service that was added during a check is not checked",
  },
  {
    file: MONITOR,
    find: "    if (isActive) listener(event);",
    replace: "    listener(event);",
    what: "an emitter that keeps listeners is listened to twice",
  },
  {
    file: MONITOR,
    find: "subscription === service ? undefined : memberOf",
    replace: "memberOf",
    what: "an emitter that returns itself is disposed of",
  },
  {
    file: MONITOR,
    find: "intervalMs = 30_000, timeoutMs = 5_000, historySize",
    replace: "intervalMs = 60_000, timeoutMs = 5_000, historySize",
    what: "services are checked every minute only",
  },
  {
    file: MONITOR,
    find: "const maxAgeMs = this.#isStarted ? ",
    replace: "const maxAgeMs = this.#isStarted ? 10 * ",
    what: "what was known long ago counts",
  },
  {
    file: EVENTS,
    find: "        if (once) this.#remove(name, entry);\n",
    replace: "",
    what: "a listener of one event gets them all",
  },
  {
    file: EVENTS,
    find: "observe(() => call(...args as never), () => {});",
    replace: "call(...args as never);",
    what: "a listener that throws keeps the event from the others",
  },
  {
    file: SLOW,
    find: "Math.min(Math.trunc(size), MAX_SIZE)",
    replace: "Math.min(size, MAX_SIZE)",
    what: "a fraction as the size lets the list grow without end",
  },
  {
    file: POOL_LOG,
    find: "    if (!this.#logsLeases) return;\n",
    replace: "",
    what: "requests are kept although no line needs them",
  },
  {
    file: POOL_LOG,
    find: "isSampled: this.#isSampled(id) }",
    replace: "isSampled: this.#isSampled(String(leaseId)) }",
    what: "the leases of one request are sampled one by one",
  },
  {
    file: POOL_LOG,
    find: "fractionOf(key) < this.#sample",
    replace: "fractionOf(key) > this.#sample",
    what: "the sample is the rest",
  },
  {
    file: POOL_LOG,
    find: 'healthy ? "debug" : "warn"',
    replace: '"debug"',
    what: "a failed health check is not worth a warning",
  },
  {
    file: REQUESTS,
    find: "    return safely(() => this.#begin(request));",
    replace: "    return this.#begin(request);",
    what: "a provider that throws fails requests",
  },
  {
    file: REQUESTS,
    find: "    safely(() => this.#describe(span, timed));\n    safely(() => span.end());",
    replace: "    this.#describe(span, timed);\n    span.end();",
    what: "a span that cannot be described does not end",
  },
  {
    file: REQUESTS,
    find: ": safely(() => this.#headersOf(context.active()))",
    replace: ": this.#headersOf(context.active())",
    what: "a propagator that throws fails calls",
  },
  {
    file: REQUESTS,
    find: "      safely(() => span.end());\n      return undefined;",
    replace: "      return undefined;",
    what: "a span without a context does not end",
  },
  {
    file: REQUESTS,
    find: "tracestate.length <= MAX_TRACESTATE && ",
    replace: "",
    what: "a tracestate may be of any length",
  },
  {
    file: STATEMENTS,
    find: "safely(() => this.#begin(summaryOf(operation), attributes))",
    replace: "this.#begin(summaryOf(operation), attributes)",
    what: "a provider that throws fails statements",
  },
  {
    file: STATEMENTS,
    find: "    safely(() => this.#describe(span, times, errorType));",
    replace: "    this.#describe(span, times, errorType);",
    what: "a span that cannot be described fails a statement that has run",
  },
  {
    file: STATEMENTS,
    find: "/^(?=.*\\d)[\\dA-Z]{5}$/",
    replace: "/^[\\dA-Z]{5}$/",
    what: "a code of the system is a SQLSTATE",
  },
  {
    file: STATEMENTS,
    find: "this.#errorTypes.has(errorType) ? errorType : OTHER_ERROR",
    replace: "errorType",
    what: "codes of errors make series without end",
  },
  {
    file: SAFELY,
    find: "    if (outcome) return;\n",
    replace: "",
    what: "work runs twice",
  },
  {
    file: SAFELY,
    find: "  once();\n  if",
    replace: "  if",
    what: "work that no context manager runs is lost",
  },
  {
    file: METER,
    find: "  safely(() => histogram.record(seconds(ms), attributes));",
    replace: "  histogram.record(seconds(ms), attributes);",
    what: "a histogram that throws is an error of the pool",
  },
  {
    file: LINK,
    find: "    } catch (error) {\n      onFailed(messageOf(error));\n    }",
    replace: "    } finally {\n      // nothing\n    }",
    what: "requests fail where no API is installed",
  },
  {
    file: LINK,
    find: "    }, (error) => this.#onFailed?.(messageOf(error)));",
    replace: "    }, () => {});",
    what: "it is not said that a pool cannot be reported",
  },
  {
    file: POOL_EVENTS,
    find: '    } catch (error) {\n      this.#log.warn("connection_log_unavailable", { error });\n    }',
    replace: "    } finally {\n      // nothing\n    }",
    what: "requests fail where the log of connections cannot be loaded",
  },
  {
    file: TIMING,
    find: 'listed.replace(STAMP, "").match(METRIC) ?? []',
    replace: 'listed.replace(STAMP, "").split(",")',
    what: "a comma in a description ends a metric",
  },
  {
    file: CORRELATION,
    find: "(-[^,]*)?$/",
    replace: "(-.*)?$/",
    what: "two headers traceparent are one",
  },
  {
    file: POOL_LOG,
    find: "    if (this.#log.suppress()) return;\n",
    replace: "",
    what: "lines that are beyond the limit of the log are put together",
  },
  {
    file: SAFELY,
    find: "    if (isPromiseLike(result)) result.then(undefined, ignore);\n",
    replace: "",
    what: "a provider whose export is rejected ends the isolate",
  },
];

/** Faults of the log, each of which its tests catch. */
export const LOG_MUTATIONS: readonly Mutation[] = [
  {
    file: BUDGET,
    find: "const MAX_LINES = 100;",
    replace: "const MAX_LINES = 200;",
    what: "the log has more lines than the platform takes",
  },
  {
    file: BUDGET,
    find: "const LIMIT_MS = 10_000;",
    replace: "const LIMIT_MS = 5_000;",
    what: "the log has its lines back too early",
  },
  {
    file: BUDGET,
    find: "* (MAX_LINES / 2) / LIMIT_MS",
    replace: "* MAX_LINES / LIMIT_MS",
    what: "the log has its lines back twice as fast",
  },
  {
    file: BUDGET,
    find: "this.#suppressed > 0 ? 2 : 1",
    replace: "1",
    what: "the line that counts the suppressed ones is not counted",
  },
  {
    file: BUDGET,
    find: "    this.#suppressed++;\n",
    replace: "",
    what: "suppressed lines are not counted",
  },
  {
    file: BUDGET,
    find: "    this.#suppressed = 0;\n",
    replace: "",
    what: "suppressed lines are counted again",
  },
  {
    file: BUDGET,
    find: "Math.min(this.#lines + refilled, MAX_LINES / 2)",
    replace: "this.#lines + refilled",
    what: "a quiet time saves lines",
  },
  {
    file: BUDGET,
    find: "nowMs - track.fromMs >= WINDOW_MS",
    replace: "nowMs - track.fromMs > WINDOW_MS",
    what: "the second of a cause is longer",
  },
  {
    file: BUDGET,
    find: "if (this.#tracks.size >= MAX_TRACKED) this.#tracks.clear();",
    replace: "",
    what: "causes are kept without end",
  },
  {
    file: BUDGET,
    find: "    const count = 1 + track.suppressed;",
    replace: "    const count = 1;",
    what: "a line does not say what it stands for",
  },
  {
    file: LOG,
    find: "export const MAX_LINE_LENGTH = 10_000;",
    replace: "export const MAX_LINE_LENGTH = 100_000;",
    what: "a line is longer than the platform takes",
  },
  {
    file: LOG,
    find: "    if (suppressed > 0) this.#emit(",
    replace: "    if (suppressed < 0) this.#emit(",
    what: "it is not said how many lines were not written",
  },
  {
    file: LOG,
    find: "if (!bySink) budgets.set(clock, bySink = new WeakMap());",
    replace: "bySink = new WeakMap();",
    what: "logs of one sink have a budget each",
  },
  {
    file: LOG,
    find: "    if (!this.isWritten(level)) return;\n",
    replace: "",
    what: "a level that is not written is written",
  },
  {
    file: LOG,
    find: '      if (this.#take()) this.#emit(level, "log_failed"',
    replace: '      this.#emit(level, "log_failed"',
    what: "entries that cannot be read are beyond the budget",
  },
  {
    file: LOG,
    find: "    observe(() => this.#sink(line), () => {});",
    replace: "    this.#sink(line);",
    what: "what a sink throws fails the request",
  },
  {
    file: LOG,
    find: 'typeof count === "number" && ',
    replace: "",
    what: "a count that is no number makes a line too long",
  },
  {
    file: LOG,
    find: 'const parts = [event, codeOf(error), textOf(error, "name")];',
    replace: "const parts = [event];",
    what: "errors with different codes are one cause",
  },
  {
    file: LOG,
    find: "return cut(String(text), MAX_LABEL_LENGTH);",
    replace: "return String(text);",
    what: "a correlation id may be of any length",
  },
  {
    file: LOG,
    find: "cut(String(event), MAX_LABEL_LENGTH)",
    replace: "String(event)",
    what: "an event may be of any length",
  },
  {
    file: LOG,
    find: "    printableJson(JSON.stringify(",
    replace: "    (JSON.stringify(",
    what: "a line may affect a terminal",
  },
  {
    file: LOG,
    find: "    if (!Object.hasOwn(SEVERITY, level)) {",
    replace: "    if (SEVERITY[level] === undefined && false) {",
    what: "a log of an unknown level writes nothing",
  },
  {
    file: DATA,
    find: 'if (depth >= MAX_DEPTH) return "[deeper]";',
    replace: "",
    what: "data of any depth is read",
  },
  {
    file: DATA,
    find: 'if (left-- <= 0) return "[more]";',
    replace: "",
    what: "data of any size is read",
  },
  {
    file: DATA,
    find: 'HIDDEN.test(name) ? "[hidden]" : ',
    replace: "",
    what: "members named like secrets are shown",
  },
  {
    file: DATA,
    find: "      if (Array.isArray(value)) return copyItems(value, depth);",
    replace: "      if (Array.isArray(value)) return value.slice(0, MAX_MEMBERS).map((item) => copy(item, depth + 1));",
    what: "a list answers by methods of its own",
  },
  {
    file: DATA,
    find: "  const { getTime, toISOString } = Date.prototype;",
    replace: "  const { getTime, toISOString } = date;",
    what: "a date answers by methods of its own",
  },
  {
    file: DATA,
    find: "      if (!Object.hasOwn(value, name)) continue;\n",
    replace: "",
    what: "inherited members are shown",
  },
  {
    file: ERRORS,
    find: "QUOTES_VALUES.test(code)) return withoutQuotes(message)",
    replace: "QUOTES_VALUES.test(code)) return (message)",
    what: "values that Postgres quotes are shown",
  },
  {
    file: TEXTS,
    find: "  let clean = cut(text);",
    replace: "  let clean = text;",
    what: "a text of any length is searched",
  },
  {
    file: TEXTS,
    find: '    if (secret !== "") clean = clean.replaceAll(secret, "[secret]");',
    replace: "",
    what: "known secrets are shown",
  },
  {
    file: LOG,
    find: "      if (count !== undefined) this.#throttle.suppress(key, count);\n",
    replace: "",
    what: "what a line stands for is lost while the budget is used up",
  },
  {
    file: DATA,
    find: "value < MAX_INTEGER && value > -MAX_INTEGER",
    replace: "value <= MAX_INTEGER && value >= -MAX_INTEGER",
    what: "an integer of 101 digits is shown",
  },
];

/** All of them. */
export const MUTATIONS: readonly Mutation[] = [...TRACING_MUTATIONS, ...LOG_MUTATIONS];
