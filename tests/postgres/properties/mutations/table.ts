/**
 * Faults that are put into transactions on purpose, to see the property fail.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

/** Each fault that the property catches. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "transaction/transaction_scope.ts",
    find: "    } else this.before.unshift(...before);\n",
    replace: "    }\n",
    what: "BEGIN is lost when the first statement cannot be sent",
  },
  {
    file: "transaction/transaction_scope.ts",
    find: '    if (results.at(-1)?.command === "COMMIT") return this.#ended("committed");\n',
    replace: '    return this.#ended("committed");\n',
    what: "a COMMIT that was a rollback counts as a commit",
  },
  {
    file: "transaction/transaction_scope.ts",
    find: "    return !settled || failedAt < 0 || sent.index < failedAt;\n",
    replace: "    return !settled || failedAt < 0;\n",
    what: "a savepoint is forgotten when the statement that it was sent with fails",
  },
  {
    file: "transaction/transaction.ts",
    find: "    if (!this.#withdrawUnsent(this.#savepoint)) await this.#undo(this.#savepoint);\n",
    replace: "    this.#withdrawUnsent(this.#savepoint);\n",
    what: "a nested transaction that throws is not undone",
  },
  {
    file: "transaction/transaction.ts",
    find: "      { text: `ROLLBACK TO SAVEPOINT ${this.#name}` },\n",
    replace: "",
    what: "a nested transaction is released instead of undone",
  },
  {
    file: "transaction/transaction.ts",
    find:
      "    if (this.#nested) {\n      await this.#rollback();\n      throw new NestedTransactionOpenError();\n    }\n",
    replace: "",
    what: "a transaction is committed while a nested one is open",
  },
  {
    file: "transaction/transaction.ts",
    find: "    if (this.#ended) throw new TransactionEndedError();\n",
    replace: "",
    what: "a transaction that has ended runs more statements",
  },
  {
    file: "transaction/transaction.ts",
    find: "      if (!this.#ended) await this.#rollback();\n      throw error;\n",
    replace: "      if (!this.#ended) await this.#commit().catch(() => {});\n      throw error;\n",
    what: "a transaction whose function throws is committed",
  },
  {
    file: "transaction/pipelined.ts",
    find:
      '    await endTransaction(runner, commit);\n    return { outcome: "rolledBack", results: [], error, safeToResend: commit.isSafeToResend(error) };\n',
    replace: '    return { outcome: "committed", results, error: undefined, safeToResend: false };\n',
    what: "a list whose COMMIT is rejected counts as committed",
  },
  {
    file: "transaction/pipelined.ts",
    find: "    if (isUndone || (commit.statusAfter !== undefined && !isCommitted(ended))) {\n",
    replace: "    if (!commit?.sent) {\n",
    what: "the outcome of a list that the server rejects is unknown",
  },
  {
    file: "transaction/transaction_options.ts",
    find: "  if (impersonate) statements.push(impersonate);\n",
    replace: "",
    what: "a caller's transaction runs as the login role",
  },
  {
    file: "query/executor.ts",
    find: "    using lease = await this.#lease(options).catch(throwReason);\n",
    replace: "    const lease = await this.#lease(options).catch(throwReason);\n",
    what: "the connection of a transaction is not released",
  },
];
