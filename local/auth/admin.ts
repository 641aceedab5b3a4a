/**
 * Routes for the secret key: users, their factors, and invitations.
 *
 * @module
 */
import type { AuthContext, AuthRequest } from "./context.ts";
import { createHash } from "node:crypto";
import { AuthError, invalid } from "./errors.ts";
import { mailLink } from "./one_time_tokens.ts";
import { checkPassword, hashPassword, randomPassword } from "./passwords.ts";
import { endSessions, parseDuration } from "./sessions.ts";
import { confirmEmail, createEmailUser } from "./sign_up.ts";
import {
  checkEmail,
  checkPhone,
  emailExists,
  findByEmail,
  findByPhone,
  findUser,
  findUsers,
  insertUser,
  isUuid,
  mergeMetadata,
  phoneExists,
  present,
  reloadUser,
  saveIdentity,
  updateUser,
  type User,
  type UserColumns,
} from "./users.ts";

type Json = Record<string, unknown>;

/** The user of a path. */
export async function requireUserAt({ database }: AuthContext, id: string): Promise<User> {
  if (!isUuid(id)) throw new AuthError(404, "validation_failed", "user_id must be an UUID");
  const user = await findUser(database, id);
  if (!user) throw new AuthError(404, "user_not_found", "User not found");
  return user;
}

function pageOf(url: URL, name: string, fallback: number): number {
  const text = url.searchParams.get(name);
  if (!text) return fallback;
  if (!/^\d+$/.test(text)) {
    throw invalid(`Bad Pagination Parameters: strconv.ParseUint: parsing "${text}": invalid syntax`);
  }
  if (BigInt(text) >= 2n ** 64n) {
    throw invalid(`Bad Pagination Parameters: strconv.ParseUint: parsing "${text}": value out of range`);
  }
  return Number(text) || fallback;
}

/** The largest page of users: of more, the responses would be too large. */
const MAX_PAGE = 10_000;

/** `GET /admin/users`: a page of users, newest first, with the headers of pages. */
export async function listUsers({ database }: AuthContext, { url }: AuthRequest): Promise<Response> {
  const [page, perPage] = [pageOf(url, "page", 1), Math.min(pageOf(url, "per_page", 50), MAX_PAGE)];
  const filter = url.searchParams.get("filter") ?? "";
  const condition = `where ($1 = '' or email ilike '%' || $1 || '%'
    or raw_user_meta_data ->> 'full_name' ilike '%' || $1 || '%')`;
  const { rows: [row] } = await database.query<{ total: string }>(
    `select count(*)::text as total from auth.users ${condition}`,
    [filter],
  );
  const total = Number(row?.total ?? 0);
  const users = await findUsers(
    database,
    `${condition} order by created_at desc, id limit $2::bigint offset $3::bigint`,
    [filter, perPage, Math.min((page - 1) * perPage, Number.MAX_SAFE_INTEGER)],
  );
  const last = Math.max(Math.ceil(total / perPage), 1);
  const link = (target: number, rel: string) => {
    const parameters = new URLSearchParams(url.search);
    parameters.delete("apikey");
    parameters.set("page", String(target));
    // Clients read the number behind the first "=".
    const rest = [...parameters].filter(([name]) => name !== "page").map((pair) => new URLSearchParams([pair])).join(
      "&",
    );
    return `</admin/users?page=${target}${rest === "" ? "" : `&${rest}`}>; rel="${rel}"`;
  };
  const links = [...(page < last ? [link(page + 1, "next")] : []), link(last, "last")];
  return Response.json({ users: users.map(present), aud: "authenticated" }, {
    headers: { "x-total-count": String(total), link: links.join(", ") },
  });
}

function banOf({ body }: AuthRequest): { readonly banned_until?: string | null } {
  const text = body.text("ban_duration");
  if (text === "") return {};
  if (text === "none") return { banned_until: null };
  const seconds = parseDuration(text);
  if (seconds === undefined) throw invalid(`invalid format for ban duration: time: invalid duration "${text}"`);
  return { banned_until: new Date(Date.now() + seconds * 1000).toISOString() };
}

