/**
 * Runs a tool of the package. It is shipped as it is, so it is plain JavaScript without dependencies, for Deno and Node.
 *
 * The tools are TypeScript, which Deno does not run from an npm package, and they have dependencies of hundreds of
 * megabytes, which a function must not inherit. They are therefore an archive: it is unpacked into the user's cache
 * folder once per build, and Deno runs them there under a configuration of their own.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** The version of Deno that Node starts. It must run the tools, which the package's tests check. */
const DENO = "deno@2.9";

/** Returns the folder for caches of this user. `SUPABASE_POOL_CACHE` replaces it. */
function cacheFolder() {
  const { SUPABASE_POOL_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (SUPABASE_POOL_CACHE) return SUPABASE_POOL_CACHE;
  const home = process.platform === "darwin" ? join(homedir(), "Library", "Caches") : join(homedir(), ".cache");
  return join(XDG_CACHE_HOME || LOCALAPPDATA || home, "supabase-pool");
}

/**
 * Unpacks the archive, once per content. Concurrent calls do not disturb each other: a folder appears when it is whole.
 */
function unpack() {
  const archive = readFileSync(new URL("./sources.json.gz", import.meta.url));
  const cache = cacheFolder();
  const folder = join(cache, createHash("sha256").update(archive).digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const partial = mkdtempSync(join(cache, "unpacking-"));
  try {
    for (const [path, text] of Object.entries(JSON.parse(gunzipSync(archive).toString()))) {
      mkdirSync(dirname(join(partial, path)), { recursive: true });
      writeFileSync(join(partial, path), text);
    }
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    // Another process was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/**
 * Runs a tool with the arguments of this process, and exits with its status.
 *
 * @param {string} module The tool's module, relative to the archive.
 */
export function run(module) {
  const folder = unpack();
  const args = ["run", "-A", "--no-check", `--config=${join(folder, "deno.json")}`, join(folder, module)];
  const onDeno = "deno" in process.versions;
  const [command, prefix] = onDeno ? [process.execPath, []] : ["npx", ["-y", DENO]];
  const child = spawn(command, [...prefix, ...args, ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, SUPABASE_POOL_PACKAGE: fileURLToPath(new URL("..", import.meta.url)) },
  });
  // A terminal sends Ctrl-C to the tool as well, which ends in its own way.
  process.on("SIGINT", () => {});
  // After child.kill(), Deno reports the signal in place of the status that the tool exits with.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => process.kill(child.pid, signal));
  child.on("error", (error) => {
    console.error(`Error: Cannot start ${command}: ${error.message}. Install Deno or Node.js with npm.`);
    process.exit(1);
  });
  child.on("exit", (status, signal) => process.exit(status ?? (signal === "SIGINT" ? 130 : 143)));
}
