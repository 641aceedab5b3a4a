/**
 * Users: rows of `auth.users`, and their form in responses.
 *
 * @module
 */
import { PostgresError } from "../../shared/postgres/mod.ts";
import type { Sql } from "./context.ts";
import { AuthError, invalid } from "./errors.ts";

type Json = Record<string, unknown>;

/** An identity: a way in which a user signs in. */
export interface Identity {
  readonly id: string;
  readonly provider: string;
  readonly provider_id: string;
  readonly user_id: string;
  readonly identity_data: Json;
  readonly last_sign_in_at: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly email?: string | null;
}

/** A row of `auth.users`, with its identities and factors. */
export interface User {
  readonly id: string;
  readonly aud: string | null;
  readonly role: string | null;
  readonly email: string | null;
  readonly phone: string | null;
  readonly encrypted_password: string | null;
  readonly email_confirmed_at: string | null;
  readonly phone_confirmed_at: string | null;
  readonly confirmed_at: string | null;
  readonly invited_at: string | null;
  readonly confirmation_sent_at: string | null;
  readonly recovery_sent_at: string | null;
  readonly reauthentication_sent_at: string | null;
  readonly email_change: string | null;
  readonly email_change_sent_at: string | null;
  readonly email_change_confirm_status: number | null;
  readonly last_sign_in_at: string | null;
  readonly banned_until: string | null;
  readonly deleted_at: string | null;
  readonly created_at: string | null;
  readonly updated_at: string | null;
  readonly raw_app_meta_data: Json | null;
  readonly raw_user_meta_data: Json | null;
  readonly is_anonymous: boolean;
  readonly is_sso_user: boolean;
  readonly identities: readonly Identity[];
  readonly factors: readonly Json[];
}

/** The columns that {@linkcode updateUser} may set, and those of a new user. */
export type UserColumns = Partial<
  & Omit<User, "identities" | "factors" | "confirmed_at">
  & { readonly confirmation_token: string; readonly recovery_token: string }
>;

const USER = `
  select (to_jsonb(users) || jsonb_build_object(
    'identities', coalesce((select jsonb_agg(to_jsonb(identities) order by identities.created_at)
      from auth.identities where identities.user_id = users.id), '[]'),
    'factors', coalesce((select jsonb_agg(jsonb_build_object('id', id, 'friendly_name', friendly_name,
      'factor_type', factor_type, 'status', status, 'created_at', created_at, 'updated_at', updated_at)
      order by created_at) from auth.mfa_factors where mfa_factors.user_id = users.id), '[]')))::text as json
  from auth.users`;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Returns whether `text` is a UUID. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Writes the times of a row with Z, as GoTrue does. Texts in metadata are the project's own. */
function withTimes(row: Json): Json {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) =>
      /_(at|until)$/.test(name) && typeof value === "string" ? [name, value.replace(/\+00:00$/, "Z")] : [name, value]
    ),
  );
}

function parse(json: string): User {
  const user = JSON.parse(json);
  return {
    ...withTimes(user),
    identities: user.identities.map(withTimes),
    factors: user.factors.map(withTimes),
  } as unknown as User;
}

/** Returns the users that `condition`, SQL with placeholders, selects. */
export async function findUsers(sql: Sql, condition: string, values: readonly unknown[] = []): Promise<User[]> {
  const { rows } = await sql.query<{ json: string }>(`${USER} ${condition}`, values);
  return rows.map(({ json }) => parse(json));
}

/** Returns the user with an id. */
export async function findUser(sql: Sql, id: string): Promise<User | undefined> {
  return isUuid(id) ? (await findUsers(sql, "where id = $1::uuid", [id]))[0] : undefined;
}

/** Returns the user with a mail address. */
export async function findByEmail(sql: Sql, email: string): Promise<User | undefined> {
  return (await findUsers(sql, "where lower(email) = lower($1) and not is_sso_user", [email]))[0];
}

/** Returns the user with a phone number. */
export async function findByPhone(sql: Sql, phone: string): Promise<User | undefined> {
  return (await findUsers(sql, "where phone = $1", [phone]))[0];
}

/** Returns a user that was just written. */
export async function reloadUser(sql: Sql, id: string): Promise<User> {
  const user = await findUser(sql, id);
  if (!user) throw new AuthError(404, "user_not_found", "User not found");
  return user;
}

function castOf(name: string): string {
  if (name === "id") return "::uuid";
  if (/_(at|until)$/.test(name)) return "::timestamptz";
  if (/^raw_/.test(name)) return "::jsonb";
  if (/^is_/.test(name)) return "::boolean";
  return name === "email_change_confirm_status" ? "::smallint" : "::text";
}

function assignments(columns: UserColumns): { names: string[]; values: unknown[]; casts: string[] } {
  const entries = Object.entries(columns).filter(([, value]) => value !== undefined);
  return {
    names: entries.map(([name]) => name),
    values: entries.map(([name, value]) => /^raw_/.test(name) ? JSON.stringify(value) : value),
    casts: entries.map(([name], index) => `$${index + 2}${castOf(name)}`),
  };
}

/**
 * Writes a user.
 *
 * @throws {AuthError} `email_exists` or `phone_exists` if another user has the address, and `unexpected_failure` if a
 * trigger of the project fails.
 */
async function write(message: string, statement: () => Promise<unknown>): Promise<void> {
  try {
    await statement();
  } catch (error) {
    if (!(error instanceof PostgresError) || error.code.startsWith("08") || error.code.startsWith("57")) throw error;
    if (error.code === "23505" && error.constraint === "users_email_partial_key") throw emailExists();
    if (error.code === "23505" && error.constraint === "users_phone_key") throw phoneExists();
    // A trigger of the project, most often: its author needs the reason.
    console.error(`${message}: ${error.code} ${error.message}`);
    throw new AuthError(500, "unexpected_failure", message);
  }
}

