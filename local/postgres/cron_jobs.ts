/**
 * Runs the jobs of `pg_cron`, and records the runs in `cron.job_run_details`.
 *
 * @module
 */
import postgres, { type Sql } from "postgres";
import { messageOf } from "../../shared/resilience/mod.ts";
import { parseSchedule } from "./cron_schedule.ts";

interface Job {
  readonly jobid: string;
  readonly schedule: string;
  readonly command: string;
  readonly database: string;
  readonly username: string;
}

/** Options for {@linkcode CronJobs}. */
export interface CronJobsOptions {
  /** The URL for a superuser. */
  readonly superuserUrl: string;
  /** The URL for `postgres`, who owns the jobs of migrations. */
  readonly postgresUrl: string;
  /** The clock, in ms. Default: that of the system. */
  readonly now?: () => number;
}

/** Returns the message of a run that succeeded, as `pg_cron` words it. */
function outcomeOf(result: { readonly command?: string; readonly count?: number | null }): string {
  const { command = "", count } = result;
  if (command === "SELECT") return count === 1 ? "1 row" : `${count ?? 0} rows`;
  if (command === "INSERT") return `INSERT 0 ${count ?? 0}`;
  return count === null || count === undefined ? command : `${command} ${count}`;
}

/** Runs jobs when they are due. A job that still runs is not started again. */
export class CronJobs {
  readonly #options: CronJobsOptions;
  readonly #now: () => number;
  readonly #running = new Map<string, Promise<void>>();
  readonly #started = new Map<string, number>();
  #minute: number;

  /** Jobs are due from the next minute on. */
  constructor(options: CronJobsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#minute = Math.floor(this.#now() / 60_000);
  }

  /** Starts the jobs that are due. @param sql A connection of a superuser. */
  async tick(sql: Sql): Promise<void> {
    const now = this.#now();
    const minute = Math.floor(now / 60_000);
    const isNewMinute = minute > this.#minute;
    this.#minute = minute;
    const jobs = await sql<Job[]>`
      select jobid::text, schedule, command, database, username from cron.job where active order by jobid`;
    for (const job of jobs) {
      const schedule = parseSchedule(job.schedule);
      if (!schedule || this.#running.has(job.jobid)) continue;
      if ("everyS" in schedule) {
        const last = this.#started.get(job.jobid);
        if (last === undefined) this.#started.set(job.jobid, now);
        if (last === undefined || now - last < schedule.everyS * 1000) continue;
        this.#started.set(job.jobid, now);
      } else if (!isNewMinute || !schedule.matches(new Date(minute * 60_000))) continue;
      const run = this.#run(sql, job).catch(() => {}).finally(() => this.#running.delete(job.jobid));
      this.#running.set(job.jobid, run);
    }
  }

  /** Waits for the jobs that run, for at most `timeoutMs`. */
  async settle(timeoutMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    await Promise.race([Promise.all(this.#running.values()), late]);
    clearTimeout(timer);
  }

  async #run(sql: Sql, job: Job): Promise<void> {
    const [row] = await sql<{ runid: string }[]>`
      insert into cron.job_run_details (jobid, database, username, command, status, start_time)
      values (${job.jobid}, ${job.database}, ${job.username}, ${job.command}, 'running', clock_timestamp())
      returning runid::text`;
    const [status, message] = await this.#execute(job).then(
      (text) => ["succeeded", text] as const,
      (error) => ["failed", `ERROR:  ${messageOf(error)}`] as const,
    );
    await sql`update cron.job_run_details
      set status = ${status}, return_message = ${message}, end_time = clock_timestamp() where runid = ${
      row?.runid ?? ""
    }`;
  }

  async #execute({ command, database, username }: Job): Promise<string> {
    const { superuserUrl, postgresUrl } = this.#options;
    const isPostgres = username === "postgres";
    const url = Object.assign(new URL(isPostgres ? postgresUrl : superuserUrl), { pathname: `/${database}` });
    const sql = postgres(url.href, { max: 1, onnotice: () => {}, connection: { application_name: "pg_cron" } });
    try {
      if (!isPostgres) await sql.unsafe(`set session authorization "${username.replaceAll('"', '""')}"`);
      const result = await sql.unsafe(command).simple();
      const last: unknown = Array.isArray(result) && Array.isArray(result.at(-1)) ? result.at(-1) : result;
      return outcomeOf(last as { command?: string; count?: number | null });
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
}
