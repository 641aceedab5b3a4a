/**
 * The types of tables for Kysely, from the types that the Supabase CLI generates.
 *
 * @module
 */
import type { ColumnType } from "kysely";

/** A column as Kysely has it: what a row holds, what an insert takes, and what an update takes. */
export type KyselyColumn<Table, Name extends PropertyKey, Selected> = ColumnType<
  Selected,
  Table extends { Insert: infer Insert } ? Name extends keyof Insert ? Insert[Name] : never : Selected,
  Table extends { Update: infer Update } ? Name extends keyof Update ? Update[Name] : never : Selected
>;

/**
 * The tables and views of one schema, for Kysely, from the type `Database` that `supabase gen types typescript`
 * generates.
 *
 * @example Typed queries
 * ```ts
 * type Database = { public: { Tables: { posts: { Row: { id: number }; Insert: { id?: number }; Update: { id?: number } } } } };
 * const tables: TablesOf<Database> = {} as TablesOf<Database>;
 * console.log(tables.posts.id);
 * ```
 */
export type TablesOf<Database, Schema extends keyof Database & string = "public" & keyof Database> =
  & KyselyTables<Database[Schema] extends { Tables: infer Tables } ? Tables : unknown>
  & KyselyTables<Database[Schema] extends { Views: infer Views } ? Views : unknown>;

/** Tables, or views, by name: those of {@linkcode TablesOf}. */
export type KyselyTables<Tables> = {
  [Name in keyof Tables]: Tables[Name] extends { Row: infer Row }
    ? { [Column in keyof Row]: KyselyColumn<Tables[Name], Column, Row[Column]> }
    : never;
};
