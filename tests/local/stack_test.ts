import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { type Stack, startStack } from "../../local/mod.ts";
import { processInfo } from "../../local/processes.ts";
import { createProject, eventually, type Fixture, PROBE } from "./fixture.ts";

async function withStack(
  use: (stack: Stack, fixture: Fixture, lines: string[]) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  await using fixture = await createProject();
  const lines: string[] = [];
  await using stack = await startStack({
    root: fixture.root,
    ephemeral: true,
    watch: true,
    env,
    log: (source, line) => lines.push(`${source}: ${line}`),
  });
  await use(stack, fixture, lines);
}

/**
 * Returns the command lines of the processes of a stack by their ids: the descendants of this process that run in the
 * folder of its project. This process runs other tests too, with stacks of their own.
 */
async function descendants(root: string): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  const folder = await Deno.realPath(root);
  for await (const { name } of Deno.readDir("/proc")) {
    const cwd = /^\d+$/.test(name) ? await Deno.readLink(`/proc/${name}/cwd`).catch(() => "") : "";
    const info = cwd === folder ? await processInfo(Number(name)) : undefined;
    for (let up = info; up && up.parent > 1; up = await processInfo(up.parent)) {
      if (up.parent === Deno.pid && info) found.set(Number(name), info.command);
    }
  }
  return found;
}

/** Returns the loopback ports that the processes of a stack listen on. */
async function listeners(root: string): Promise<string[]> {
  const sockets = new Set<string>();
  for (const pid of (await descendants(root)).keys()) {
    for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
      sockets.add(await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => ""));
    }
  }
  const rows = (await Deno.readTextFile("/proc/net/tcp")).split("\n").map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row[3] === "0A" && sockets.has(`socket:[${row[9]}]`))
    .map((row) => String(parseInt(row[1]?.split(":")[1] ?? "", 16)));
}

const NO_SESSION = { auth: { persistSession: false, autoRefreshToken: false } };

async function signUp(stack: Stack, name: string) {
  const client = createClient(stack.url, stack.publishableKey, NO_SESSION);
  const { data, error } = await client.auth.signUp({ email: `${name}@example.com`, password: "correct-horse-battery" });
  assertEquals(error, null);
  assert(data.session, "a session at once");
  return { client, token: data.session.access_token, id: data.session.user.id };
}

Deno.test("startStack() serves the Data API and Auth to supabase-js", async (t) => {
  await withStack(async (stack) => {
    const [ann, ben] = [await signUp(stack, "ann"), await signUp(stack, "ben")];

    await t.step("a token has a subject, a role, an audience and an expiry", async () => {
      const jwks = createRemoteJWKSet(new URL(`${stack.authUrl}/.well-known/jwks.json`));
      const { payload, protectedHeader } = await jwtVerify(ann.token, jwks, { issuer: stack.authUrl });
      assertEquals(protectedHeader.alg, "ES256");
      assertEquals([payload.sub, payload.role, payload.aud], [ann.id, "authenticated", "authenticated"]);
      assert((payload.exp ?? 0) > Date.now() / 1000 + 600);
    });

    await t.step("users see only their own rows", async () => {
      for (const { client } of [ann, ben]) {
        const { error } = await client.from("notes").insert({ body: "mine" });
        assertEquals(error, null);
      }
      const { data } = await ann.client.from("notes").select("user_id,created_at");
      assertEquals(data?.map((row) => row.user_id), [ann.id]);
      assertMatch(data?.[0]?.created_at ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/);
    });

    await t.step("anonymous callers see only what is granted to them", async () => {
      const anonymous = createClient(stack.url, stack.publishableKey, NO_SESSION);
      assertEquals((await anonymous.from("greetings").select()).data, [{ body: "hello" }]);
      assertEquals((await anonymous.from("notes").select()).error?.code, "42501");
      const { error } = await anonymous.from("greetings").insert({ body: "rude" });
      assertEquals(error?.code, "42501");
    });

    await t.step("the secret key bypasses row-level security", async () => {
      const admin = createClient(stack.url, stack.secretKey, NO_SESSION);
      assertEquals((await admin.from("notes").select()).data?.length, 2);
    });

    await t.step("a request without a key or with a wrong key is rejected", async () => {
      for (const headers of [{}, { apikey: "sb_publishable_wrong" }] as Record<string, string>[]) {
        const response = await fetch(`${stack.restUrl}/greetings`, { headers });
        assertEquals(response.status, 401);
        await response.body?.cancel();
      }
    });

    await t.step("schemas that are not exposed cannot be queried", async () => {
      for (const [schema, table] of [["auth", "users"], ["supabase_migrations", "schema_migrations"]]) {
        const response = await fetch(`${stack.restUrl}/${table}`, {
          headers: { apikey: stack.secretKey, "accept-profile": schema ?? "" },
        });
        assertEquals([response.status, (await response.json()).code], [406, "PGRST106"]);
      }
    });

    await t.step("a page of another origin may use it", async () => {
      const response = await fetch(`${stack.restUrl}/greetings`, {
        method: "OPTIONS",
        headers: {
          origin: "https://example.com",
          "access-control-request-method": "GET",
          "access-control-request-headers": "apikey",
        },
      });
      assertEquals(response.headers.get("access-control-allow-origin"), "*");
      assertEquals(response.headers.get("access-control-allow-headers"), "apikey");
    });
  });
});

