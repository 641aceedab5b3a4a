/**
 * Sends alerts to a webhook.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type Clock, messageOf, systemClock, timeoutSignal } from "../../resilience/mod.ts";
import type { AlertEvent } from "./notifier.ts";

/** Options for {@linkcode AlertWebhook}. */
export interface AlertWebhookOptions {
  /** The URL, which must be https. */
  readonly url: string;
  /** The secret that signs each request. */
  readonly secret: string;
  /** Sends the requests. Default: the global `fetch`. */
  readonly fetch?: typeof fetch | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** The longest time of one attempt, in ms. */
const TIMEOUT_MS = 5_000;
/** The pauses before the second, third and fourth attempt, in ms. */
const PAUSES_MS: readonly number[] = [1_000, 4_000, 16_000];

/** Returns the HMAC-SHA256 of `text`, in hexadecimal digits. */
async function sign(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends alerts to an https URL as JSON, signed like the webhooks of Stripe: `X-Pool-Signature` is
 * `t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">`. A request that fails is sent again after 1, 4 and 16 s, with the
 * same `Idempotency-Key`. Redirects are not followed.
 *
 * @example
 * ```ts
 * const webhook = new AlertWebhook({ url: "https://alerts.example.com/pool", secret: "at least 16 characters" });
 * ```
 */
export class AlertWebhook {
  readonly #options: AlertWebhookOptions;
  readonly #fetch: typeof fetch;
  readonly #clock: Clock;

  /** @throws {TypeError} if the URL is not https, or the secret is shorter than 16 characters. */
  constructor(options: AlertWebhookOptions) {
    if (URL.parse(options.url)?.protocol !== "https:") {
      throw new TypeError("Cannot send alerts: the URL of the webhook must be https");
    }
    if (options.secret.length < 16) {
      throw new TypeError("Cannot send alerts: the secret of the webhook must have at least 16 characters");
    }
    this.#options = options;
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Sends an alert.
   *
   * @throws {Error} if no attempt succeeded. The message holds neither the URL nor the secret. Its member `retry` is
   * `permanent` if the webhook rejects the alert, and `transient` otherwise.
   */
  async send(alert: AlertEvent): Promise<void> {
    const body = JSON.stringify({ version: 1, event: `alert.${alert.kind}`, ...alert });
    let reason = await this.#attempt(alert, body);
    for (const pauseMs of PAUSES_MS) {
      if (reason === undefined || reason.isFinal) break;
      await new Promise<void>((resolve) => this.#clock.setTimer(resolve, pauseMs));
      reason = await this.#attempt(alert, body);
    }
    if (reason === undefined) return;
    const error = new Error(`Cannot send the alert to the webhook: ${reason.text}`);
    throw Object.assign(error, { retry: reason.isFinal ? "permanent" : "transient" });
  }

  /** Returns why the attempt failed, if it did. */
  async #attempt(
    { rule, function: of, kind, atMs }: AlertEvent,
    body: string,
  ): Promise<{ readonly text: string; readonly isFinal: boolean } | undefined> {
    const { url, secret } = this.#options;
    using timeout = timeoutSignal(TIMEOUT_MS, this.#clock, () => new Error(`no response within ${TIMEOUT_MS} ms`));
    try {
      const seconds = Math.floor(Date.now() / 1_000);
      const sent = this.#fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "idempotency-key": `${rule}-${of}-${kind}-${atMs}`,
          "x-pool-signature": `t=${seconds},v1=${await sign(secret, `${seconds}.${body}`)}`,
        },
        body,
        redirect: "manual",
        signal: timeout.signal,
      });
      // A fetch of the program may ignore its signal.
      const response = await abortable(sent, timeout.signal);
      // Its status is all that counts: a body that fails, or does not end, is no failure.
      response.body?.cancel().catch(() => {});
      if (response.ok) return undefined;
      const isFinal = response.status < 500 && response.status !== 429 && response.status !== 408;
      return { text: `it responded ${response.status}`, isFinal };
    } catch {
      // The message of a failed request names its URL, which may hold a token.
      const text = timeout.signal.aborted ? messageOf(timeout.signal.reason) : "it cannot be reached";
      return { text, isFinal: false };
    }
  }
}