/** `POST /admin/users`. */
export async function createUser(context: AuthContext, request: AuthRequest): Promise<Json> {
  const { database } = context;
  const { body } = request;
  if (body.text("email") === "" && body.text("phone") === "") {
    throw invalid("Cannot create a user without either an email or phone");
  }
  const email = body.text("email") === "" ? undefined : checkEmail(body.text("email"));
  if (email !== undefined && await findByEmail(database, email)) throw emailExists();
  const phone = body.text("phone") === "" ? undefined : checkPhone(body.text("phone"));
  if (phone !== undefined && await findByPhone(database, phone)) throw phoneExists();
  const [password, given] = [body.optionalText("password"), body.text("password_hash")];
  if (password !== undefined && given !== "") throw invalid("Only a password or a password hash should be provided");
  if (given !== "" && !/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(given)) {
    throw invalid("Only bcrypt password hashes are part of the local stack");
  }
  if (new TextEncoder().encode(password).length > 72) throw invalid("bcrypt: password length exceeds 72 bytes");
  const id = body.text("id") || crypto.randomUUID();
  if (!isUuid(id)) throw invalid("ID must conform to the uuid v4 format");
  if (/^[0-]+$/.test(id)) throw invalid("ID cannot be a nil uuid");
  const providers = [...(email === undefined ? [] : ["email"]), ...(phone === undefined ? [] : ["phone"])];
  const ban = banOf(request);
  const hashed = given || await hashPassword(password || randomPassword());
  const [appMetadata, userMetadata] = [body.object("app_metadata"), body.object("user_metadata")];

  return await database.transaction(async (sql) => {
    await insertUser(sql, id, {
      aud: body.text("aud") || "authenticated",
      role: body.text("role") || "authenticated",
      ...(email === undefined ? {} : { email }),
      ...(phone === undefined ? {} : { phone }),
      encrypted_password: hashed,
      raw_app_meta_data: mergeMetadata({ provider: providers[0], providers }, appMetadata),
      raw_user_meta_data: userMetadata ?? {},
      ...(body.flag("phone_confirm") ? { phone_confirmed_at: new Date().toISOString() } : {}),
      ...(typeof ban.banned_until === "string" ? ban : {}),
    }, "Database error creating new user");
    if (email !== undefined) {
      await saveIdentity(sql, id, "email", { email, email_verified: false, phone_verified: false });
    }
    if (phone !== undefined) {
      await saveIdentity(sql, id, "phone", { phone, email_verified: false, phone_verified: false });
    }
    if (body.flag("email_confirm")) await confirmEmail(sql, await reloadUser(sql, id));
    return present(await reloadUser(sql, id));
  });
}

/** `PUT /admin/users/:id`. */
export async function changeUser(context: AuthContext, request: AuthRequest, user: User): Promise<Json> {
  const { database, config } = context;
  const { body } = request;
  const email = body.text("email") === "" ? undefined : checkEmail(body.text("email"));
  const phone = body.text("phone") === "" ? undefined : checkPhone(body.text("phone"));
  const password = body.optionalText("password");
  if (password !== undefined) checkPassword(password, config);
  const other = email === undefined ? undefined : await findByEmail(database, email);
  if (other && other.id !== user.id) throw emailExists();
  const hashed = password === undefined ? undefined : await hashPassword(password);
  const [confirm, confirmPhone] = [body.flag("email_confirm") === true, body.flag("phone_confirm") === true];
  const [appMetadata, userMetadata] = [body.object("app_metadata"), body.object("user_metadata")];

  return await database.transaction(async (sql) => {
    const columns: UserColumns = {
      ...banOf(request),
      ...(body.text("role") === "" ? {} : { role: body.text("role") }),
      ...(email === undefined ? {} : { email }),
      ...(phone === undefined ? {} : { phone }),
      ...(hashed === undefined ? {} : { encrypted_password: hashed }),
      ...(appMetadata === undefined ? {} : { raw_app_meta_data: mergeMetadata(user.raw_app_meta_data, appMetadata) }),
      ...(userMetadata === undefined
        ? {}
        : { raw_user_meta_data: mergeMetadata(user.raw_user_meta_data, userMetadata) }),
      ...(confirmPhone ? { phone_confirmed_at: new Date().toISOString() } : {}),
      ...(user.is_anonymous && ((email && confirm) || (phone && confirmPhone)) ? { is_anonymous: false } : {}),
    };
    if (Object.keys(columns).length > 0) await updateUser(sql, user.id, columns);
    if (email !== undefined) await saveIdentity(sql, user.id, "email", { email, email_verified: confirm });
    if (phone !== undefined) await saveIdentity(sql, user.id, "phone", { phone, phone_verified: confirmPhone });
    if (confirm) await confirmEmail(sql, await reloadUser(sql, user.id));
    if (hashed !== undefined) await endSessions(sql, user.id);
    return present(await reloadUser(sql, user.id));
  });
}