Deno.test("Stack recovers when its database is killed or stopped under load", async () => {
  await withStack(async (stack) => {
    const { token } = await signUp(stack, "ann");
    const responses: { at: "before" | "down" | "after"; status: number; code: string }[] = [];
    let at: "before" | "down" | "after" = "before";
    let running = true;
    const send = (index: number) =>
      fetch(stack.url + (index % 4 === 0 ? "/auth/v1/user" : "/rest/v1/notes?select=id"), {
        headers: { apikey: stack.publishableKey, authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(10_000),
      });
    const load = Array.from({ length: 20 }, async (_, index) => {
      while (running) {
        const began = at;
        const response = await send(index);
        const body = await response.json();
        responses.push({ at: began, status: response.status, code: body.code ?? "" });
        if (response.status === 503) {
          assertEquals(response.headers.get("retry-after"), "1");
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    for (const end of ["kill", "stop"] as const) {
      at = "before";
      await new Promise((resolve) => setTimeout(resolve, 300));
      at = "down";
      await stack.database[end]();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await stack.database.start();
      // Data API and Auth connect again one connection at a time.
      await eventually(async () => {
        const statuses = Array.from({ length: 20 }, async (_, index) => {
          const response = await send(index);
          await response.body?.cancel();
          return response.status;
        });
        return (await Promise.all(statuses)).every((status) => status === 200);
      }, "responses after the start");
      at = "after";
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    running = false;
    await Promise.all(load);
    const statuses = (when: string) =>
      new Set(responses.filter((response) => response.at === when).map(({ status }) => status));
    assertEquals([...statuses("after")].sort(), [200]);
    assertEquals([...statuses("down")].filter((status) => status !== 200 && status !== 503), []);
    assert(statuses("down").has(503));
    assertEquals([...statuses("before")].filter((status) => status !== 200 && status !== 503), []);
  });
});

Deno.test("Stack serves functions that", async (t) => {
  await withStack(async (stack, fixture, lines) => {
    const probe = `${stack.url}/functions/v1/probe`;

    await t.step("see their path and public URL, and no header of the stack", async () => {
      const response = await fetch(`${probe}/request?a=1`, { headers: { "x-mine": "yes" } });
      const { url, headers } = await response.json();
      assertEquals(url, `${stack.url}/probe/request?a=1`);
      assertEquals(headers["x-mine"], "yes");
      assertEquals(Object.keys(headers).filter((name) => name.startsWith("x-stack")), []);
    });

    await t.step("have the hosted environment, and no other", async () => {
      const env: Record<string, string> = await (await fetch(`${probe}/env`)).json();
      assertEquals(env.SUPABASE_URL, stack.url);
      assertEquals(JSON.parse(env.SUPABASE_PUBLISHABLE_KEYS ?? ""), { default: stack.publishableKey });
      assertEquals(JSON.parse(env.SUPABASE_SECRET_KEYS ?? ""), { default: stack.secretKey });
      assertEquals([env.SUPABASE_DB_URL, env.JWT_SECRET, env.MINE], [stack.dbUrl, stack.jwtSecret, "yes"]);
      assertEquals(Object.keys(env).filter((name) => /^STACK_|^HOME$|^LOCAL_STACK_TEST/.test(name)), []);
      assert(!JSON.stringify(env).includes("supabase_admin"));
    });

    await t.step("stream both ways, and accept big bodies", async () => {
      const big = new Uint8Array(20_000_000).fill(7);
      const echoed = new Uint8Array(await (await fetch(`${probe}/echo`, { method: "POST", body: big })).arrayBuffer());
      assertEquals(echoed.length, big.length);
      const { body } = await fetch(`${probe}/stream`);
      assert(body);
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      assertEquals((await reader.read()).value, "0\n");
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
      assertEquals(rest, "1\n2\n");
    });

    await t.step("serve 150 concurrent requests", async () => {
      const bodies = await Promise.all(
        Array.from({ length: 150 }, async (_, n) => {
          const response = await fetch(`${probe}/echo`, { method: "POST", body: String(n) });
          return await response.text();
        }),
      );
      assertEquals(bodies, Array.from({ length: 150 }, (_, n) => String(n)));
    });

    await t.step("see the signal abort when a client disconnects", async () => {
      const controller = new AbortController();
      const call = fetch(`${probe}/slow`, { signal: controller.signal }).catch(() => {});
      await eventually(async () => await (await fetch(`${probe}/slow-count`)).json() === 1, "a request under way");
      controller.abort();
      await call;
      await eventually(async () => await (await fetch(`${probe}/aborted`)).json() === 1, "an aborted request");
    });

    await t.step("redirect the client, not the gateway", async () => {
      const response = await fetch(`${probe}/redirect`, { redirect: "manual" });
      assertEquals([response.status, response.headers.get("location")], [302, "https://example.com/"]);
    });

    await t.step("may write to /tmp only, and respond 500 without details after an error", async () => {
      const scratch = `${fixture.root}/written`;
      const written = await fetch(`${probe}/write?path=${encodeURIComponent(scratch)}`);
      assertEquals([written.status, await written.text()], [200, "written"]);
      const thrown = await fetch(`${probe}/throw`);
      assertEquals(thrown.status, 500);
      assert(!(await thrown.text()).includes("on purpose"));
      await eventually(() => lines.some((line) => line.includes("thrown on purpose")), "the error in the log");
      const forbidden = await fetch(`${probe}/write?path=/var/forbidden`);
      assertEquals(forbidden.status, 500);
      await forbidden.body?.cancel();
    });

    await t.step("crash alone: 503 with the reason, and the next request is served", async () => {
      const response = await fetch(`${probe}/crash`);
      const body = await response.json();
      assertEquals([response.status, body.code], [503, "FUNCTION_CRASHED"]);
      assertStringIncludes(body.detail, "crashed on purpose");
      assertEquals(response.headers.get("content-type"), "application/problem+json");
      assertEquals(await (await fetch(probe)).text(), "version 1");
    });

    await t.step("are reloaded when their sources change; requests in flight finish", async () => {
      const slow = fetch(`${probe}/slow?ms=800`).then((response) => response.text());
      await (await fetch(`${probe}/background`)).body?.cancel();
      const source = await Deno.readTextFile(`${fixture.root}/functions/probe/index.ts`);
      await fixture.write("functions/probe/index.ts", source.replace("version 1", "version 2"));
      await eventually(async () => await (await fetch(probe)).text() === "version 2", "the new version");
      assertEquals(await slow, "slow");
      await eventually(() => lines.includes("probe: beforeunload termination"), "beforeunload");
      await eventually(() => lines.includes("probe: background done"), "the background work");
    });

    await t.step("are reloaded when .env changes", async () => {
      const token = async () => (await (await fetch(`${probe}/env`)).json()).TOKEN;
      for (
        const [file, value] of [["functions/.env", "one"], ["functions/.env", "two"], [
          "supabase/functions/.env",
          "three",
        ]]
      ) {
        await fixture.write(file ?? "", `TOKEN=${value}\n`);
        if (value === "three") await Deno.remove(`${fixture.root}/functions/.env`);
        await eventually(async () => await token() === value, `TOKEN=${value}`);
      }
      await fixture.write("supabase/functions/.env", "MINE=no\nsesame\n");
      await eventually(async () => await token() === undefined, "no TOKEN");
      assertEquals((await (await fetch(`${probe}/env`)).json()).MINE, "yes");
      assertEquals(stack.warnings.map((line) => line.replace(/ is .*/, "")), ["supabase/functions/.env, line 2"]);
    });

    await t.step("need a restart are logged, and so are files that need one", async () => {
      await fixture.write("functions/notes/index.ts", PROBE);
      await fixture.write("supabase/migrations/20260202000000_more.sql", "select 1;");
      await fixture.write(
        "supabase/config.toml",
        `${await Deno.readTextFile(`${fixture.root}/supabase/config.toml`)}\n`,
      );
      const expected = [
        'functions/notes is not a function of the project: the Supabase CLI looks in supabase/functions. Move it there, or add [functions.notes] with entrypoint = "../functions/notes/index.ts" to supabase/config.toml.',
        "supabase/config.toml changed: restart to use it",
        "supabase/migrations/20260202000000_more.sql changed: restart to use it",
      ];
      const logged = () =>
        lines.filter((line) => line.startsWith("watch: ")).map((line) => line.slice(7).replace(/, because .*/, ""));
      await eventually(() => expected.every((line) => logged().includes(line)), "three lines");
      await Deno.remove(`${fixture.root}/supabase/migrations/20260202000000_more.sql`);
      await Deno.remove(`${fixture.root}/functions/notes`, { recursive: true });
    });

    await t.step("do not load respond with the reason, and load again after a fix", async () => {
      const source = await Deno.readTextFile(`${fixture.root}/functions/probe/index.ts`);
      await fixture.write("functions/probe/index.ts", "import { nothing } from './nothing.ts'; nothing();");
      await eventually(async () => {
        const response = await fetch(probe);
        const text = await response.text();
        assertEquals(text.includes("\\u001b"), false, text);
        return response.status === 503 && text.includes("FUNCTION_LOAD_FAILED") && text.includes("nothing.ts");
      }, "a 503 that names the module");
      assertEquals(await (await fetch(`${stack.url}/functions/v1/health/pool`)).text(), "/health/pool");
      await fixture.write("functions/probe/index.ts", source.replace("version 2", "version 3"));
      await eventually(async () => await (await fetch(probe)).text() === "version 3", "the fixed version");
    });

    await t.step("never yield are replaced", async () => {
      assertEquals(await (await fetch(`${probe}/spin`)).text(), "spinning");
      await stack.functions.reload("probe");
      assertEquals(await (await fetch(probe)).text(), "version 3");
    });
  }, { MINE: "yes" });
});

Deno.test("Gateway", async (t) => {
  await withStack(async (stack, fixture) => {
    await t.step("lists the routes in the response to an unknown path", async () => {
      for (const path of ["/", "/functions/v1/", "/functions/v1/nope/x", "/storage/v2/", "/rest/v2/notes"]) {
        const response = await fetch(stack.url + path);
        const body = await response.json();
        assertEquals([response.status, body.code], [404, "NOT_FOUND"], path);
        assert(body.routes.includes("/functions/v1/probe/") && body.routes.includes("/rest/v1/"));
      }
    });

    await t.step("serves /health/pool as a shorthand", async () => {
      assertEquals(await (await fetch(`${stack.url}/health/pool`)).text(), "/health/pool");
    });

    await t.step("rejects other host names", async () => {
      const { hostname, port } = new URL(stack.url);
      const raw = async (host: string) => {
        using connection = await Deno.connect({ hostname, port: Number(port) });
        await connection.write(
          new TextEncoder().encode(`GET /health/pool HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        );
        const buffer = new Uint8Array(1_000);
        return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0)).split(" ")[1];
      };
      assertEquals(await raw(`rebound.example.com:${port}`), "421");
      assertEquals(await raw(`127.0.0.1:1`), "421");
      assertEquals(await raw(`localhost:${port}`), "200");
    });

    // The following steps read /proc.
    if (Deno.build.os !== "linux") return;

    await t.step("is the only entrance: the ports of its children reject other clients", async () => {
      const ports = (await listeners(fixture.root)).filter((port) => port !== new URL(stack.url).port);
      // Two functions and the Data API; Postgres does not speak HTTP.
      assert(ports.length >= 3, `found ports ${ports.join(", ")}`);
      for (const port of ports) {
        const status = await fetch(`http://127.0.0.1:${port}/probe/env`).then(async (response) => {
          await response.body?.cancel();
          return response.status;
        }, () => 403);
        assertEquals(status, 403, `port ${port}`);
      }
    });

    await t.step("responds 503 when the Data API crashes, until it has restarted", async () => {
      const read = () => fetch(`${stack.restUrl}/greetings`, { headers: { apikey: stack.publishableKey } });
      assertEquals((await read()).status, 200);
      const api = [...await descendants(fixture.root)].find(([, command]) =>
        /^\S*deno .*data_api\/main\.ts$/.test(command)
      );
      assert(api, "the process of the Data API");
      Deno.kill(api[0], "SIGKILL");
      const seen = new Set<number>();
      await eventually(async () => {
        const response = await read();
        const body = await response.json();
        if (response.status === 503) assertEquals(body.code, "DATA_API_UNAVAILABLE");
        seen.add(response.status);
        return seen.has(503) && response.status === 200;
      }, "a response of the new process");
      assertEquals([...seen].filter((status) => status !== 200 && status !== 503), []);
    });
  });
});
