/**
 * Faults of the fleet and its alerts, each of which a test must catch.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

/** The faults, in files of `shared/`. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "observability/fleet/reporter.ts",
    find: "this.#dueAt = this.#clock.now() + intervalMs;",
    replace: "this.#dueAt = this.#clock.now();",
    what: "an isolate reports after every response",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: "this.#tally.restore(interval);",
    replace: "",
    what: "the counts of a report that was not stored are lost",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: 'this.#stop("stopped");',
    replace: "",
    what: "an isolate without the migration goes on reporting",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: "return await abortable(call(signal), signal);",
    replace: "return await call(signal);",
    what: "a store that ignores its signal stops the reports",
  },
  {
    file: "observability/fleet/summary.ts",
    find: "if (opened.length * 2 <= circuits.length) continue;",
    replace: "if (opened.length === 0) continue;",
    what: "one isolate with an open circuit opens it for new isolates",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "if (this.#clock.now() + nextMs >= this.#expiresAt) this.#apply(Math.min(share, cap));",
    replace: "",
    what: "an isolate keeps a share that Redis has passed on",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "this.#expiresAt = sentAt + this.#leaseMs;",
    replace: "this.#expiresAt = Infinity;",
    what: "a share never expires for its holder",
  },
  {
    file: "observability/fleet/times.ts",
    find: "const to = Math.min(TIME_BOUNDS_MS[index] ?? maxMs, maxMs);",
    replace: "const to = TIME_BOUNDS_MS[index] ?? maxMs;",
    what: "a percentile exceeds the longest time",
  },
  {
    file: "observability/fleet/parse.ts",
    find: 'return text(value).replace(/[^\\w./-]/g, "_") || "unknown";',
    replace: 'return text(value) || "unknown";',
    what: "a name has characters that break a line",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "(samples[index + 1]?.atMs ?? 0) - (samples[index]?.atMs ?? 0) <= MAX_GAP_MS &&",
    replace: "",
    what: "a clock that jumps raises an alert",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "const MISSES_TO_CLEAR = 4;",
    replace: "const MISSES_TO_CLEAR = 1;",
    what: "one sample clears an alert",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "if (value <= rule.above) return",
    replace: "if (value < rule.above) return",
    what: "a value at its threshold raises an alert",
  },
  {
    file: "observability/alerts/notifier.ts",
    find: "if (notice === undefined && raised === (before.get(`${rule} ${name}`) ?? false)) return;",
    replace: "",
    what: "a change that is not a turn is notified",
  },
  {
    file: "observability/alerts/webhook.ts",
    find: "isFinal = response.status < 500 &&",
    replace: "isFinal = response.status < 100 &&",
    what: "a request that the webhook rejects is sent again",
  },
  {
    file: "observability/fleet/reporter.ts",
    find:
      "const delayMs = Math.max(this.#dueAt - this.#clock.now(), 0);\n    this.#timer = this.#clock.setTimer(() => void this.#send(), delayMs);",
    replace:
      "if (this.#dueAt <= this.#clock.now()) return void this.#send();\n    const delayMs = this.#dueAt - this.#clock.now();\n    this.#timer = this.#clock.setTimer(() => void this.#send(), delayMs);",
    what: "a response waits until its report is written",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: "if (this.#failures === 0) this.#options.keepAlive?.(this.#sent.promise);",
    replace: "this.#options.keepAlive?.(this.#sent.promise);",
    what: "an isolate is kept for a store that fails",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: "return attempt(() => new TextEncoder().encode(JSON.stringify(value)).length) ?? Infinity;",
    replace: "return JSON.stringify(value).length;",
    what: "a report is measured in characters",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: "entries.sort(([, a], [, b]) => rank(a) - rank(b))",
    replace: "entries",
    what: "closed circuits replace open ones in a report",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: "this.#dueAt = this.#clock.now() + backoffMs;",
    replace: "this.#dueAt = this.#clock.now();",
    what: "a store that is down is asked after every response",
  },
  {
    file: "observability/fleet/reporter.ts",
    find: 'this.#sending?.abort(new Error("The isolate ends"));',
    replace: "",
    what: "the report under way outlives its isolate",
  },
  {
    file: "observability/fleet/summary.ts",
    find: "if (ageMs > CURRENT_MS) continue;",
    replace: "",
    what: "an old report opens a circuit",
  },
  {
    file: "observability/fleet/summary.ts",
    find: 'if ("forced" in circuit && circuit.forced) continue;',
    replace: "",
    what: "a circuit that an operator has forced opens elsewhere",
  },
  {
    file: "observability/fleet/data_api_store.ts",
    find: 'if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;',
    replace: "return json;",
    what: "garbage is the reply of a store",
  },
  {
    file: "observability/fleet/data_api_store.ts",
    find: 'return /^\\\\u(0000|d)/.test(escape) ? "\\uFFFD" : escape;',
    replace: "return escape;",
    what: "a report has characters that Postgres rejects",
  },
  {
    file: "observability/fleet/data_api_store.ts",
    find: "if (length > MAX_RESPONSE_BYTES)",
    replace: "if (length < 0)",
    what: "a response is read without a bound",
  },
  {
    file: "observability/fleet/data_api_store.ts",
    find: 'redirect: "manual",',
    replace: "",
    what: "a redirect gets the key",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "const nextMs = 2 * this.#leaseMs / 5;",
    replace: "const nextMs = this.#leaseMs / 5;",
    what: "a share is used after Redis has passed it on, while Redis is slow",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "const max = Math.max(1, Math.min(share, full.maxConnections));",
    replace: "const max = Math.min(share, full.maxConnections);",
    what: "an isolate may have no lease",
  },
  {
    file: "observability/fleet/cap.ts",
    find:
      "const share = this.#isolates === undefined ? 1 : Math.max(1, Math.floor(cap / Math.max(this.#isolates, 1)));",
    replace: "const share = cap;",
    what: "every isolate takes the whole cap while Redis is down",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "    this.#apply(1);\n    this.#waited",
    replace: "    this.#waited",
    what: "a cap begins once Redis has replied",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "      if (this.#isClosed) return;\n      this.#expiresAt",
    replace: "      this.#expiresAt",
    what: "a reply changes a pool whose cap is closed",
  },
  {
    file: "observability/fleet/redis_scripts.ts",
    find: "share > fair then share = math.max(fair, share - missing) end",
    replace: "share > fair then share = share end",
    what: "an isolate keeps what the others need",
  },
  {
    file: "observability/fleet/redis_scripts.ts",
    find: "local share = math.min(want, cap - others)",
    replace: "local share = math.min(want, cap)",
    what: "shares add up to more than the cap",
  },
  {
    file: "observability/fleet/redis_scripts.ts",
    find: "local held = math.min(active, own)",
    replace: "local held = 0",
    what: "leases that outlive their isolate are not counted",
  },
  {
    file: "observability/fleet/redis_scripts.ts",
    find: "(change.notice == 'sent' or notice == change.previousNoticeMs)",
    replace: "true",
    what: "several isolates send one notice",
  },
  {
    file: "observability/fleet/redis_scripts.ts",
    find: "if since == change.previousSinceMs and (",
    replace: "if (",
    what: "several isolates raise one alert",
  },
  {
    file: "observability/fleet/redis_scripts.ts",
    find: "if not known or (not state.raised and state.sinceMs < now - ${FORGET}) then",
    replace: "if not known then",
    what: "Redis keeps cleared alerts for ever",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "return MISSES_TO_CLEAR + Math.ceil(windowMs / STEP_MS);",
    replace: "return MISSES_TO_CLEAR;",
    what: "a clock that jumps clears an alert on the last five minutes",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "if (sample.atMs > nowMs) continue;",
    replace: "",
    what: "a sample of the future counts",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "if (heldMs !== undefined) return state.misses === 0 ? undefined : { ...base, raised: true, misses: 0 };",
    replace: "if (heldMs !== undefined) return undefined;",
    what: "misses that are not in a row clear an alert",
  },
  {
    file: "observability/alerts/evaluate.ts",
    find: "const isDue = heldMs !== undefined && heldMs >= rule.forMs;",
    replace: "const isDue = heldMs !== undefined;",
    what: "an alert is raised before its time",
  },
  {
    file: "observability/alerts/notices.ts",
    find: "Math.abs(nowMs - noticeMs) > RESEND_AFTER_MS",
    replace: "Math.abs(nowMs - noticeMs) >= 0",
    what: "a notice is sent while another isolate sends it",
  },
  {
    file: "observability/alerts/notices.ts",
    find: "Math.abs(nowMs - sinceMs) < GIVE_UP_AFTER_MS",
    replace: "true",
    what: "a notice is sent for ever",
  },
  {
    file: "observability/alerts/notifier.ts",
    find: 'if (memberOf(error, "retry") !== "permanent") return;',
    replace: "",
    what: "a notice is lost while the webhook is down",
  },
  {
    file: "observability/alerts/notifier.ts",
    find: "const overdue = this.#options.webhook ? overdueNotices(evaluation) : [];",
    replace: "const overdue: AlertChange[] = [];",
    what: "an alert is lost with the isolate that sends it",
  },
  {
    file: "observability/alerts/notifier.ts",
    find: "return await abortable(store.changeAlerts(changes, timeout.signal), timeout.signal);",
    replace: "return await store.changeAlerts(changes, timeout.signal);",
    what: "an evaluation waits for a store that hangs",
  },
  {
    file: "observability/alerts/webhook.ts",
    find: 'if (URL.parse(options.url)?.protocol !== "https:") {',
    replace: "if (false) {",
    what: "an alert is sent in the clear",
  },
  {
    file: "http/fleet/fleet_parts.ts",
    find: "close: () => redis.close()",
    replace: "close: () => {}",
    what: "the connection to Redis stays open",
  },
  {
    file: "http/fleet/fleet_parts.ts",
    find: "isolate: nth === 1 ? isolate : `${isolate.slice(0, 56)}-${nth}`,",
    replace: "isolate,",
    what: "two pools of an isolate use one share each",
  },
  {
    file: "http/fleet/fleet_link.ts",
    find: "      this.#parts?.watch(pool, limits);\n",
    replace: "",
    what: "a pool that is attached later keeps one lease",
  },
  {
    file: "http/fleet/fleet_link.ts",
    find: "const limits = isCapped ? holdBack(pool) : undefined;",
    replace: "const limits = isCapped ? pool.limits : undefined;",
    what: "the cap begins after the first requests",
  },
  {
    file: "http/fleet/fleet_link.ts",
    find: "!this.#hasServed || own[target] === undefined",
    replace: "true",
    what: "the fleet knows better than the isolate",
  },
  {
    file: "observability/fleet/cap.ts",
    find: "if (sentAt < this.#growsAt) want = Math.min(want, this.#share);",
    replace: "",
    what: "an isolate takes what others have, of a Redis that came back without data",
  },
];
