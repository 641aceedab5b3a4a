/**
 * The data of the page: one poll of the project serves every page that is open.
 *
 * @module
 */
import { ALL, History, type Point } from "./history.ts";
import type { AlertRow, FunctionRow, IsolateRow, SlowRow } from "./snapshot.ts";
import type { Health, Poll, Upstream } from "./upstream.ts";

/** The data of the page. */
export interface PageData {
  /** The host of the project. */
  readonly target: string;
  /** The instant of the poll, in ms since 1970. */
  readonly polledAtMs: number;
  /** The time that the poll took, in ms. */
  readonly tookMs: number;
  /** `ok`: everything was read. `partial`: something is missing. `down`: nothing could be read. */
  readonly state: "ok" | "partial" | "down";
  /** False if the fleet could not be read: its lists are empty then, and its figures unknown rather than 0. */
  readonly isKnown: boolean;
  /** The kind of the store; empty if it is not known. */
  readonly store: string;
  /** The parts that are missing, in words. */
  readonly missing: readonly string[];
  readonly health: Health | null;
  readonly functions: readonly FunctionRow[];
  readonly isolates: readonly IsolateRow[];
  readonly slowRequests: readonly SlowRow[];
  readonly alerts: readonly AlertRow[];
  /** The function that `history` is about; empty for all of them. */
  readonly selected: string;
  /** The latest minutes, oldest first. */
  readonly history: readonly Point[];
}

/** Options for {@linkcode Feed}. */
export interface FeedOptions {
  /** The time for which a poll is shown, in ms. Default: 2,000. */
  readonly intervalMs?: number | undefined;
  /** Returns the time in ms since 1970. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** Polls a project while pages ask for its data: at most once per interval, and never twice at a time. */
export class Feed {
  readonly #upstream: Pick<Upstream, "url" | "poll">;
  readonly #intervalMs: number;
  readonly #now: () => number;
  readonly #history = new History();
  #latest: { readonly atMs: number; readonly poll: Poll } | undefined;
  #polling: Promise<void> | undefined;

  constructor(upstream: Pick<Upstream, "url" | "poll">, { intervalMs = 2_000, now = Date.now }: FeedOptions = {}) {
    this.#upstream = upstream;
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

  /** Returns the data of the page, at most one interval old. */
  async read(selected: string = ALL): Promise<PageData> {
    const ageMs = this.#latest === undefined ? Infinity : this.#now() - this.#latest.atMs;
    // A clock that was set back counts as well.
    if (ageMs >= this.#intervalMs || ageMs < 0) await (this.#polling ??= this.#poll());
    return this.#pageOf(selected);
  }

  async #poll(): Promise<void> {
    try {
      const atMs = this.#now();
      const poll = await this.#upstream.poll();
      if (poll.snapshot?.isKnown) this.#history.add(atMs, poll.snapshot);
      this.#latest = { atMs, poll };
    } finally {
      this.#polling = undefined;
    }
  }

  #pageOf(selected: string): PageData {
    const { atMs = 0, poll } = this.#latest ?? {};
    const { snapshot, health, metrics, missing = [], tookMs = 0 } = poll ?? {};
    const lacks = [...missing, ...snapshot?.missing ?? []];
    const isDown = !snapshot && !health && !metrics;
    return {
      target: new URL(this.#upstream.url).host,
      polledAtMs: atMs,
      tookMs,
      state: isDown ? "down" : lacks.length > 0 ? "partial" : "ok",
      isKnown: snapshot?.isKnown ?? false,
      store: snapshot?.store ?? "",
      missing: lacks,
      health: health ?? null,
      functions: snapshot?.functions ?? [],
      isolates: snapshot?.isolates ?? [],
      slowRequests: snapshot?.slowRequests ?? [],
      alerts: snapshot?.alerts ?? [],
      selected,
      history: this.#history.of(selected),
    };
  }
}