/** `DELETE /admin/users/:id`. */
export async function deleteUser({ database }: AuthContext, { body }: AuthRequest, user: User): Promise<Json> {
  await database.transaction(async (sql) => {
    if (body.flag("should_soft_delete") !== true) {
      await deleteRow(() => sql.query("delete from auth.users where id = $1::uuid", [user.id]));
      return;
    }
    if (user.deleted_at !== null) return;
    // The addresses become free, and a hash of each remains.
    const obscure = (value: string | null) =>
      value ? createHash("sha256").update(user.id + value).digest("base64url") : value;
    await updateUser(sql, user.id, {
      email: obscure(user.email),
      phone: obscure(user.phone)?.slice(0, 15) ?? null,
      encrypted_password: "",
      raw_app_meta_data: {},
      raw_user_meta_data: {},
      deleted_at: new Date().toISOString(),
    });
    await sql.query(
      `update auth.identities set identity_data = '{}',
         provider_id = encode(sha256(convert_to(user_id::text || provider_id, 'utf8')), 'hex')
       where user_id = $1::uuid`,
      [user.id],
    );
    await sql.query("delete from auth.mfa_factors where user_id = $1::uuid", [user.id]);
    await sql.query("delete from auth.one_time_tokens where user_id = $1::uuid", [user.id]);
    await endSessions(sql, user.id);
  });
  return {};
}

/** Rows that refer to a user without `on delete cascade` keep the user. */
async function deleteRow(statement: () => Promise<unknown>): Promise<void> {
  try {
    await statement();
  } catch (error) {
    if (!(error instanceof Error) || !("constraint" in error) || error.constraint === undefined) throw error;
    console.error(`Database error deleting user: the foreign key ${error.constraint} has no "on delete cascade"`);
    throw new AuthError(500, "unexpected_failure", "Database error deleting user");
  }
}

/** `GET /admin/users/:id/factors`. */
export function listFactors(user: User): readonly Json[] {
  return user.factors;
}

/** `DELETE /admin/users/:id/factors/:factor`. */
export async function deleteFactor({ database }: AuthContext, user: User, id: string): Promise<Json> {
  if (!isUuid(id)) throw new AuthError(404, "validation_failed", "factor_id must be an UUID");
  const { rows } = await database.query(
    "delete from auth.mfa_factors where id = $1::uuid and user_id = $2::uuid returning id",
    [id, user.id],
  );
  if (rows.length === 0) throw new AuthError(404, "mfa_factor_not_found", "Factor not found");
  return { id };
}

/** `POST /invite`. */
export async function invite(context: AuthContext, request: AuthRequest): Promise<Json> {
  const email = checkEmail(request.body.text("email"));
  return await context.database.transaction(async (sql) => {
    const existing = await findByEmail(sql, email);
    if (existing?.email_confirmed_at) throw emailExists();
    const user = existing ?? await createEmailUser(sql, email, "", request.body.object("data"));
    await updateUser(sql, user.id, { invited_at: new Date().toISOString() });
    await mailLink(context, sql, request, user, { type: "invite", kind: "confirmation_token", address: email });
    return present(await reloadUser(sql, user.id));
  });
}
