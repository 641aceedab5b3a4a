/**
 * Functions that go on after their response.
 *
 * @module
 */
import { ADMIN, NOTES, reply, type SampleFunction, serve, USER } from "./sample.ts";

/** The functions, by what is special about them. */
export const LATER_WORK: Readonly<Record<string, SampleFunction>> = {
  "work that goes on after the response": {
    source: serve(`  const admin = ${ADMIN};
  const work = async () => {
    await admin${NOTES};
    await new Promise((resolve) => setTimeout(resolve, 20));
    await admin.from("notes").insert({ text: "later" });
  };
  work();
${reply('"accepted"')}`),
    left: ["not awaited"],
  },
  "work in a function called at once": {
    source: serve(`  const admin = ${ADMIN};
  (async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await admin.from("notes").insert({ text: "later" });
  })().catch(console.error);
${reply('"accepted"')}`),
    left: ["not awaited"],
  },
  "work in a timer": {
    source: serve(`  const admin = ${ADMIN};
  setTimeout(() => void admin.from("notes").insert({ text: "later" }).then(() => {}), 20);
${reply('"accepted"')}`),
    left: ["setTimeout"],
  },
  "work that a callback continues": {
    source: serve(`  const admin = ${ADMIN};
  admin${NOTES}.then(() => admin.from("notes").insert({ text: "later" }).then(() => {}));
${reply('"accepted"')}`),
    left: ["not awaited"],
  },
  "one call that is not awaited": {
    source: serve(`  const admin = ${ADMIN};
  admin.from("notes").insert({ text: "once" }).then(() => {}, console.error);
${reply('"accepted"')}`),
    left: [],
  },
  "work given to the runtime": {
    source: serve(`  const admin = ${ADMIN};
  const work = async () => {
    await admin${NOTES};
    await admin.from("notes").insert({ text: "later" });
  };
  const runtime = (globalThis as unknown as { EdgeRuntime?: { waitUntil(work: Promise<unknown>): void } }).EdgeRuntime;
  if (runtime) runtime.waitUntil(work()); else await work();
${reply('"accepted"')}`),
    left: [],
  },
  "a stream that a function fills": {
    source: serve(`  const admin = ${ADMIN};
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  (async () => {
    await writer.write(new TextEncoder().encode("one"));
    await writer.close();
    await admin.from("notes").insert({ text: "one" });
  })();
  return new Response(readable);`),
    left: ["not awaited"],
  },
  "a stream that saves at its end": {
    source: serve(`  const client = ${USER};
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      const { data } = await client${NOTES};
      controller.enqueue(new TextEncoder().encode(JSON.stringify(data)));
      controller.close();
    },
  });
  return new Response(stream);`),
    left: [],
  },
};
