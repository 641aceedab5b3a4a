/**
 * The first request of a cold isolate, in processes that start alternately on
 * either version.
 *
 * @module
 */
import { DENO_2_1 } from "../../local/deno_2_1/deno.ts";
import {
  bundle,
  hostedDeno,
  type Runtime,
  signedInUser,
  startCold,
  THIS_DENO,
  transpile,
} from "../cold_start/candidates.ts";
import { startDataApi } from "../support/child.ts";
import { entryPoint, type Side, SIDES } from "./checkout.ts";
import type { Sample, Series } from "./work.ts";

/** A function on the pool, like `bench/cold_start/entries/pooled.ts`, on the library at `entry`. */
const source = (entry: string) => `
import * as z from "zod";
import { withPooledSupabase } from ${JSON.stringify(entry)};

const Query = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50) });

export const handle = withPooledSupabase(
  { auth: Deno.env.has("CALLER_TOKEN") ? "user" : "none" },
  async (request, { supabase }) => {
    const { limit } = Query.parse(Object.fromEntries(new URL(request.url).searchParams));
    const { data, error } = await supabase.from("categories").select().limit(limit);
    if (error) throw error;
    return Response.json(data);
  },
);
`;

interface Setup {
  readonly id: "sources" | "bundled" | "hosted";
  readonly title: string;
}

const SETUPS: readonly Setup[] = [
  { id: "sources", title: "from sources" },
  { id: "bundled", title: "bundled" },
  { id: "hosted", title: `bundled, ${DENO_2_1}` },
];

/** Measures `rounds` rounds of four starts for each form, runtime and kind of caller. */
export async function measureColdStarts(
  roots: Readonly<Record<Side, string>>,
  rounds: number,
  onRound: () => void = () => {},
): Promise<Series[]> {
  await using dataApi = await startDataApi();
  const user = await signedInUser(dataApi.url);
  const folder = await Deno.makeTempDir({ prefix: "bench-regression-" });
  try {
    const hosted = await hostedDeno(`${folder}/cache`);
    const none = { sources: "", bundled: "", hosted: "" };
    const modules: Record<Side, Record<Setup["id"], string>> = { before: none, after: none };
    for (const side of SIDES) {
      const path = `${folder}/${side}.ts`;
      await Deno.writeTextFile(path, source(entryPoint(roots[side], "shared/mod.ts")));
      const bundled = await bundle(path, folder);
      modules[side] = { sources: path, bundled, hosted: await transpile(bundled, hosted) };
    }
    const callers = [{ id: "anonymous", caller: undefined }, { id: "user", caller: user }];
    const entries = SETUPS.flatMap((setup) =>
      callers.map(({ id, caller }) => ({
        id: `${setup.id}_${id}`,
        title: `${setup.title}, ${caller ? "a verified user" : "anonymous"}`,
        setup,
        caller,
        samples: new Array<Sample>(),
      }))
    );
    for (let round = -1; round < rounds; round++) {
      onRound();
      for (const { setup, caller, samples } of entries) {
        const runtime: Runtime = setup.id === "hosted" ? hosted : THIS_DENO;
        const cpu = { before: 0, after: 0 };
        const wall = { before: 0, after: 0 };
        const [first, second]: [Side, Side] = round % 2 === 0 ? ["before", "after"] : ["after", "before"];
        for (const side of [first, second, second, first]) {
          const { cpuMs = NaN, totalMs = NaN } = await startCold(modules[side][setup.id], { dataApi, runtime, caller });
          cpu[side] += cpuMs / 2;
          wall[side] += totalMs / 2;
        }
        // The first round fills the caches.
        if (round >= 0) samples.push({ ...cpu, wallBefore: wall.before, wallAfter: wall.after });
      }
    }
    return entries.map(({ id, title, samples }) => ({ id, title, unit: "ms" as const, samples }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
