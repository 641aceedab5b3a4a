/**
 * Extensions that a project uses and that none of its files creates: those enabled in the dashboard.
 *
 * @module
 */
import type { SqlFile } from "./files.ts";
import { withoutComments } from "./split.ts";

const USES: readonly [extension: string, use: RegExp][] = [
  ["pg_cron", /\bcron\.(schedule|unschedule|alter_job|job)\b/],
  ["pg_net", /\bnet\.(http_get|http_post|http_delete|_http_response)\b|\bsupabase_functions\.http_request\b/],
  ["pgmq", /\bpgmq\.(create|send|send_batch|read|pop|archive)\b/],
  ["vector", /\b(vector|halfvec)\s*\(\s*\d+\s*\)|\bvector_(l2|ip|cosine)_ops\b/],
  ["pg_trgm", /\bgin_trgm_ops\b|\bgist_trgm_ops\b/],
];

const CREATED = /\bcreate\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)/g;

/** Returns the extensions that `files` use but do not create. */
export function impliedExtensions(files: readonly SqlFile[]): string[] {
  const text = files.map((file) => withoutComments(file.text)).join("\n").toLowerCase();
  const created = new Set([...text.matchAll(CREATED)].map(([, name]) => name));
  return USES.flatMap(([extension, use]) => use.test(text) && !created.has(extension) ? [extension] : []);
}
