import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parseLoadArguments } from "../../../local/load/arguments.ts";
import { openTarget, projectOf } from "../../../local/load/target.ts";
import { freePort } from "../../../local/ports.ts";
import { StackError } from "../../../local/stack_error.ts";

const USER = "11111111-1111-4111-8111-111111111111";
const never = new AbortController().signal;

const SIGNED_UP = () => Response.json({ access_token: "user-token", user: { id: USER } });

interface Arrived {
  readonly line: string;
  readonly apikey: string | null;
  readonly authorization: string | null;
  readonly body: string;
}

/** A project whose responses a test chooses. */
function startProject(respond: (path: string) => Response | Promise<Response>, signUp = () => SIGNED_UP()) {
  const arrived: Arrived[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const { headers } = request;
    const body = await request.text();
    const [apikey, authorization] = [headers.get("apikey"), headers.get("authorization")];
    arrived.push({ line: `${request.method} ${pathname}${search}`, apikey, authorization, body });
    if (pathname === "/auth/v1/signup") return signUp();
    return await respond(pathname);
  });
  const project = { url: `http://127.0.0.1:${server.addr.port}`, publishableKey: "publishable", secretKey: "secret" };
  return { arrived, project, [Symbol.asyncDispose]: () => server.shutdown() };
}

const fail = (line: string) => {
  throw new Error(line);
};

Deno.test("openTarget() signs a demo user up, calls as that user, and deletes the user", async () => {
  await using server = startProject(() => Response.json({}));
  {
    const args = parseLoadArguments(["--path", "?limit=1", "--body", "{}", "--header", "prefer: x"]);
    await using target = await openTarget(server.project, args, undefined, fail);
    assertEquals(await target.send(never), { status: 200, code: undefined });
  }
  const [, call, removal] = server.arrived;
  assertEquals(call, {
    line: "POST /functions/v1/budgets?limit=1",
    apikey: "publishable",
    authorization: "Bearer user-token",
    body: "{}",
  });
  assertEquals([removal?.line, removal?.apikey], [`DELETE /auth/v1/admin/users/${USER}`, "secret"]);
});

Deno.test("Target.send() leaves no timer and no listener behind", { sanitizeOps: true }, async () => {
  await using server = startProject(() => Response.json({}));
  await using target = await openTarget(server.project, parseLoadArguments(["--user", "none"]), undefined, fail);
  for (let n = 0; n < 3; n++) await target.send(never);
});

Deno.test("openTarget() calls without a user, with the secret key, or with a token, and signs no user up", async () => {
  await using server = startProject(() => Response.json({}));
  for (const user of ["none", "secret", "token"]) {
    await using target = await openTarget(server.project, parseLoadArguments(["--user", user], true), "of-env", fail);
    await target.send(never);
  }
  assertEquals(server.arrived.map(({ apikey, authorization }) => [apikey, authorization]), [
    ["publishable", null],
    ["secret", null],
    ["publishable", "Bearer of-env"],
  ]);
});

Deno.test("Target.send() returns the code of each kind of refusal, and of a missing response", async () => {
  const bodies: [Response, string | undefined][] = [
    [Response.json({ code: "POOL_QUEUE_FULL" }, { status: 503 }), "POOL_QUEUE_FULL"],
    [Response.json({ code: 429, error_code: "over_request_rate_limit" }, { status: 429 }), "over_request_rate_limit"],
    [Response.json({ code: "<script>" }, { status: 500 }), undefined],
    [new Response("not JSON", { status: 502 }), undefined],
    [new Response("null", { status: 500 }), undefined],
  ];
  const pending = bodies.map(([response]) => response);
  await using server = startProject((path) =>
    path.endsWith("/slow")
      ? new Promise((resolve) => setTimeout(() => resolve(new Response()), 1_000))
      : pending.shift() ?? fail("no more")
  );
  const open = (...args: string[]) =>
    openTarget(server.project, parseLoadArguments(["--user", "none", ...args]), undefined, fail);
  {
    await using target = await open();
    for (const [{ status }, code] of bodies) assertEquals(await target.send(never), { status, code });
  }
  {
    await using slow = await open("--path", "/slow", "--timeout", "0.2");
    assertEquals(await slow.send(never), { status: undefined, code: "timeout" });
    assertEquals(await slow.send(AbortSignal.abort()), { status: undefined, code: "aborted" });
  }
  const gone = { ...server.project, url: `http://127.0.0.1:${freePort()}` };
  await using refused = await openTarget(gone, parseLoadArguments(["--user", "none"]), undefined, fail);
  assertEquals((await refused.send(never)).code, "connection refused");
});

