/**
 * `deno task docs`: writes the documents that are generated from the code.
 * With `--check` it writes nothing, and exits with 1 if one of them is out of
 * date.
 *
 * @module
 */
import { renderStoredReport } from "../../bench/report/mod.ts";
import { renderArchitecture } from "./architecture.ts";
import { renderErrors } from "./errors.ts";
import { renderFigures } from "./figures.ts";

/** A generated document. */
export interface GeneratedDocument {
  /** Path in the repository. */
  readonly path: string;
  /** Renders the document from the code. */
  render(): Promise<string>;
}

/** The generated documents. */
export const DOCUMENTS: readonly GeneratedDocument[] = [
  { path: "docs/architecture.svg", render: renderArchitecture },
  { path: "docs/errors.md", render: renderErrors },
  ...["README.md", "docs/performance.md", "docs/postgres.md"].map((path) => ({
    path,
    render: () => renderFigures(path),
  })),
  { path: "bench/report.md", render: renderStoredReport },
];

const ROOT = new URL("../../", import.meta.url);

/** Returns the paths of the documents whose stored text differs from what the code gives. */
export async function outdated(): Promise<string[]> {
  const paths: string[] = [];
  for (const { path, render } of DOCUMENTS) {
    const stored = await Deno.readTextFile(new URL(path, ROOT)).catch(() => undefined);
    if (stored !== await render()) paths.push(path);
  }
  return paths;
}

if (import.meta.main) {
  if (Deno.args.includes("--check")) {
    const paths = await outdated();
    if (paths.length > 0) console.error(`Out of date: ${paths.join(", ")}. Run: npx -y deno task docs`);
    Deno.exitCode = paths.length > 0 ? 1 : 0;
  } else {
    for (const { path, render } of DOCUMENTS) await Deno.writeTextFile(new URL(path, ROOT), await render());
  }
}
