/**
 * A small domain on the data layer, by the best practices of [docs/data.md](../docs/data.md#best-practices). As a script
 * it runs once against the database of `DB_*`:
 *
 *     DB_HOST=localhost DB_NAME=postgres DB_PASSWORD=… deno run -A examples/database_layer.ts
 *
 * @module
 */
import type { Generated, Selectable } from "kysely";
import {
  ConnectionWrapper,
  db,
  getDatabaseHealth,
  initializeDatabase,
  Repository,
  type RepositorySource,
  shutdownDatabase,
} from "../shared/data/mod.ts";
import { type PostgresConnectionManager, PostgresError } from "../shared/postgres/mod.ts";

/** The tables. `TablesOf<Database>` derives them from the types that the Supabase CLI generates. */
export type Tables = {
  users: {
    id: Generated<number>;
    name: string;
    email: string;
    active: Generated<boolean>;
    created_at: Generated<Date>;
  };
  profiles: { user_id: number; bio: string };
};

/** A user. */
export type User = Selectable<Tables["users"]>;

/** The statements that create the tables. */
export const SCHEMA = [
  `create table if not exists users (
    id int generated always as identity primary key,
    name text not null,
    email text not null constraint users_email_key unique,
    active bool not null default true,
    created_at timestamptz not null default now())`,
  "create table if not exists profiles (user_id int primary key references users on delete cascade, bio text not null)",
];

/** The email address is that of another user. Its message may be logged: it does not contain the address. */
export class EmailTakenError extends Error {}

/** The users: the only code that knows their table. */
export class UserRepository extends Repository<Tables, "users"> {
  /** Creates a repository; `source` decides who its caller is. */
  constructor(source: RepositorySource) {
    super(source, "users");
  }

  /** Returns the active users that joined last. */
  latest(count: number): Promise<Pick<User, "id" | "name">[]> {
    return this.table.select("id", "name").where("active", "=", true).orderBy("id", "desc").limit(count).get();
  }
}

/** The profiles. */
export class ProfileRepository extends Repository<Tables, "profiles", "user_id"> {
  /** Creates a repository; `source` decides who its caller is. */
  constructor(source: RepositorySource) {
    super(source, "profiles", "user_id");
  }
}

/** The use cases. It receives its database: a test passes another one. */
export class UserService {
  readonly #db: ConnectionWrapper;
  readonly #users: UserRepository;
  readonly #profiles: ProfileRepository;

  /** Creates a service that acts as `db` does: as the login role, or as a caller. */
  constructor(db: ConnectionWrapper) {
    this.#db = db;
    this.#users = new UserRepository(db);
    this.#profiles = new ProfileRepository(db);
  }

  /**
   * Adds a user with a profile: both, or neither.
   *
   * @throws {EmailTakenError}
   */
  async register(name: string, email: string, bio: string): Promise<User> {
    try {
      return await this.#db.withTransaction(async () => {
        const user = await this.#users.insert({ name, email });
        await this.#profiles.insert({ user_id: user.id, bio });
        return user;
      });
    } catch (error) {
      if (error instanceof PostgresError && error.constraint === "users_email_key") {
        throw new EmailTakenError("The email address is taken", { cause: error });
      }
      throw error;
    }
  }

  /** Returns a user, from the cache for up to a minute; `undefined` if there is none. */
  find(id: number): Promise<User | undefined> {
    return this.#db.getCache().getOrLoad(`user:${id}`, () => this.#users.find(id), 60);
  }

  /** Renames a user, and drops the cached one once that is committed. */
  async rename(id: number, name: string): Promise<User | undefined> {
    const renamed = await this.#users.update(id, { name });
    await this.#db.getCache().delete(`user:${id}`);
    return renamed;
  }

  /** Returns the names of the active users that joined last. */
  async latestNames(count: number): Promise<string[]> {
    return (await this.#users.latest(count)).map(({ name }) => name);
  }
}

/** Calls `log` when the database stops or begins to answer, and returns what stops that. */
export function watchHealth(pool: PostgresConnectionManager, log: (line: string) => void): Disposable {
  const subscriptions = new DisposableStack();
  subscriptions.use(pool.on("healthCheckFailed", ({ message }) => log(`The database does not answer: ${message}`)));
  subscriptions.use(pool.on("recovered", ({ downMs }) => log(`The database answers again, after ${downMs} ms`)));
  return subscriptions;
}

/** Adds the wait of every lease to `waits`, in ms, and returns what stops that. */
export function trackWaits(pool: PostgresConnectionManager, waits: number[]): Disposable {
  return pool.record({ waitTime: (waitedMs) => void waits.push(waitedMs) });
}

if (import.meta.main) {
  await initializeDatabase();
  try {
    for (const statement of SCHEMA) await db.query(statement);
    const service = new UserService(db);
    const user = await service.register("John", `john.${crypto.randomUUID()}@example.com`, "Hello");
    await service.rename(user.id, "John Doe");
    console.log(await service.find(user.id), await service.latestNames(3), (await getDatabaseHealth()).status);
  } finally {
    await shutdownDatabase();
  }
}
