import { assertEquals } from "@std/assert";
import type { Insertable, Selectable, Updateable } from "kysely";
import type { TablesOf } from "../../../shared/data/mod.ts";

interface Database {
  readonly __InternalSupabase: { PostgrestVersion: "13" };
  public: {
    Tables: {
      posts: {
        Row: { id: number; title: string; note: string | null };
        Insert: { id?: number; title: string; note?: string | null };
        Update: { id?: number; title?: string; note?: string | null };
        Relationships: [];
      };
    };
    Views: { post_titles: { Row: { title: string | null }; Relationships: [] } };
    Functions: Record<never, never>;
  };
  private: { Tables: { audit: { Row: { at: string }; Insert: { at?: string }; Update: { at?: string } } } };
}

Deno.test("TablesOf maps rows, inserts and updates of the generated types, views and other schemas included", () => {
  const row: Selectable<TablesOf<Database>["posts"]> = { id: 1, title: "a", note: null };
  const insert: Insertable<TablesOf<Database>["posts"]> = { title: "a" };
  const update: Updateable<TablesOf<Database>["posts"]> = { note: null };
  const view: Selectable<TablesOf<Database>["post_titles"]> = { title: null };
  const audit: Selectable<TablesOf<Database, "private">["audit"]> = { at: "2026-01-01" };
  // @ts-expect-error: the title has no default
  const incomplete: Insertable<TablesOf<Database>["posts"]> = { id: 1 };
  // @ts-expect-error: the id is a number
  const wrong: Selectable<TablesOf<Database>["posts"]>["id"] = "1";
  assertEquals([row.id, insert.title, update.note, view.title, audit.at, incomplete.id, wrong], [
    1,
    "a",
    null,
    null,
    "2026-01-01",
    1,
    "1",
  ]);
});
