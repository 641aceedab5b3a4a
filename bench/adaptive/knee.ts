import type { Limiter } from "./simulation.ts";

export interface KneeOptions {
  readonly initial?: number;
  readonly min?: number;
  readonly max?: number;
  readonly threshold?: number;
  readonly maxDelay?: number;
  readonly precision?: number;
  readonly power?: number;
}

/** The first calls of an epoch that began one after another: all of them count, the slow ones too. */
class Cohort {
  started = 0;
  ended = 0;
  mean = 0;
  #m2 = 0;
  constructor(readonly epoch: number, readonly size: number) {}
  add(x: number): void {
    this.ended++;
    const d = x - this.mean;
    this.mean += d / this.ended;
    this.#m2 += d * (x - this.mean);
  }
  get variance(): number {
    return this.ended > 1 ? Math.max(1e-8, this.#m2 / (this.ended - 1)) : 1e-8;
  }
}

interface Call { readonly cohort: Cohort | undefined; readonly at: number }

const CLIP = Math.log(4);

type Mode =
  | { readonly kind: "start" }
  | { readonly kind: "hold"; readonly until: number }
  | { readonly kind: "probe"; readonly up: boolean; readonly from: number; readonly ref: number; readonly refSe: number; readonly step: number; readonly shift: boolean };

export class KneeLimit implements Limiter {
  #limit: number;
  readonly #min: number;
  readonly #max: number;
  readonly #thr: number;
  readonly #maxDelay: number;
  readonly #precision: number;
  readonly #power: number;
  #epoch = 0;
  #mode: Mode = { kind: "start" };
  #cohort: Cohort;
  #ref = NaN;
  #refSe = 0;
  #var = 0.02;
  #floor = Infinity;
  #nextUp = true;
  log: ((text: string) => void) | undefined;