Deno.test("openTarget() says what to do if no user can be signed up, and warns of one that stays", async () => {
  const gone = { url: "http://127.0.0.1:1", publishableKey: "publishable", secretKey: "secret" };
  const error = await assertRejects(() => openTarget(gone, parseLoadArguments([]), undefined, fail), StackError);
  assert(error.message.includes("it does not respond: start the stack with") && !error.message.includes("publishable"));
  const warnings: string[] = [];
  await using server = startProject(() => new Response("", { status: 500 }));
  {
    await using _target = await openTarget(
      server.project,
      parseLoadArguments([]),
      undefined,
      (line) => warnings.push(line),
    );
  }
  assertEquals(warnings, [`The user ${USER} of this run was not deleted, because Auth responded 500.`]);
});

Deno.test("openTarget() says why Auth signs no user up, and leaves none behind", async () => {
  const responses: [() => Response, RegExp, number][] = [
    [
      () => Response.json({ error_code: "signup_disabled" }, { status: 422 }),
      /Auth responded 422 signup_disabled: pass/,
      1,
    ],
    [() => Response.json({ id: USER }), /must confirm their address first: pass --user none/, 2],
    [() => new Response("<html>", { status: 502 }), /Auth responded 502: see the output of the stack/, 1],
    [() => Response.json(null), /Auth responded 200: pass --user none/, 1],
  ];
  for (const [signUp, message, requests] of responses) {
    await using server = startProject(() => Response.json({}), signUp);
    const open = () => openTarget(server.project, parseLoadArguments([]), undefined, fail);
    assertMatch((await assertRejects(open, StackError)).message, message);
    assertEquals(server.arrived.length, requests);
  }
});

Deno.test("openTarget() refuses a token that no header can have, and does not repeat it", async () => {
  await using server = startProject(() => fail("no request"));
  for (const token of ["x-marks the\nspot", "x-marks\u00e9", undefined]) {
    const open = () => openTarget(server.project, parseLoadArguments(["--user", "token"], true), token, fail);
    const error = await assertRejects(open, StackError, "LOAD_TOKEN contains white space or other characters");
    assertEquals([error.code, error.message.includes("x-marks")], ["USAGE", false]);
  }
  assertEquals(server.arrived, []);
});

Deno.test("projectOf() takes the publishable key of another project, warns without one, and refuses a secret key", async () => {
  const args = parseLoadArguments(["--url", "https://example.com", "--yes"]);
  const url = "https://example.com";
  assertEquals(await projectOf(args, " sb_publishable_1 ", fail), {
    url,
    publishableKey: "sb_publishable_1",
    secretKey: undefined,
  });
  const warnings: string[] = [];
  const { publishableKey } = await projectOf(args, undefined, (line) => warnings.push(line));
  assertEquals([publishableKey, warnings.length], [undefined, 1]);
  assertMatch(warnings[0] ?? "", /^SUPABASE_PUBLISHABLE_KEY is not set/);
  // A legacy service_role key.
  const legacy = `e30.${btoa(JSON.stringify({ role: "service_role" }))}.x-marks`;
  for (const key of ["sb_secret_x-marks", "sbp_x-marks", legacy, "x-marks the spot"]) {
    const error = await assertRejects(() => projectOf(args, key, fail), StackError);
    assertEquals([error.code, error.message.includes("x-marks")], ["USAGE", false]);
  }
});
