/**
 * The documents of an artifact.
 *
 * @module
 */
import { DOCUMENTED_NAME, PACKAGE_NAME } from "./identity.ts";
import { fromFileUrl } from "../paths.ts";

/** Documents beside `docs/`. */
const DOCUMENTS = ["LICENSE", "README.md", "CHANGELOG.md"];

/** Files of `docs/` that documents link to: rules of alerts, a dashboard and pictures. */
const LINKED = /\.(json|yml|svg|png)$/;

/**
 * Copies the documents of the checkout at `root` into `folder`, with the name of the package, and the files beside them
 * that they link to.
 */
export async function copyDocuments(root: URL, folder: string): Promise<void> {
  const paths = [...DOCUMENTS];
  const linked: string[] = [];
  for await (const { name } of Deno.readDir(new URL("docs/", root))) {
    if (name.endsWith(".md")) paths.push(`docs/${name}`);
    else if (LINKED.test(name)) linked.push(`docs/${name}`);
  }
  await Deno.mkdir(`${folder}/docs`, { recursive: true });
  for (const path of paths) {
    const text = await Deno.readTextFile(fromFileUrl(new URL(path, root)));
    await Deno.writeTextFile(`${folder}/${path}`, text.replaceAll(DOCUMENTED_NAME, PACKAGE_NAME));
  }
  for (const path of linked) await Deno.copyFile(fromFileUrl(new URL(path, root)), `${folder}/${path}`);
}
