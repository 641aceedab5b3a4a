import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  ForeignAddressError,
  RedirectError,
  SupabaseConnectionPool,
  transportFailure,
} from "../../shared/supabase/mod.ts";
import { startFakeProject, userToken } from "../support/fake_project.ts";
import { createRig, fetchOf, SECRET } from "./support.ts";
import { until } from "../support/until.ts";

const alice = userToken("alice");

const redirect = (status: number, location: string) => new Response("moved", { status, headers: { location } });

/** Responds to the first request with a redirect, and to others with the received request. */
function once(status: number, location: string) {
  let asked = 0;
  return async (request: Request) =>
    asked++ === 0 ? redirect(status, location) : Response.json([request.method, await request.text()]);
}

for (const status of [301, 302, 303, 307, 308]) {
  Deno.test(`fetchWithinProject() rejects a redirect (${status}) to another origin and sends no key there`, async () => {
    await using rig = createRig({}, SECRET);
    await using other = startFakeProject();
    rig.project.answer = () => redirect(status, `${other.url}/steal`);
    await using lease = await rig.pool.lease();
    const { error } = await lease.client.from("a").insert({ secret: 1 });
    assertInstanceOf(transportFailure(lease.client, error), ForeignAddressError);
    assertEquals([rig.project.requests.length, other.requests.length], [1, 0]);
  });
}

Deno.test("fetchWithinProject() follows a redirect within the project as the same caller", async () => {
  await using rig = createRig();
  rig.project.answer = once(307, "/rest/v1/b?select=id");
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const response = await fetchOf(lease.client)(`${rig.project.url}/rest/v1/a`);
  assertEquals(await response.json(), ["GET", ""]);
  assertEquals(rig.project.requests.map(({ path, authorization }) => [path, authorization]), [
    ["/rest/v1/a", `Bearer ${alice}`],
    ["/rest/v1/b?select=id", `Bearer ${alice}`],
  ]);
  assertEquals(response.url, `${rig.project.url}/rest/v1/b?select=id`);
});

for (
  const [status, method, becomes, body] of [
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "POST", "GET", ""],
    [303, "PATCH", "GET", ""],
    [301, "PATCH", "PATCH", "[1]"],
    [302, "PUT", "PUT", "[1]"],
    [307, "POST", "POST", "[1]"],
    [308, "PATCH", "PATCH", "[1]"],
  ] as const
) {
  Deno.test(`fetchWithinProject() sends ${method} as ${becomes} after a ${status}`, async () => {
    await using rig = createRig();
    rig.project.answer = once(status, "b");
    await using lease = await rig.pool.lease();
    const headers = { "content-type": "application/json", "x-kept": "1" };
    const response = await fetchOf(lease.client)(`${rig.project.url}/x/a`, { method, body: "[1]", headers });
    assertEquals(await response.json(), [becomes, body]);
    const last = rig.project.requests[1];
    assertEquals(last?.path, "/x/b");
    assertEquals(last?.headers.get("content-type"), body === "" ? null : "application/json");
    assertEquals(last?.headers.get("x-kept"), "1");
  });
}

Deno.test("fetchWithinProject() sends HEAD as HEAD after a 303", async () => {
  await using rig = createRig();
  rig.project.answer = once(303, "/b");
  await using lease = await rig.pool.lease();
  await fetchOf(lease.client)(`${rig.project.url}/a`, { method: "HEAD" });
  assertEquals(rig.project.requests.map(({ method }) => method), ["HEAD", "HEAD"]);
});

Deno.test("fetchWithinProject() does not send a streamed body twice", async () => {
  await using rig = createRig();
  rig.project.answer = async (request) => (await request.text(), redirect(307, "/b"));
  await using lease = await rig.pool.lease();
  const body = () => new Blob(["x"]).stream();
  const call = fetchOf(lease.client)(`${rig.project.url}/a`, { method: "POST", body: body() });
  assertStringIncludes((await assertRejects(() => call, RedirectError)).message, "stream");
  rig.project.answer = async (request) => {
    await request.text();
    return request.method === "POST" ? redirect(303, "/b") : new Response("seen");
  };
  const other = await fetchOf(lease.client)(`${rig.project.url}/a`, { method: "POST", body: body() });
  assertEquals(await other.text(), "seen");
});

Deno.test("fetchWithinProject() rejects after twenty redirects", async () => {
  await using rig = createRig();
  rig.project.answer = () => redirect(302, "/again");
  await using lease = await rig.pool.lease();
  const error = await assertRejects(() => fetchOf(lease.client)(`${rig.project.url}/a`), RedirectError);
  assertEquals(error.code, "REDIRECT_REFUSED");
  assertEquals(rig.project.requests.length, 21);
});

Deno.test('fetchWithinProject() honors the options redirect: "error" and "manual"', async () => {
  await using rig = createRig();
  rig.project.answer = () => redirect(307, "/b");
  await using lease = await rig.pool.lease();
  const url = `${rig.project.url}/a`;
  await assertRejects(() => fetchOf(lease.client)(url, { redirect: "error" }), RedirectError);
  const response = await fetchOf(lease.client)(url, { redirect: "manual" });
  assertEquals([response.status, response.headers.get("location"), await response.text()], [307, "/b", "moved"]);
  const asked = await fetchOf(lease.client)(new Request(url, { redirect: "manual" }));
  assertEquals([asked.status, await asked.text()], [307, "moved"]);
  assertEquals(rig.project.requests.length, 3);
});

Deno.test("fetchWithinProject() returns a redirect status without a location", async () => {
  await using rig = createRig();
  rig.project.answer = () => new Response("none", { status: 302 });
  await using lease = await rig.pool.lease();
  assertEquals(await (await fetchOf(lease.client)(`${rig.project.url}/a`)).text(), "none");
});

