import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { launchers } from "../../local/cli/ancestors.ts";
import { isoTimestamp } from "../../local/data_api/lite_app.ts";
import { StackError } from "../../local/stack_error.ts";
import { loadKeys } from "../../local/keys.ts";
import { lockProject } from "../../local/lock.ts";
import { portError, requirePort } from "../../local/ports.ts";
import { prepareState } from "../../local/project.ts";
import { findCandidates } from "../../local/postgres/unix_user.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "local-stack-test-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("loadKeys() creates keys once, in a file that only its owner can read", () =>
  inFolder(async (folder) => {
    const path = `${folder}/keys.json`;
    const keys = await loadKeys(path);
    assertEquals(await loadKeys(path), keys);
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assert(keys.publishableKey.startsWith("sb_publishable_") && keys.secretKey.startsWith("sb_secret_"));
    assertEquals(new Set(Object.values(keys)).size, 7);
    assertNotEquals((await loadKeys(`${folder}/others.json`)).jwtSecret, keys.jwtSecret);
    await Deno.chmod(path, 0o644);
    await loadKeys(path);
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }));

Deno.test("loadKeys() adds a signing key to a file of an earlier version, and keeps it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/keys.json`;
    const { signingKey: _, ...earlier } = await loadKeys(path);
    await Deno.writeTextFile(path, JSON.stringify(earlier));
    const { signingKey, ...keys } = await loadKeys(path);
    assertEquals(keys, earlier);
    assertEquals((await loadKeys(path)).signingKey, signingKey);
    assertEquals(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    await Deno.writeTextFile(path, JSON.stringify({ ...keys, signingKey: '{"kty":"oct","k":"topsecret"}' }));
    assertEquals((await assertRejects(() => loadKeys(path), StackError)).code, "DATA_DAMAGED");
  }));

Deno.test("prepareState() keeps the state folder out of git", () =>
  inFolder(async (folder) => {
    const git = async (...args: string[]) => {
      const { stdout, success } = await new Deno.Command("git", { args: ["-C", folder, ...args] }).output();
      assert(success);
      return new TextDecoder().decode(stdout);
    };
    await git("init", "-q");
    await prepareState(`${folder}/.local`);
    await loadKeys(`${folder}/.local/keys.json`);
    assertEquals(await git("status", "--porcelain", "--untracked-files=all"), "");
  }));

Deno.test("loadKeys() reports a damaged file in one line without its content", () =>
  inFolder(async (folder) => {
    const path = `${folder}/keys.json`;
    for (const text of ["", "{", "null", '{"secretKey":"sb_secret_topsecrettopsecret"}']) {
      await Deno.writeTextFile(path, text);
      const error = await assertRejects(() => loadKeys(path), StackError, "--reset");
      assertEquals([error.code, error.message.includes("topsecret")], ["DATA_DAMAGED", false]);
    }
  }));

Deno.test("lockProject() locks a project once, until it is disposed of", () =>
  inFolder(async (folder) => {
    {
      using _lock = await lockProject(folder);
      const error = await assertRejects(() => lockProject(folder), StackError, `kill ${Deno.pid}`);
      assertEquals(error.code, "ALREADY_RUNNING");
    }
    (await lockProject(folder))[Symbol.dispose]();
  }));

Deno.test("launchers() returns the launchers above a process", async () => {
  const table: Record<number, { parent: number; command: string }> = {
    50: { parent: 40, command: "deno run -A local/dev.ts" },
    40: { parent: 30, command: "/x/deno task dev" },
    30: { parent: 20, command: "sh -c deno task dev" },
    20: { parent: 10, command: "node /usr/bin/npx -y deno task dev" },
    10: { parent: 1, command: "-bash" },
  };
  const chain = await launchers(50, (pid) => Promise.resolve(table[pid]));
  assertEquals(chain.map(({ pid }) => pid), [40, 30, 20]);
  assertEquals(await launchers(10, (pid) => Promise.resolve(table[pid])), []);
});

Deno.test('findCandidates() returns the users "postgres" and "nobody", and no user with the id of root', () => {
  const passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\npostgres:x:101:104::/:/bin/sh\n";
  assertEquals(findCandidates(passwd), [{ uid: 101, gid: 104 }, { uid: 65534, gid: 65533 }]);
  assertEquals(findCandidates("postgres:x:0:0::/:/bin/sh\nnobody:*:-2:-2::/:/bin/false"), [
    { uid: 4294967294, gid: 4294967294 },
  ]);
  assertEquals(findCandidates(""), []);
});

Deno.test("isoTimestamp() writes timestamps as PostgREST does", () => {
  const cases: [string, string][] = [
    ["2026-01-02 03:04:05.678+00", "2026-01-02T03:04:05.678+00:00"],
    ["2026-01-02 03:04:05-03", "2026-01-02T03:04:05-03:00"],
    ["2026-01-02 03:04:05+05:30", "2026-01-02T03:04:05+05:30"],
    ["2026-01-02 03:04:05", "2026-01-02T03:04:05"],
    ["infinity", "infinity"],
  ];
  for (const [from, to] of cases) assertEquals(isoTimestamp(from), to);
});

Deno.test("requirePort() reports a port that cannot be listened on in one line", () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = assertThrows(() => requirePort(listener.addr.port, "--port"), StackError, "--port <port>");
  assertEquals(taken.code, "PORT_TAKEN");
  const forbidden = portError(new Deno.errors.PermissionDenied("no"), 80, "--db-port");
  assertEquals([forbidden.code, forbidden.message], [
    "PORT_FORBIDDEN",
    "This user may not listen on port 80: choose one above 1023 with --db-port <port>.",
  ]);
  requirePort(0, "--port");
});
