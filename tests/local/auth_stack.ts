/**
 * A local stack with users, for the tests of Auth.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { type AuthError, createClient, type SupabaseClient } from "@supabase/supabase-js";
import { type Stack, startStack } from "../../local/mod.ts";
import { createProject } from "./fixture.ts";

/** The password of users. */
export const PASSWORD = "correct-horse-battery";

const USER_FUNCTION = `
import { withSupabase } from "npm:@supabase/server@1.8.1";
export default {
  fetch: withSupabase({ auth: "user" }, async (_request, { supabase, userClaims }) => {
    const { data, error } = await supabase.from("notes").insert({ body: "from the function" }).select("user_id").single();
    return Response.json({ id: userClaims?.id, data, error });
  }),
};`;

const TRIGGER = `
create function public.check_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if new.raw_user_meta_data ->> 'fail' = 'yes' then raise exception 'No such team: %', new.email; end if;
  return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.check_new_user();
insert into auth.users (id, aud, role, email, encrypted_password, email_confirmed_at)
values ('11111111-1111-4111-8111-111111111111', 'authenticated', 'authenticated', 'seed@example.com',
  extensions.crypt('seeded', extensions.gen_salt('bf')), now());`;

/** Starts a stack with a function and a trigger, and ends it. */
export async function withStack(config: string, use: (stack: Stack, output: string[]) => Promise<void>): Promise<void> {
  await using project = await createProject();
  await project.write("supabase/config.toml", config);
  await project.write("supabase/functions/hello/index.ts", USER_FUNCTION);
  await project.write("supabase/migrations/20260102000000_trigger.sql", TRIGGER);
  const output: string[] = [];
  await using stack = await startStack({
    root: project.root,
    ephemeral: true,
    log: (source, line) => output.push(`[${source}] ${line}`),
  });
  await use(stack, output);
}

export const NO_SESSION = { auth: { persistSession: false, autoRefreshToken: false } } as const;

/** Returns a client that keeps no session. */
export function clientOf(stack: Stack, key = stack.publishableKey): SupabaseClient {
  return createClient(stack.url, key, NO_SESSION);
}

/** Returns what the error of a client says: its status and its code. */
export function codeOf({ error }: { error: AuthError | null }): [number | undefined, string | undefined] | null {
  return error === null ? null : [error.status, error.code];
}

/** Returns the mails that were sent, the latest first. */
export async function mails(stack: Stack): Promise<{ to: string; subject: string; link?: string; code: string }[]> {
  return await (await fetch(`${stack.url}/mail.json`)).json();
}

/** Follows a link of a mail, and returns the parameters of the address that it leads to. */
export async function follow(link: string): Promise<{ address: string; parameters: URLSearchParams }> {
  const response = await fetch(link, { redirect: "manual" });
  await response.body?.cancel();
  assertEquals(response.status, 303);
  const url = new URL(response.headers.get("location") ?? "");
  return { address: url.origin + url.pathname, parameters: new URLSearchParams(url.hash.slice(1) || url.search) };
}
