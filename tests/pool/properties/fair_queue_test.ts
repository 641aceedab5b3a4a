/** Compares the queue of flows with a plain model of it. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FairQueue, type FlowRecord, type FlowTicket } from "../../../shared/pool/fair_queue.ts";
import { LaneQueue } from "../../../shared/pool/lane.ts";
import { Waiter } from "../../../shared/pool/waiter.ts";
import { noteBroken, readOptions } from "./group.ts";
import { InvariantError, INVARIANTS } from "./invariants.ts";

/** A step: what is done, and the index of what it is done to. */
type Step = readonly ["add" | "hold" | "abort" | "serve" | "release", number];

/** The flows, by index, and their weights. */
const WEIGHTS: readonly number[] = [1, 1, 1, 2, 3, 0.5];

/** The virtual time of a lease of weight 1: each weight divides it. */
const SHARES = 6;

const RUNS = 3_000;

const scenes = fc.array(
  fc.tuple(
    fc.constantFrom<Step[0]>("add", "add", "add", "abort", "serve", "serve", "release", "release", "hold"),
    fc.nat(11),
  ),
  { maxLength: 200, size: "max" },
);

type Ticket = FlowTicket<object>;

/** A flow of the model: everything is looked up by going through lists. */
interface ModelFlow {
  readonly weight: number;
  readonly key: string;
  waiting: Ticket[];
  held: number;
  /** Its turns: as many in the same virtual time as it has weight. */
  turn: number;
  /** The leases that other flows got while this one waited and both held as much, by key. */
  passes: Map<string, number>;
}

/** The queue, and the model of it. */
class Scene {
  readonly queue = new FairQueue<object>();
  readonly lane = new LaneQueue<object>("normal", 1_000);
  readonly flows: ModelFlow[] = WEIGHTS.map((weight, index) => ({
    weight,
    key: `flow ${index}`,
    waiting: [],
    held: 0,
    turn: 0,
    passes: new Map(),
  }));
  readonly leases: { readonly flow: ModelFlow; readonly record: FlowRecord<object> }[] = [];
  checks = 0;
  /** The latest turn that was served. */
  virtualTime = 0;

  step([what, index]: Step): void {
    const flow = this.flows[index % this.flows.length];
    if (!flow) return;
    if (what === "add") this.add(flow);
    // Without a wait a lease is only granted while no flow waits.
    if (what === "hold" && this.waiting.length === 0) this.hold(flow);
    if (what === "abort") this.abort(flow, index);
    if (what === "serve") this.serve();
    if (what === "release") this.release(index);
    this.compare();
  }

  get waiting(): ModelFlow[] {
    return this.flows.filter(({ waiting }) => waiting.length > 0);
  }

  add(flow: ModelFlow): void {
    const waiter = new Waiter<object>(this.lane, 0, 1, true);
    if (flow.waiting.length === 0) flow.turn = this.virtualTime + SHARES / flow.weight;
    flow.waiting.push(this.queue.add(waiter, { key: flow.key, weight: flow.weight }));
  }

  hold(flow: ModelFlow): void {
    const record = this.queue.hold({ key: flow.key, weight: flow.weight });
    this.leases.push({ flow, record });
    flow.held++;
  }

  abort(flow: ModelFlow, index: number): void {
    const [ticket] = flow.waiting.splice(index % Math.max(flow.waiting.length, 1), 1);
    if (ticket) this.queue.remove(ticket);
    if (flow.waiting.length === 0) flow.passes.clear();
  }

  release(index: number): void {
    const [lease] = this.leases.splice(index % Math.max(this.leases.length, 1), 1);
    if (!lease) return;
    lease.flow.held--;
    lease.record.release();
  }

  /** Serves the first waiter, and asserts that it is the right one. */
  serve(): void {
    const { first } = this.queue;
    const served = this.flows.find(({ waiting }) => waiting[0]?.waiter === first);
    if (!first || !served) {
      this.hold28(this.waiting.length === 0, () => "no flow is served, or not the first of its waiters");
      return;
    }
    for (const other of this.waiting) {
      if (other === served) continue;
      const [ofServed, ofOther] = [served.held * other.weight, other.held * served.weight];
      const said = () => `${served.key} is served before ${other.key}`;
      this.hold28(ofServed <= ofOther, () => `${said()}, which holds less`);
      if (ofServed !== ofOther) continue;
      const passes = (other.passes.get(served.key) ?? 0) + 1;
      other.passes.set(served.key, passes);
      this.hold28(passes <= Math.ceil(served.weight / other.weight), () => `${said()} for the ${passes}. time`);
      this.hold28(served.turn <= other.turn, () => `${said()}, whose turn is earlier`);
    }
    this.virtualTime = Math.max(this.virtualTime, served.turn);
    served.turn = this.virtualTime + SHARES / served.weight;
    const ticket = served.waiting.shift();
    if (!ticket) return;
    this.queue.serve(ticket);
    served.passes.clear();
    served.held++;
    this.leases.push({ flow: served, record: ticket.flow });
  }

  compare(): void {
    const { waiting, queue } = this;
    this.hold28(queue.waitingFlows === waiting.length, () => `${queue.waitingFlows} flows wait`);
    const known = this.flows.filter(({ waiting, held }) => waiting.length > 0 || held > 0).length;
    this.hold28(queue.flows === known, () => `${queue.flows} flows are remembered, ${known} wait or hold`);
    const longest = queue.longest;
    const length = ({ waiting, weight }: ModelFlow) => waiting.length / weight;
    const most = waiting.reduce((most, flow) => Math.max(most, length(flow)), 0);
    const named = this.flows.find(({ key }) => key === longest?.key);
    const isLongest = named ? length(named) === most && named.waiting.at(-1) === longest?.tickets.tail : most === 0;
    this.checks++;
    if (!isLongest) throw new InvariantError(29, `${longest?.key} is the longest`);
  }

  hold28(held: boolean, detail: () => string): void {
    this.checks++;
    if (!held) throw new InvariantError(28, detail());
  }
}

Deno.test("properties: the queue of flows", async (t) => {
  const { scale, brokenLog, seed, path } = readOptions();
  let checks = 0;
  const property = fc.property(scenes, (steps) => {
    const scene = new Scene();
    for (const step of steps) scene.step(step);
    // Everything is served in the end, and nothing remembered.
    while (scene.waiting.length > 0) scene.step(["serve", 0]);
    while (scene.leases.length > 0) scene.step(["release", 0]);
    assertEquals(scene.queue.flows, 0);
    checks += scene.checks;
  });
  const details = fc.check(property, {
    seed,
    ...(path === undefined ? {} : { path }),
    numRuns: Math.ceil(RUNS * scale),
    endOnFailure: brokenLog !== undefined,
  });
  if (details.failed && brokenLog !== undefined) await noteBroken(brokenLog, details.errorInstance);
  if (details.failed) throw new Error(fc.defaultReportMessage(details));
  for (const number of [28, 29] as const) {
    await t.step(`invariant ${number}: ${INVARIANTS[number]}`, () => assert(checks >= 100_000 || path !== undefined));
  }
});
