/**
 * A process that loads one function, answers one request with it and says how
 * long both took.
 *
 *     deno run -A bench/cold_start/first_request.ts <module of the function>
 *
 * @module
 */
const [entry = ""] = Deno.args;
const startMs = performance.now();
const { handle }: { handle: (request: Request) => Promise<Response> } = await import(entry);
const loadedMs = performance.now();
const response = await handle(new Request("http://127.0.0.1/functions/v1/notes?limit=20"));
const rows: unknown = await response.json();
const answeredMs = performance.now();
if (!Array.isArray(rows)) throw new Error(`Answered ${response.status}: ${JSON.stringify(rows)}`);
console.log(JSON.stringify({ importMs: loadedMs - startMs, answerMs: answeredMs - loadedMs, rows: rows.length }));
Deno.exit(0);
