/**
 * The limits of the hosted runtime: memory, CPU time and wall clock of a process.
 *
 * @module
 */
import type { UnloadReason } from "./runtime/globals.ts";

/** The limits of a function's process. */
export interface Limits {
  /** Memory beyond that of an idle process, in MB. */
  readonly memoryMb: number;
  /** CPU time of the process, in ms. From half of it on, new requests get another process. */
  readonly cpuMs: number;
  /** Age of the process, in ms. From half of it on, new requests get another process. */
  readonly wallClockMs: number;
  /** Time until a response begins, in ms. */
  readonly idleMs: number;
}

/** The limits of hosted projects by plan. */
export const HOSTED_LIMITS: Readonly<Record<"free" | "paid", Limits>> = {
  free: { memoryMb: 256, cpuMs: 2_000, wallClockMs: 150_000, idleMs: 150_000 },
  paid: { memoryMb: 256, cpuMs: 2_000, wallClockMs: 400_000, idleMs: 150_000 },
};

/** The resources that a process has used. */
export interface Usage {
  /** Resident memory, in MB. */
  readonly memoryMb: number;
  /** CPU time of the thread that runs JavaScript, in ms. */
  readonly cpuMs: number;
}

const PAGE_MB = 4_096 / 2 ** 20;
const TICK_MS = 10;

/** Returns the resources that process `pid` has used; `undefined` if it has exited. */
export async function usageOf(pid: number): Promise<Usage | undefined> {
  if (Deno.build.os === "linux") {
    try {
      const [memory, thread] = await Promise.all([
        Deno.readTextFile(`/proc/${pid}/statm`),
        Deno.readTextFile(`/proc/${pid}/task/${pid}/stat`),
      ]);
      // The name, in parentheses, may contain spaces and parentheses.
      const fields = thread.slice(thread.lastIndexOf(")") + 2).split(" ");
      return {
        memoryMb: Number(memory.split(" ")[1]) * PAGE_MB,
        cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
      };
    } catch {
      return undefined;
    }
  }
  const ps = new Deno.Command("ps", { args: ["-o", "rss=,time=", "-p", String(pid)], stderr: "null" });
  const { success, stdout } = await ps.output();
  const [, kilobytes, time = ""] = /^\s*(\d+)\s+([\d:.]+)/.exec(new TextDecoder().decode(stdout)) ?? [];
  if (!success || kilobytes === undefined) return undefined;
  const seconds = time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return { memoryMb: Number(kilobytes) / 1024, cpuMs: seconds * 1000 };
}

/** The callbacks of {@linkcode watchLimits}. */
export interface LimitCallbacks {
  /** Called once when half of the CPU time or of the wall clock is used: the process gets no new requests. */
  readonly onSoft: (reason: UnloadReason) => void;
  /** Called once at 90 % of a limit, before `onHard`. */
  readonly onNear: (reason: UnloadReason) => void;
  /** Called once at a limit, with a line for the log. The process must end. */
  readonly onHard: (reason: UnloadReason, detail: string) => void;
}

const POLL_MS = 50;
const NEAR = 0.9;

/** Watches process `pid`, which has just started, until the result is disposed of or the process has exited. */
export function watchLimits(pid: number, limits: Limits, callbacks: LimitCallbacks): Disposable {
  const startedAt = performance.now();
  let first: Usage | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let disposed = false;
  const calledSoft = new Set<UnloadReason>();
  let calledNear = false;

  const check = async (): Promise<boolean> => {
    const usage = await usageOf(pid);
    if (!usage || disposed) return false;
    first ??= usage;
    const used: [UnloadReason, amount: number, limit: number, text: string][] = [
      ["memory", usage.memoryMb - first.memoryMb, limits.memoryMb, `memory limit of ${limits.memoryMb} MB`],
      ["cpu", usage.cpuMs - first.cpuMs, limits.cpuMs, `CPU time limit of ${limits.cpuMs / 1000} s`],
      [
        "wall_clock",
        performance.now() - startedAt,
        limits.wallClockMs,
        `wall clock limit of ${limits.wallClockMs / 1000} s`,
      ],
    ];
    for (const [reason, amount, limit, text] of used) {
      if (reason !== "memory" && amount >= limit / 2 && !calledSoft.has(reason)) {
        calledSoft.add(reason);
        callbacks.onSoft(reason);
      }
      if (amount >= limit * NEAR && !calledNear) {
        calledNear = true;
        callbacks.onNear(reason);
      }
      if (amount >= limit) {
        callbacks.onHard(reason, `reached the ${text}`);
        return false;
      }
    }
    return true;
  };
  const poll = () => {
    timer = setTimeout(async () => {
      if (await check() && !disposed) poll();
    }, POLL_MS);
    Deno.unrefTimer(timer);
  };
  poll();
  return {
    [Symbol.dispose]: () => {
      disposed = true;
      clearTimeout(timer);
    },
  };
}