  constructor(o: KneeOptions = {}) {
    this.#limit = o.initial ?? 10;
    this.#min = o.min ?? 1;
    this.#max = o.max ?? 200;
    this.#thr = o.threshold ?? 0.5;
    this.#maxDelay = Math.log(o.maxDelay ?? 3);
    this.#precision = o.precision ?? 0.2;
    this.#power = o.power ?? 1;
    this.#cohort = new Cohort(0, 20);
  }
  get limit(): number {
    return this.#limit;
  }
  begin(now: number, inFlight: number, hasWaiters: boolean): Call {
    if (!hasWaiters && inFlight < this.#limit * 0.95) return { cohort: undefined, at: now };
    let cohort = this.#cohort;
    if (cohort.started >= cohort.size) {
      if (this.#mode.kind === "probe") return { cohort: undefined, at: now };
      cohort = this.#cohort = new Cohort(this.#epoch, cohort.size);
    }
    cohort.started++;
    return { cohort, at: now };
  }
  end(c: unknown, now: number, _outcome: "ok" | "overload"): void {
    const { cohort, at } = c as Call;
    if (!cohort || cohort.epoch !== this.#epoch) return;
    const center = Number.isNaN(this.#ref) ? (cohort.ended > 0 ? cohort.mean : Math.log(now - at)) : this.#ref;
    cohort.add(Math.max(center - CLIP, Math.min(center + CLIP, Math.log(now - at))));
    const mode = this.#mode;
    if (mode.kind === "hold") this.#hold(mode, cohort, now);
    else if (cohort.ended < cohort.size) return;
    else if (mode.kind === "start") {
      this.#note(cohort);
      this.#probe(true, 1, now);
    } else this.#judge(mode, cohort, now);
  }

  #note(cohort: Cohort): void {
    this.#ref = cohort.mean;
    this.#var = cohort.variance;
    this.#refSe = Math.sqrt(cohort.variance / cohort.ended);
    this.#floor = Math.min(this.#floor, this.#ref + this.#refSe);
  }
  #next(size: number): void {
    this.#epoch++;
    this.#cohort = new Cohort(this.#epoch, Math.round(size));
  }
  /** Calls needed to tell elasticities apart by steps of this size. */
  #calls(step: number): number {
    return Math.max(10, Math.min(400, 2 * (Math.sqrt(this.#var) / (this.#precision * Math.log(1 + step))) ** 2));
  }
  #step(): number {
    // The smallest step that about two rounds of calls can judge.
    const affordable = Math.max(20, Math.min(400, this.#limit * 2));
    const step = Math.exp(Math.sqrt(2 * this.#var / affordable) / this.#precision) - 1;
    return Math.min(0.5, Math.max(0.05, step));
  }
  #probe(up: boolean, step: number, now: number, shift = false): void {
    const from = this.#limit;
    let to = up ? Math.max(from + 1, Math.round(from * (1 + step))) : Math.min(from - 1, Math.round(from / (1 + step)));
    to = Math.max(this.#min, Math.min(this.#max, to));
    if (to === from) return this.#rest(now);
    this.#mode = { kind: "probe", up, from, ref: this.#ref, refSe: this.#refSe, step, shift };
    this.#limit = to;
    this.#next(this.#calls(Math.abs(Math.log(to / from))));
    this.log?.(`${now.toFixed(0)} probe ${from}->${to}${shift ? " (shift)" : ""} by ${this.#cohort.size}`);
  }
  #rest(now: number): void {
    const rounds = Math.max(500, 70 * Math.exp(this.#ref));
    this.#mode = { kind: "hold", until: now + Math.min(rounds, 3_000) };
    this.#next(Math.max(20, Math.min(400, this.#limit * 2)));
  }
  #hold(mode: Mode & { kind: "hold" }, cohort: Cohort, now: number): void {
    const delta = cohort.mean - this.#ref;
    if (cohort.ended >= Math.min(10, cohort.size)) {
      const se = Math.sqrt(Math.max(this.#var, cohort.variance) / cohort.ended + this.#refSe ** 2);
      // Slow calls end last: what has ended so far can only look too fast.
      if (delta > Math.max(0.1, 4 * se) || (cohort.ended === cohort.size && delta < -Math.max(0.1, 4 * se))) {
        this.log?.(`${now.toFixed(0)} shift ${delta.toFixed(2)} of ${cohort.ended}`);
        const full = delta > 0;
        this.#ref = cohort.mean; this.#refSe = Math.sqrt(cohort.variance / cohort.ended);
        if (!full) this.#floor = Math.min(this.#floor, this.#ref + this.#refSe);
        return this.#probe(!full, full ? Math.exp(delta) - 1 : Math.max(0.25, this.#step()), now, full);
      }
    }
    if (cohort.ended < cohort.size) return;
    // The reference follows; more calls make it more exact.
    this.#ref += delta * 0.3;
    this.#var += (cohort.variance - this.#var) * 0.3;
    this.#refSe = Math.sqrt(this.#var / cohort.size * 0.18);
    this.#floor = Math.min(this.#floor, this.#ref + this.#refSe);
    this.#floor += (this.#ref - this.#floor) * 0.01;
    if (now < mode.until) return;
    this.#nextUp = !this.#nextUp;
    this.#probe(this.#nextUp, this.#step(), now);
  }
  #judge(mode: Mode & { kind: "probe" }, cohort: Cohort, now: number): void {
    const dn = Math.log(this.#limit / mode.from);
    const e = (cohort.mean - mode.ref) / dn;
    const over = Math.max(0, Math.max(mode.ref, cohort.mean) - this.#floor);
    const brake = this.#thr * over / this.#maxDelay;
    const eff = Math.max(0, Math.min(1, e + brake)) ** this.#power;
    // The part of the step, from its lower end, that lies below the knee.
    const below = 1 - eff;
    const low = Math.min(mode.from, this.#limit), high = Math.max(mode.from, this.#limit);
    const knee = Math.max(this.#min, Math.min(this.#max, Math.round(low * (high / low) ** below)));
    this.log?.(`${now.toFixed(0)}   e=${e.toFixed(2)} brake=${brake.toFixed(2)} n=${cohort.ended} lat=${Math.exp(cohort.mean).toFixed(2)} -> ${knee}`);
    const far = mode.up ? below > 0.8 : below < 0.2;
    if (far && this.#limit !== mode.from) {
      this.#note(cohort);
      this.#probe(mode.up, mode.shift ? this.#step() : Math.min(1, mode.step * 2), now);
      return;
    }
    if (mode.shift && e < 0.1) this.#floor = mode.ref;
    // The latency to expect there.
    this.#ref = mode.ref + e * Math.log(knee / mode.from);
    this.#refSe = Math.sqrt(cohort.variance / cohort.ended);
    this.#limit = knee;
    this.#rest(now);
  }
}
