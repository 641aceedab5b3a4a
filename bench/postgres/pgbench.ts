/**
 * The C client beside ours: `pgbench -M prepared` (PostgreSQL, "pgbench"), with the same statements and connections.
 *
 * @module
 */
import type { Candidate, Case } from "../support/case.ts";
import { BUDGET_MS, type Metric } from "./cases.ts";
import type { Login } from "./database.ts";
import { CONNECTIONS, measuring, ONE, TWENTY, WORK, type Work } from "./work.ts";

/** The callers at once: each client of pgbench has a connection. */
export const CLIENTS = CONNECTIONS;

/** The folders of pgbench: those of Debian's servers, the newest first. The one on the search path is a wrapper there. */
function folders(): string[] {
  const found: string[] = [];
  try {
    for (const { name } of Deno.readDirSync("/usr/lib/postgresql")) found.push(`/usr/lib/postgresql/${name}/bin`);
  } catch {
    // Another system, or none is installed.
  }
  found.sort((one, other) => other.localeCompare(one, "en", { numeric: true }));
  return [...found, ...(Deno.env.get("PATH") ?? "").split(":")];
}

/** Returns the search path for pgbench. */
export function pgbenchPath(): string {
  return folders().join(":");
}

/** Returns the program; `undefined` where it is not installed. */
export function findPgbench(): string | undefined {
  return folders().map((folder) => `${folder}/pgbench`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Selects a row by the key in a variable. */
const oneOf = (variable: string) => `${ONE.replace("$1", `:${variable}`)};\n`;

/** The scripts, by the work that they do. */
const SCRIPTS: Readonly<Record<keyof Work, string>> = {
  one: `\\set id random(1, 900)\n${oneOf("id")}`,
  twenty: `\\set id random(1, 900)\n${TWENTY.replace("$1", ":id")};\n`,
  transaction: "\\set id random(1, 900)\n\\set next :id + 1\n\\set last :id + 2\n" +
    `begin;\n${oneOf("id")}${oneOf("next")}${oneOf("last")}commit;\n`,
};

/**
 * Runs a script.
 *
 * @param count The number of times that each client runs it.
 * @returns How many times a second it ran, without connecting.
 */
async function runScript(program: string, login: Login, script: string, count: number): Promise<number> {
  const { host, port, user, password, database } = login;
  const args = ["--no-vacuum", "--protocol=prepared", `--client=${CLIENTS}`, `--transactions=${count}`];
  const { stdout, stderr } = await new Deno.Command(program, {
    args: [...args, `--file=${script}`, `--host=${host}`, `--port=${port}`, `--username=${user}`, database],
    env: { PGPASSWORD: password },
  }).output();
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(new TextDecoder().decode(stdout))?.[1]);
  if (!(perSecond > 0)) throw new Error(`pgbench failed: ${new TextDecoder().decode(stderr)}`);
  return perSecond;
}

/** Cases, and what they use. */
export interface PgbenchCases extends AsyncDisposable {
  readonly cases: readonly Case<Metric>[];
}

/** The id of the case of some work. */
export const pgbenchCaseId = (work: keyof Work): string => `pgbench_${work}`;

/**
 * Returns the cases of as many callers as connections, for ours and pgbench.
 *
 * @param program The program. Default: the installed one; without it, only ours is measured.
 */
export async function pgbenchCases(login: Login, ours: Work, program = findPgbench()): Promise<PgbenchCases> {
  const folder = await Deno.makeTempDir({ prefix: "bench-pgbench-" });
  const cases: Case<Metric>[] = [];
  for (const work of WORK) {
    const { id, title } = work;
    const script = `${folder}/${id}.sql`;
    await Deno.writeTextFile(script, SCRIPTS[id]);
    const candidates: Candidate<Metric>[] = [];
    if (program !== undefined) {
      let perSecond = 1_000;
      candidates.push({
        id: "pgbench",
        title: "pgbench, a client in C",
        async measure() {
          const count = Math.ceil(perSecond * BUDGET_MS / 1_000 / CLIENTS);
          perSecond = await runScript(program, login, script, count);
          return { perSecond };
        },
      });
    }
    const measure = measuring(ours, work, CLIENTS, BUDGET_MS);
    candidates.push({
      id: "ours",
      title: "ours",
      measure: async () => ({ perSecond: (await measure()).perSecond ?? NaN }),
    });
    cases.push({ id: pgbenchCaseId(id), title: `${CLIENTS} callers, ${title}`, metrics: ["perSecond"], candidates });
  }
  return { cases, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}
