import { fixedLimit, latencyBackend, queueBackend, simulate, summarize } from "./simulation.ts";
import { KneeLimit } from "./knee.ts";
const noise = Number(Deno.args[0] ?? 0), kind = Deno.args[1] ?? "latency", degrade = Number(Deno.args[2] ?? 1);
const only = Deno.args[3];
const CACHE = "/tmp/w/out/simcache.json"; let cache: any = {}; try { cache = JSON.parse(Deno.readTextFileSync(CACHE)); } catch { /* none */ }
const bad: string[] = []; let sx=0,n=0,sc=0; for (const latencyMs of [1, 50]) for (const c of [10, 30, 100]) {
  if (only && only !== "-" && only !== `${latencyMs}/${c}`) continue;
  const make = () => (kind === "queue" ? queueBackend : latencyBackend)({ latencyMs, capacity: () => c, degrade, noise, sharpness: kind === "smooth" ? 4 : Infinity });
  const warm = 10_000, end = Math.min(40_000, 10_000 + 4_000_000 / (c / latencyMs * 1000) * 10);
  const run = (limiter: any) => { const [seen] = simulate([{ limiter, backend: make(), callers: 1000 }], end, 1); return { ...summarize(seen!, warm, end), limits: seen!.limits }; };
  const fixed: any[] = cache[[noise,kind,degrade,latencyMs,c].join()] ??= [...new Set([0.8,0.9,0.95,1,1.05,1.1,1.25,1.5,2].map((f) => Math.max(1,Math.round(c * f))).filter((l) => l <= 200))].map((l) => { const { limits: _, ...r } = run(fixedLimit(l)); return { l, ...r }; });
  const best = Math.max(...fixed.map((f) => f.perSecond));
  const ok = fixed.filter((f) => f.perSecond >= best * 0.95);
  const bc = Math.min(...ok.map((f) => f.callP99)), bt = Math.min(...ok.map((f) => f.totalP99));
  const k = new KneeLimit(JSON.parse(Deno.args[4] ?? '{}')); if (only && only !== "-") k.log = (t) => console.log(t);
  const mine = run(k);
  const late = mine.limits.filter((l) => l.at > warm).map((l) => l.limit);
  const first = mine.limits.find((l) => l.limit >= c * 0.95)?.at;
  sx+=mine.perSecond/best; sc+=mine.callP99/bc; n++; if (mine.perSecond/best<.95||mine.callP99/bc>1.05||mine.totalP99/bt>1.05) bad.push(`${latencyMs}/${c} ${(mine.perSecond / best).toFixed(3)} ${(mine.callP99 / bc).toFixed(3)} ${(mine.totalP99 / bt).toFixed(3)}`);
  if (only) console.log(`${latencyMs} ms cap ${c}: X ${(mine.perSecond / best).toFixed(3)} callP99 ${(mine.callP99 / bc).toFixed(3)} totalP99 ${(mine.totalP99 / bt).toFixed(3)} limit ${Math.min(...late)}..${Math.max(...late)} avg ${(late.reduce((a,b)=>a+b,0)/late.length).toFixed(1)} reached ${first}`);
}

console.log((sx/n).toFixed(3), (sc/n).toFixed(3), "bad", bad.length, bad.join("; "));

Deno.writeTextFileSync(CACHE, JSON.stringify(cache));