/**
 * Creates a user.
 *
 * @param message The error of a trigger that fails.
 * @throws {AuthError} As {@linkcode updateUser}.
 */
export async function insertUser(
  sql: Sql,
  id: string,
  columns: UserColumns,
  message = "Database error saving new user",
): Promise<void> {
  const { names, values, casts } = assignments(columns);
  await write(message, () =>
    sql.query(
      `insert into auth.users (instance_id, id, created_at, updated_at, confirmation_token, recovery_token,
         email_change, email_change_token_new, ${names.join(", ")})
       values ('00000000-0000-0000-0000-000000000000', $1::uuid, now(), now(), '', '', '', '', ${casts.join(", ")})`,
      [id, ...values],
    ));
}

/**
 * Sets columns of a user.
 *
 * @throws {AuthError} `email_exists`, `phone_exists`, or `unexpected_failure` if a trigger of the project fails.
 */
export async function updateUser(sql: Sql, id: string, columns: UserColumns): Promise<void> {
  const { names, values, casts } = assignments(columns);
  const set = names.map((name, index) => `${name} = ${casts[index]}`);
  await write(
    "Database error updating user",
    () =>
      sql.query(`update auth.users set ${["updated_at = now()", ...set].join(", ")} where id = $1::uuid`, [
        id,
        ...values,
      ]),
  );
}

/** Creates an identity, or merges `data` into the one that exists. */
export async function saveIdentity(sql: Sql, userId: string, provider: string, data: Json): Promise<void> {
  await sql.query(
    `insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
     values (gen_random_uuid(), $1::text, $1::uuid, $2::jsonb, $3, now(), now(), now())
     on conflict (provider_id, provider)
     do update set identity_data = identities.identity_data || excluded.identity_data, updated_at = now()`,
    [userId, JSON.stringify({ sub: userId, ...data }), provider],
  );
}

/** Sets the providers of `app_metadata` to those of the identities. */
export async function updateProviders(sql: Sql, userId: string): Promise<void> {
  await sql.query(
    `update auth.users set raw_app_meta_data = coalesce(raw_app_meta_data, '{}') || found.data
     from (select jsonb_build_object('provider', (array_agg(provider order by created_at))[1],
       'providers', jsonb_agg(provider order by created_at)) as data, count(*) as count
       from auth.identities where user_id = $1::uuid) as found
     where id = $1::uuid and found.count > 0`,
    [userId],
  );
}

/** Returns merged metadata: a member that is `null` is removed. */
export function mergeMetadata(current: Json | null, update: Json | undefined): Json {
  return Object.fromEntries(Object.entries({ ...current, ...update }).filter(([, value]) => value !== null));
}

/** Returns whether a user is banned. */
export function isBanned(user: User): boolean {
  return user.banned_until !== null && Date.parse(user.banned_until) > Date.now();
}

/** The error of an address that another user has. */
export function emailExists(): AuthError {
  return new AuthError(422, "email_exists", "A user with this email address has already been registered");
}

/** The error of a phone number that another user has. */
export function phoneExists(): AuthError {
  return new AuthError(422, "phone_exists", "Phone number already registered by another user");
}

const EMAIL = /^[^\s@<>()[\]\\,;:"]+@[^\s@.<>()[\]\\,;:"]+(\.[^\s@.<>()[\]\\,;:"]+)*$/;

/**
 * Returns a mail address in lower case.
 *
 * @throws {AuthError} `validation_failed`.
 */
export function checkEmail(email: string): string {
  if (email === "") throw invalid("An email address is required");
  if (email.length > 255) throw invalid("An email address is too long");
  if (!EMAIL.test(email)) throw invalid("Unable to validate email address: invalid format");
  return email.toLowerCase();
}

/**
 * Returns the digits of a phone number.
 *
 * @throws {AuthError} `validation_failed`.
 */
export function checkPhone(phone: string): string {
  const digits = phone.replace(/^\+/, "").replaceAll(" ", "");
  if (!/^[1-9]\d{1,14}$/.test(digits)) throw invalid("Invalid phone number format (E.164 required)");
  return digits;
}

/** Returns a user as responses show it: without secrets, and without what is empty. */
export function present(user: User): Json {
  const optional: Json = {
    email_confirmed_at: user.email_confirmed_at,
    invited_at: user.invited_at,
    phone_confirmed_at: user.phone_confirmed_at,
    confirmation_sent_at: user.confirmation_sent_at,
    confirmed_at: user.confirmed_at,
    recovery_sent_at: user.recovery_sent_at,
    new_email: user.email_change,
    email_change_sent_at: user.email_change_sent_at,
    reauthentication_sent_at: user.reauthentication_sent_at,
    last_sign_in_at: user.last_sign_in_at,
    banned_until: user.banned_until,
    deleted_at: user.deleted_at,
  };
  return {
    id: user.id,
    aud: user.aud ?? "",
    role: user.role ?? "",
    email: user.email ?? "",
    phone: user.phone ?? "",
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null && value !== "")),
    app_metadata: user.raw_app_meta_data ?? {},
    user_metadata: user.raw_user_meta_data ?? {},
    ...(user.factors.length > 0 ? { factors: user.factors } : {}),
    identities: user.identities.map(({ id, provider_id, email, ...identity }) => ({
      identity_id: id,
      id: provider_id,
      ...identity,
      ...(typeof email === "string" ? { email } : {}),
    })),
    created_at: user.created_at,
    updated_at: user.updated_at,
    is_anonymous: user.is_anonymous,
  };
}
