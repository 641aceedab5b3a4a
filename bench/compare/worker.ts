/**
 * A process that sends bursts through one candidate.
 *
 *     deno run -A bench/compare/worker.ts <id of the candidate>
 *
 * Its standard input is lines of JSON: first the endpoint, then the options of
 * each burst. It prints the result of each burst as a line of JSON, and exits
 * when its input ends.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { stdin } from "node:process";
import { burst } from "./burst.ts";
import { CANDIDATES, type Endpoint, type QueryRows } from "./candidates.ts";

const candidate = CANDIDATES.find(({ id }) => id === Deno.args[0]);
if (!candidate) throw new Error(`Unknown candidate ${JSON.stringify(Deno.args[0])}`);

let endpoint: Endpoint | undefined;
let queryRows: QueryRows | undefined;
for await (const line of createInterface({ input: stdin })) {
  if (!endpoint || !queryRows) {
    const given: Endpoint = JSON.parse(line);
    endpoint = given;
    queryRows = candidate.open(given);
  } else console.log(JSON.stringify(await burst(queryRows, endpoint, JSON.parse(line))));
}
Deno.exit(0);