Deno.test("fetchWithinProject() rejects a redirect to an invalid URL or another protocol", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease();
  for (const location of ["http://[", "file:///etc/passwd", "data:,x"]) {
    rig.project.answer = () => redirect(302, location);
    await assertRejects(() => fetchOf(lease.client)(`${rig.project.url}/a`), ForeignAddressError);
  }
});

Deno.test("fetchWithinProject() never sends credentials outside the project", async () => {
  await using rig = createRig();
  await using other = startFakeProject();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const { host } = new URL(rig.project.url);
  for (
    const url of [
      `${other.url}/rest/v1/x`,
      `${rig.project.url}.example.org/`,
      `http://user:pass@${host}/x`,
      `${rig.project.url}@127.0.0.1:1/x`,
      "/rest/v1/x",
      "",
    ]
  ) {
    const error = await assertRejects(() => fetchOf(lease.client)(url), ForeignAddressError);
    assertEquals(error.message.includes("pass@"), false);
  }
  await assertRejects(() => fetchOf(lease.client)(new Request(`${other.url}/x`)), ForeignAddressError);
  assertEquals([rig.project.requests.length, other.requests.length], [0, 0]);
});

Deno.test("fetchWithinProject() rejects dots in a path that lead out of a project below a path", async () => {
  await using project = startFakeProject();
  const pool = SupabaseConnectionPool.getInstance(`${project.url}/a`, SECRET);
  {
    await using lease = await pool.lease();
    for (const path of ["/../b/rest/v1/x", "/%2e%2e/b/x", "/..\\b/x", "x/y"]) {
      await assertRejects(() => fetchOf(lease.client)(`${project.url}/a${path}`), ForeignAddressError);
    }
    const { error } = await lease.client.functions.invoke("../../../b/functions/v1/x");
    assert(error);
    await (await fetchOf(lease.client)(`${project.url}/b/../a/x`)).text();
  }
  await pool.shutdown(0);
  assertEquals(project.requests.map(({ path }) => path), ["/a/x"]);
});

Deno.test("fetchWithinProject() sends to the URL it checked, although the URL object changes", async () => {
  await using rig = createRig({ maxConnections: 1 });
  await using other = startFakeProject();
  await using scope = rig.pool.scope({ identity: { token: alice } });
  const url = new URL(`${rig.project.url}/x`);
  const call = fetchOf(scope.client())(url);
  url.href = `${other.url}/steal`;
  await (await call).text();
  assertEquals([rig.project.requests.length, other.requests.length], [1, 0]);
});

Deno.test("LeaseFetch.fetch() keeps the method, headers, body and signal of a Request, with the lease's credentials", async () => {
  await using rig = createRig();
  rig.project.answer = async (request) => Response.json([request.method, await request.text()]);
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const controller = new AbortController();
  const url = `${rig.project.url}/x`;
  const init = {
    method: "PUT",
    body: "[1]",
    headers: { "x-own": "1", authorization: "Bearer x" },
    signal: controller.signal,
  };
  const response = await fetchOf(lease.client)(new Request(url, init));
  assertEquals(await response.json(), ["PUT", "[1]"]);
  const replaced = await fetchOf(lease.client)(new Request(url, init), { method: "PATCH", headers: { "x-own": "2" } });
  assertEquals(await replaced.json(), ["PATCH", "[1]"]);
  assertEquals(rig.project.requests.map(({ headers, authorization }) => [headers.get("x-own"), authorization]), [
    ["1", `Bearer ${alice}`],
    ["2", `Bearer ${alice}`],
  ]);
  assertEquals(rig.project.requests[0]?.headers.get("content-length"), "3");
  rig.project.answer = () => new Promise(() => {});
  const call = fetchOf(lease.client)(new Request(url, init));
  await until("three requests arrive", () => rig.project.requests.length >= 3);
  controller.abort(new Error("gone"));
  await assertRejects(() => call, Error, "gone");
});

Deno.test("fetchWithinProject() sends the lease's credentials after a redirect, whatever headers the query has", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const meddling: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (init?.headers instanceof Headers) {
      init.headers.set("authorization", "Bearer mallory");
      init.headers.set("apikey", "another");
    }
    return response;
  };
  rig.project.answer = () =>
    rig.project.requests.length > 1
      ? Response.json([])
      : new Response(null, { status: 307, headers: { location: "/rest/v1/b" } });
  const { rest } = lease.client as unknown as { rest: { wrapFetch: (inner: typeof fetch) => typeof fetch } };
  const response = await rest.wrapFetch(meddling)(`${rig.project.url}/rest/v1/a`, { headers: new Headers() });
  assertEquals(await response.text(), "[]");
  assertEquals(rig.project.requests.map(({ path, apikey, authorization }) => [path, apikey, authorization]), [
    ["/rest/v1/a", "sb_publishable_test", `Bearer ${alice}`],
    ["/rest/v1/b", "sb_publishable_test", `Bearer ${alice}`],
  ]);
});

Deno.test("fetchWithinProject() follows a redirect of a Request with a body that is sent once", async () => {
  await using rig = createRig();
  rig.project.answer = async (request) => {
    const text = await request.text();
    return request.url.endsWith("/a") ? redirect(303, "/b") : new Response(`${request.method} ${text}`);
  };
  await using lease = await rig.pool.lease();
  const response = await fetchOf(lease.client)(new Request(`${rig.project.url}/a`, { method: "POST", body: "x" }));
  assertEquals(await response.text(), "GET ");
  rig.project.answer = async (request) => (await request.text(), redirect(307, "/b"));
  const again = fetchOf(lease.client)(new Request(`${rig.project.url}/a`, { method: "POST", body: "x" }));
  assertStringIncludes((await assertRejects(() => again, RedirectError)).message, "stream");
});
