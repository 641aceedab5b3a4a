/**
 * Rows that `config.toml` asks for.
 *
 * @module
 */
import type { Sql } from "postgres";
import type { BucketConfig } from "../config/mod.ts";

/**
 * Stores secrets in the vault by name, as `[db.vault]` of the configuration has them.
 *
 * @param sql A connection of the superuser.
 */
export async function storeSecrets(sql: Sql, secrets: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, secret] of Object.entries(secrets)) {
    await sql`insert into vault.secrets (name, secret) values (${name}, ${secret})
      on conflict (name) where name is not null do update set secret = excluded.secret, updated_at = now()
      where secrets.secret <> excluded.secret`;
  }
}

/**
 * Creates the buckets of `[storage.buckets.*]`, and gives those that exist the settings of the file.
 *
 * @param sql A connection of the superuser.
 */
export async function createBuckets(sql: Sql, buckets: readonly BucketConfig[]): Promise<void> {
  for (const { name, public: open, fileSizeLimit, allowedMimeTypes } of buckets) {
    await sql`insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
      values (${name}, ${name}, ${open}, ${fileSizeLimit ?? null}, ${
      allowedMimeTypes.length === 0 ? null : [...allowedMimeTypes]
    })
      on conflict (id) do update set public = excluded.public, file_size_limit = excluded.file_size_limit,
        allowed_mime_types = excluded.allowed_mime_types`;
  }
}
