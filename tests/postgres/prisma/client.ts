/**
 * The client that Prisma generates for the tests here, as far as they use it. Its own types are checked by `types.ts` of
 * the project that `project.ts` writes.
 *
 * @module
 */

/** An operation that has not run yet: it runs once it is awaited, or in a transaction. */
export interface Operation<R> extends Promise<R> {
  readonly [Symbol.toStringTag]: "PrismaPromise";
}

/** A row of the table `Account`. */
export interface Account {
  readonly id: number;
  readonly email: string;
  readonly balance: bigint;
  readonly notes?: readonly { readonly text: string }[];
}

/** The operations of a model. */
export interface Accounts {
  create(args: unknown): Operation<Account>;
  findMany(args?: unknown): Operation<Account[]>;
  findUnique(args: unknown): Operation<Account | null> & { notes(): Operation<Account["notes"] | null> };
  findUniqueOrThrow(args: unknown): Operation<Account>;
  update(args: unknown): Operation<Account>;
  upsert(args: unknown): Operation<Account>;
  deleteMany(args?: unknown): Operation<{ readonly count: number }>;
  count(args?: unknown): Operation<number>;
}

/** A client, or that of a transaction. */
export interface Client {
  readonly account: Accounts;
  $queryRaw<R>(text: TemplateStringsArray, ...values: unknown[]): Operation<R>;
  $queryRawUnsafe<R>(text: string, ...values: unknown[]): Operation<R>;
  $executeRaw(text: TemplateStringsArray, ...values: unknown[]): Operation<number>;
  $transaction<R>(work: (tx: Client) => Promise<R>): Promise<R>;
  $transaction(operations: readonly Operation<unknown>[]): Promise<unknown[]>;
  $extends<C extends Client = Client>(extension: unknown): C;
  $on(event: "query", listener: (event: { readonly query: string }) => void): void;
  $disconnect(): Promise<void>;
}

/** The module of the project that creates clients. */
export interface ClientModule {
  /** Creates a client that emits an event per statement. */
  createClient(connectionString: string, maxConnections: number): Client;
}
