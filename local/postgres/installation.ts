/**
 * An installation of Postgres with more extensions than the npm package has.
 *
 * It is a folder of links to the package, with copies of the programs, which find their files relative to themselves,
 * and with the control files and scripts of {@linkcode SQL_EXTENSIONS}. The package itself is never changed.
 *
 * @module
 */
import { EXTRA_RIGHTS, PRIVILEGED_EXTENSIONS, SQL_EXTENSIONS } from "./extensions/catalog.ts";
import type { SqlExtension } from "./extensions/extension.ts";
import type { UnixUser } from "./unix_user.ts";

/** Returns the control file of an extension. `trusted` lets the owner of the database create it. */
function controlFile({ name, version, requires = [], schema }: SqlExtension): string {
  return [
    `comment = 'stand-in of the local stack for ${name}'`,
    `default_version = '${version}'`,
    "relocatable = false",
    "superuser = true",
    "trusted = true",
    ...(schema === undefined ? [] : [`schema = '${schema}'`]),
    ...(requires.length === 0 ? [] : [`requires = '${requires.join(", ")}'`]),
    "",
  ].join("\n");
}

/** Returns the files of the extensions that the stack brings, by name. */
function ownFiles(): Map<string, string> {
  return new Map(SQL_EXTENSIONS.flatMap((extension) => [
    [`${extension.name}.control`, controlFile(extension)],
    [`${extension.name}--${extension.version}.sql`, extension.sql],
  ]));
}

async function hashOf(texts: Iterable<string>): Promise<string> {
  const bytes = new TextEncoder().encode([...texts].join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.subarray(0, 6), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Links or copies a program: a link keeps it once on the disk. */
async function place(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch {
    await Deno.copyFile(from, to);
    await Deno.chmod(to, 0o755);
  }
}

async function createFolder(path: string, user: UnixUser | undefined): Promise<void> {
  await Deno.mkdir(path);
  await Deno.chmod(path, 0o755);
  // The user that Postgres runs as deletes a temporary location.
  if (user) await Deno.chown(path, user.uid, user.gid);
}

async function write(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text);
  await Deno.chmod(path, 0o644);
}

/**
 * Creates the installation in `parent`, or returns the one that is there.
 *
 * @param binaries The folder of the package, or a copy of it.
 * @param parent The folder of the data.
 * @param user The user that Postgres runs as.
 * @returns The folder that contains `bin`, `lib` and `share`.
 */
export async function createInstallation(
  binaries: string,
  parent: string,
  user: UnixUser | undefined,
): Promise<string> {
  const files = ownFiles();
  const version = await hashOf([binaries, ...files.keys(), ...files.values(), ...PRIVILEGED_EXTENSIONS]);
  const target = `${parent}/installation-${version}`;
  // It is complete when it has its final name.
  if (await Deno.stat(`${target}/bin/postgres`).then(() => true, () => false)) return target;
  const draft = `${target}.${crypto.randomUUID()}`;
  const folder = (path: string) => createFolder(path, user);
  await folder(draft);
  await folder(`${draft}/bin`);
  for await (const { name } of Deno.readDir(`${binaries}/bin`)) {
    await place(`${binaries}/bin/${name}`, `${draft}/bin/${name}`);
  }
  await Deno.symlink(`${binaries}/lib`, `${draft}/lib`);
  await folder(`${draft}/share`);
  const [shared, own] = [`${binaries}/share/postgresql`, `${draft}/share/postgresql`];
  await folder(own);
  for await (const { name } of Deno.readDir(shared)) {
    if (name !== "extension") await Deno.symlink(`${shared}/${name}`, `${own}/${name}`);
  }
  await folder(`${own}/extension`);
  for await (const { name } of Deno.readDir(`${shared}/extension`)) {
    if (files.has(name)) continue;
    const [from, to] = [`${shared}/extension/${name}`, `${own}/extension/${name}`];
    const extension = (name.split("--")[0] ?? "").replace(/\.control$/, "");
    if (name.endsWith(".control") && PRIVILEGED_EXTENSIONS.includes(extension)) {
      await write(to, `${await Deno.readTextFile(from)}\nsuperuser = true\ntrusted = true\n`);
    } else if (EXTRA_RIGHTS[extension] !== undefined && /--[\d.]+\.sql$/.test(name)) {
      await write(to, `${await Deno.readTextFile(from)}\n${EXTRA_RIGHTS[extension]}\n`);
    } else {
      await Deno.symlink(from, to);
    }
  }
  for (const [name, text] of files) await write(`${own}/extension/${name}`, text);
  await Deno.rename(draft, target);
  return target;
}
