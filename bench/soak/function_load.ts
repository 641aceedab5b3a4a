/**
 * Callers of the functions, through the gateway.
 *
 * @module
 */
import type { Stack } from "../../local/mod.ts";
import type { Counted, User } from "./worker.ts";

/** Running callers. */
export interface FunctionLoad {
  readonly counted: Readonly<Record<string, Counted>>;
  /** Stops the callers and waits for their requests. */
  stop(): Promise<void>;
}

/** The part of requests whose client disconnects. */
const DISCONNECTED = 0.15;
const MAX_DISCONNECT_MS = 60;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A request to a function. */
interface Call {
  readonly path: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly isPublic?: boolean;
}

const CALLS: Readonly<Record<string, Call>> = {
  "lists of budgets": { path: "/budgets?limit=20" },
  "new budgets": { path: "/budgets", method: "POST", body: { name: "soak" } },
  "lists of templates": { path: "/templates", isPublic: true },
  "health probes": { path: "/budgets/health/pool", isPublic: true },
};

/**
 * Calls the functions until {@linkcode FunctionLoad.stop}.
 *
 * @param users Returns the users with valid tokens.
 * @param callers The callers of each kind of request.
 */
export function callFunctions(stack: Stack, users: () => readonly User[], callers: number): FunctionLoad {
  const counted: Record<string, Counted> = {};
  let running = true;
  let next = 0;

  const send = async ({ path, method = "GET", body, isPublic }: Call, signal: AbortSignal): Promise<void> => {
    const token = users()[next++ % users().length]?.token ?? "";
    const response = await fetch(`${stack.url}/functions/v1${path}`, {
      method,
      headers: {
        apikey: stack.publishableKey,
        ...isPublic ? {} : { authorization: `Bearer ${token}` },
        ...body === undefined ? {} : { "content-type": "application/json" },
      },
      ...body === undefined ? {} : { body: JSON.stringify(body) },
      signal,
    });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${method} ${path} responded ${response.status}`);
  };

  const loops = Object.entries(CALLS).flatMap(([title, call]) => {
    const count: Counted = counted[`${title}, from functions`] = { sent: 0, failed: 0 };
    return Array.from({ length: callers }, async () => {
      while (running) {
        const controller = new AbortController();
        const timer = Math.random() < DISCONNECTED
          ? setTimeout(() => controller.abort(), Math.random() * MAX_DISCONNECT_MS)
          : undefined;
        count.sent++;
        try {
          await send(call, controller.signal);
        } catch {
          if (!controller.signal.aborted) count.failed++;
          await pause(50);
        } finally {
          clearTimeout(timer);
        }
        await pause(Math.random() * 60);
      }
    });
  });
  return {
    counted,
    stop: async () => {
      running = false;
      await Promise.all(loops);
    },
  };
}
