/** A process that asks for one key at an instant, for `processes_test.ts`. Prints how often its loader was called. */
import { LayeredCache } from "../../shared/cache/mod.ts";

const [url = "", at = "0"] = Deno.args;
using cache = new LayeredCache({ redis: url });
await cache.get("connects");
await new Promise((resolve) => setTimeout(resolve, Number(at) - Date.now()));
let loads = 0;
const load = async () => {
  loads++;
  await new Promise((resolve) => setTimeout(resolve, 50));
  return { loaded: true };
};
const values = await Promise.all(Array.from({ length: 125 }, () => cache.getOrLoad("k", load, 60)));
console.log(loads, values.filter((value) => value.loaded).length);
