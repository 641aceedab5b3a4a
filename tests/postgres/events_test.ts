import { assertEquals } from "@std/assert";
import { ManagerHub } from "../../shared/postgres/events.ts";

const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("events: a listener that throws or rejects disturbs nobody, and is told as an error", async () => {
  const hub = new ManagerHub();
  const told: string[] = [];
  hub.on("recovered", () => {
    throw new Error("thrown");
  });
  hub.on("recovered", async () => {
    await Promise.resolve();
    throw new Error("rejected");
  });
  hub.on("recovered", ({ downMs }) => void told.push(`recovered ${downMs}`));
  // Nobody listens to errors yet: nothing is thrown.
  hub.emit("recovered", { downMs: 1 });
  await settled();
  const errors = hub.on("error", ({ message }) => void told.push(message));
  // That of errors themselves has nobody left to tell.
  hub.on("error", () => Promise.reject(new Error("not told")));
  hub.emit("recovered", { downMs: 2 });
  await settled();
  errors[Symbol.dispose]();
  hub.emit("error", new Error("unheard"));
  await settled();
  assertEquals(told, ["recovered 1", "recovered 2", "thrown", "rejected"]);
});
