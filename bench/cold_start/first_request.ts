/**
 * A process that imports a function, sends it one request and prints the time
 * of both.
 *
 *     deno run -A bench/cold_start/first_request.ts <module of the function>
 *
 * The variable `CALLER_TOKEN` holds the token of the caller; without it, the
 * caller is anonymous.
 *
 * @module
 */
const [entry = ""] = Deno.args;
const token = Deno.env.get("CALLER_TOKEN");
const headers: HeadersInit = token === undefined ? {} : { Authorization: `Bearer ${token}` };

/** Returns the processor time of this thread in ms: the first value of its `schedstat` (Linux, proc(5)) is in ns. */
function processorMs(): number {
  try {
    return Number(Deno.readTextFileSync("/proc/self/schedstat").split(" ")[0]) / 1e6;
  } catch {
    return NaN;
  }
}

const startCpuMs = processorMs();
const startMs = performance.now();
const { handle }: { handle: (request: Request) => Promise<Response> } = await import(entry);
const loadedMs = performance.now();
const response = await handle(new Request("http://127.0.0.1/functions/v1/notes?limit=20", { headers }));
const rows: unknown = await response.json();
const answeredMs = performance.now();
const cpuMs = processorMs() - startCpuMs;
if (!Array.isArray(rows)) throw new Error(`The function responded ${response.status}: ${JSON.stringify(rows)}`);
// JSON has no NaN: it says null where the system tells of no processor time.
console.log(
  JSON.stringify({ importMs: loadedMs - startMs, answerMs: answeredMs - loadedMs, cpuMs, rows: rows.length }),
);
Deno.exit(0);
