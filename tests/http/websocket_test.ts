/** Tests `ctx.supabase` in the messages of a WebSocket, as docs/writing_functions.md shows it. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { setUp } from "./real_rig.ts";

for (const waits of [true, false]) {
  Deno.test(`ctx.supabase ${waits ? "works" : "is refused"} in onmessage ${waits ? "with" : "without"} ctx.waitUntil(closed)`, async () => {
    await using rig = setUp((request, ctx) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
      if (waits) ctx.waitUntil(closed);
      socket.onmessage = async () => {
        const { data, error } = await ctx.supabase.from("rows").select();
        socket.send(error ? error.message : JSON.stringify(data));
      };
      return response;
    }, { POOL_MAX_CONNECTIONS: "1" });
    rig.project.answer = () => Response.json([1]);
    const { handle } = rig;
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handle);
    const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}/f`);
    await new Promise((resolve) => socket.onopen = resolve);
    for (let n = 0; n < 2; n++) {
      await delay(20);
      const answer = new Promise<string>((resolve) => socket.onmessage = ({ data }) => resolve(data));
      socket.send("rows");
      assertStringIncludes(await answer, waits ? "[1]" : "LeaseReleasedError");
      await delay(5);
      assertEquals(rig.service.getPoolStats().activeConnections, 0);
    }
    const closed = new Promise((resolve) => socket.onclose = resolve);
    socket.close();
    await closed;
    await server.shutdown();
  });
}
