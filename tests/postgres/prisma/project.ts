/**
 * A project with Prisma in a temporary folder, and the packages that it needs.
 *
 * Prisma is no dependency of this repository: it takes 300 MB, and no function loads it.
 *
 * @module
 */
import { linkedImportMap } from "../../../local/deno_2_1/deno.ts";
import { type NpmPackages, npmPackages } from "../../support/components.ts";
import { PRISMA_PACKAGES } from "./packages.ts";

/** The availability of {@linkcode PRISMA_PACKAGES}. */
export const prismaPackages: NpmPackages = await npmPackages(PRISMA_PACKAGES);

const ROOT = new URL("../../../", import.meta.url);

/** The result of a command. */
export interface Outcome {
  readonly success: boolean;
  /** Its stdout and stderr. */
  readonly output: string;
}

/** A project with a generated client. Disposing of it removes its folder. */
export class PrismaProject implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes a project and generates its client.
   *
   * @param schema The text of `schema.prisma`.
   * @throws {Error} If Prisma cannot generate the client; the message has its output.
   */
  static async create(schema: string): Promise<PrismaProject> {
    const project = new PrismaProject(await Deno.makeTempDir({ prefix: "prisma_" }));
    try {
      await project.#generate(schema);
      return project;
    } catch (error) {
      await project[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The address of a file of the project. */
  url(name: string): string {
    return new URL(`file://${this.#folder}/${name}`).href;
  }

  /** Writes a file of the project. */
  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.#folder}/${name}`, text);
  }

  /**
   * Runs Deno with the packages of the project.
   *
   * @param program The program and its arguments. Default: that of this process.
   */
  async deno(
    args: readonly string[],
    { env = {}, program = [Deno.execPath()] }: {
      readonly env?: Record<string, string>;
      readonly program?: readonly string[];
    } = {},
  ): Promise<Outcome> {
    return await this.#run([...program, ...args], env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #generate(schema: string): Promise<void> {
    await Deno.symlink(prismaPackages.folder ?? "", `${this.#folder}/node_modules`);
    await this.write("package.json", '{ "type": "module" }');
    const { imports } = JSON.parse(decodeURIComponent((await linkedImportMap(ROOT)).replace(/^[^,]*,/, "")));
    const { compilerOptions } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    await this.write("deno.json", JSON.stringify({ nodeModulesDir: "manual", lock: false, imports, compilerOptions }));
    await this.write("schema.prisma", schema);
    const generated = await this.#run(["node", `${this.#folder}/node_modules/prisma/build/index.js`, "generate"], {
      // The engine of migrations, which would be downloaded: the client needs none. Any file that exists will do.
      PRISMA_SCHEMA_ENGINE_BINARY: Deno.execPath(),
      PRISMA_HIDE_UPDATE_MESSAGE: "1",
      CHECKPOINT_DISABLE: "1",
    });
    if (!generated.success) throw new Error(`prisma generate failed: ${generated.output}`);
  }

  async #run([program = "", ...args]: readonly string[], env: Record<string, string>): Promise<Outcome> {
    const command = new Deno.Command(program, {
      args,
      env: { ...env, NO_COLOR: "1" },
      cwd: this.#folder,
      stdin: "null",
    });
    const { success, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
  }
}
