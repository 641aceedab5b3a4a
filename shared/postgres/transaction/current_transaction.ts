/**
 * The transaction in whose function the running code is, by the async context.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { OutsideTransactionError, TransactionEndedError } from "../errors/transaction_error.ts";
import type { TransactionWork } from "../postgres_pool.ts";
import type { Transaction } from "./transaction.ts";

/** The pool and the identity of a transaction. */
export interface TransactionOwner {
  /** The number of the pool. */
  readonly pool: number;
  /** The role and the user, or the login role. */
  readonly identity: string;
  /** The claims of the user, as JSON. Those of two tokens of one user may differ. */
  readonly claims: string | undefined;
}

/** A transaction that is open, and the claims that it runs with. */
interface OpenTransaction {
  readonly transaction: Transaction;
  readonly claims: string | undefined;
}

/** The mark of a transaction's function. */
export interface TransactionMark {
  readonly pool: number;
  readonly identity: string;
  /** `undefined` once the transaction has ended. */
  open: OpenTransaction | undefined;
  /** True once the function has ended. Until then it may use the pool behind a commit by hand. */
  returned: boolean;
}

/**
 * The marks of the functions that code runs in. The runtime keeps them until the next full collection for each response
 * of `fetch`, and with them all that they refer to: numbers and names, and a transaction only until it ends.
 */
interface Context {
  /** The mark of the innermost function. */
  own: TransactionMark | undefined;
  /** The marks of the enclosing functions, the inner ones first. */
  readonly outer: readonly TransactionMark[];
}

/** The context of a function that {@linkcode runInContext} has called. It is opaque. */
export type TransactionContext = object;

const contexts = new AsyncLocalStorage<Context>();

/** The number of ended transactions whose late work is recognized in a new one: work may start work without end. */
const MAX_ENDED = 16;

let pools = 0;

/** Returns the number of a new pool. */
export function nextPool(): number {
  return ++pools;
}

/** Creates the mark of a transaction's function. */
export function markOf({ pool, identity, claims }: TransactionOwner, transaction: Transaction): TransactionMark {
  return { pool, identity, open: { transaction, claims }, returned: false };
}

const NONE: readonly TransactionMark[] = [];

/** Returns the marks of the functions that the running code is in, the innermost first. */
function marks(): readonly TransactionMark[] {
  const context = contexts.getStore();
  if (!context) return NONE;
  return context.own ? [context.own, ...context.outer] : context.outer;
}

/** Returns the marks that a function which begins now is enclosed by. */
function enclosingMarks(): readonly TransactionMark[] {
  const all = marks();
  if (all.length === 0) return NONE;
  let ended = 0;
  // Behind an ended one of the same pool and identity, no search goes on.
  return all.filter((mark, index) =>
    !mark.returned ||
    (ended++ < MAX_ENDED && !all.slice(0, index).some((inner) =>
      inner.returned && inner.pool === mark.pool && inner.identity === mark.identity
    ))
  );
}

/**
 * Calls the function of a transaction, so that what it runs finds the transaction. A statement that it returns and that
 * runs when it is awaited is awaited inside, too.
 */
export function runMarked<T>(mark: TransactionMark, work: TransactionWork<T>, transaction: Transaction): Promise<T> {
  return contexts.run({ own: mark, outer: enclosingMarks() }, () => {
    const result = work(transaction);
    return result instanceof Promise ? result : Promise.resolve(result);
  });
}

/**
 * Calls a function that is not the one of a transaction, but runs statements in one that begins meanwhile: once the context
 * is passed to {@linkcode joinContext}, what it runs finds the transaction.
 */
export function runInContext<T>(work: (context: TransactionContext) => T): T {
  const context: Context = { own: undefined, outer: enclosingMarks() };
  return contexts.run(context, work, context);
}

/** Adds the transaction in whose function the running code is to a context. */
export function joinContext(context: TransactionContext): void {
  (context as Context).own = contexts.getStore()?.own;
}

/** Returns whether the running code is in the function of any transaction, or was started there. */
export function isInTransaction(): boolean {
  return contexts.getStore() !== undefined;
}

/**
 * Returns the innermost transaction of a pool and identity in whose function the running code is; `undefined` outside of
 * any.
 *
 * @throws {TransactionEndedError} when the transaction in whose function the code was started has ended.
 */
function findOpen({ pool, identity }: TransactionOwner): OpenTransaction | undefined {
  for (const mark of marks()) {
    if (mark.pool !== pool || mark.identity !== identity) continue;
    if (mark.returned) throw new TransactionEndedError("detached");
    if (mark.open) return mark.open;
  }
  return undefined;
}

/**
 * Returns the innermost open transaction of `owner` that `isWanted`, in whose function the running code is.
 *
 * @throws {TransactionEndedError} when the code was started in the function of one that has ended.
 */
export function findInnermost(
  { pool, identity }: TransactionOwner,
  isWanted: (transaction: Transaction) => boolean,
): Transaction | undefined {
  for (const mark of marks()) {
    if (mark.pool !== pool || mark.identity !== identity) continue;
    if (mark.returned) throw new TransactionEndedError("detached");
    if (mark.open && isWanted(mark.open.transaction)) return mark.open.transaction;
  }
  return undefined;
}

/**
 * Returns the transaction that work of `owner` may join: the innermost one in whose function the running code is;
 * `undefined` outside of any.
 *
 * @throws {OutsideTransactionError} when it runs with other claims of the same user.
 * @throws {TransactionEndedError} when the transaction in whose function the code was started has ended.
 */
export function findTransaction(owner: TransactionOwner): Transaction | undefined {
  const open = findOpen(owner);
  if (open && open.claims !== owner.claims) throw new OutsideTransactionError();
  return open?.transaction;
}

/**
 * Checks that work of `owner` would not run outside a transaction of the same user by mistake.
 *
 * @throws {OutsideTransactionError} in the function of a transaction.
 * @throws {TransactionEndedError} when the transaction in whose function the code was started has ended.
 */
export function checkOutside(owner: TransactionOwner): void {
  if (findOpen(owner)) throw new OutsideTransactionError();
}
