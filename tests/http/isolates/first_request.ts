/** An isolate that prints the globals which its first requests read, of those that take milliseconds to load. */
const read = new Set<string>();
Error.stackTraceLimit = 100;

function watch(target: object, key: string, name: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(target, key);
  if (!descriptor) return;
  Object.defineProperty(target, key, {
    configurable: true,
    get(this: unknown): unknown {
      // Packages that are CommonJS make the runtime read them too, but not in a bundle.
      if (new Error().stack?.includes("/shared/")) read.add(name);
      return descriptor.get ? descriptor.get.call(this) : descriptor.value;
    },
    set(value: unknown) {
      Object.defineProperty(target, key, { configurable: true, writable: true, value });
    },
  });
}

// Node's part of the runtime, the data of Unicode locales, and Web APIs that a function on the Data API does not use.
for (const name of ["process", "Intl", "caches", "EventSource", "WebSocket", "localStorage", "Temporal"]) {
  watch(globalThis, name, name);
}
for (const { prototype, name } of [Number, BigInt, Date, Array]) {
  watch(prototype, "toLocaleString", `${name}.prototype.toLocaleString`);
}
watch(String.prototype, "localeCompare", "String.prototype.localeCompare");

const { withPooledSupabase } = await import("../../../shared/http/mod.ts");
const handle = withPooledSupabase({ auth: ["user", "none"] }, async (_request, { supabase }) => {
  const { data, error } = await supabase.from("rows").select();
  if (error) throw error;
  return Response.json(data);
});
const statuses: number[] = [];
for (const token of ["", Deno.env.get("CALLER_TOKEN")]) {
  const headers: HeadersInit = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await handle(new Request("http://127.0.0.1/rows", { headers }));
  await response.body?.cancel();
  statuses.push(response.status);
}
console.log(JSON.stringify({ statuses, read: [...read].sort() }));
Deno.exit(0);
