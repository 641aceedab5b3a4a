/**
 * Additions to JSON files, which may have comments, that leave the rest of the text as it is.
 *
 * @module
 */
import ts from "typescript";

/** A JSON file cannot be edited. */
export class JsonEditError extends Error {
  override name = "JsonEditError";
}

function propertyOf(object: ts.ObjectLiteralExpression, name: string): ts.PropertyAssignment | undefined {
  return object.properties.find((property): property is ts.PropertyAssignment =>
    ts.isPropertyAssignment(property) && ts.isStringLiteralLike(property.name) && property.name.text === name
  );
}

/** Returns the indentation of one level: of the first property of the object, or two spaces. */
function unitOf(text: string, object: ts.ObjectLiteralExpression, file: ts.SourceFile): string {
  const [first] = object.properties;
  if (!first) return "  ";
  const start = first.getStart(file);
  const before = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  return /^[ \t]+$/.test(before) ? before : "  ";
}

/** Returns the text with a property added at the end of an object that begins at a nesting of `depth`. */
function withProperty(
  text: string,
  file: ts.SourceFile,
  object: ts.ObjectLiteralExpression,
  entry: string,
  indent: { readonly outer: string; readonly inner: string; readonly eol: string },
): string {
  const { outer, inner, eol } = indent;
  const last = object.properties.at(-1);
  const close = object.end - 1;
  if (!last) {
    const within = text.slice(object.getStart(file) + 1, close);
    const kept = within.trim() === "" ? "" : within.trimEnd();
    return `${text.slice(0, object.getStart(file) + 1)}${kept}${eol}${inner}${entry}${eol}${outer}${text.slice(close)}`;
  }
  const comma = object.properties.hasTrailingComma;
  const isOneLine = !text.slice(object.getStart(file), object.end).includes("\n");
  const at = comma ? object.properties.end : last.end;
  const head = comma ? text.slice(0, at) : `${text.slice(0, at)},`;
  if (isOneLine) return `${head} ${entry}${comma ? "," : ""}${text.slice(at)}`;
  // After a comment on the same line as the last property.
  const lineEnd = text.indexOf("\n", at);
  const rest = text.slice(at, lineEnd < 0 || lineEnd > close ? at : lineEnd).replace(/\r$/, "");
  return `${head}${rest}${eol}${inner}${entry}${comma ? "," : ""}${text.slice(at + rest.length)}`;
}

/**
 * Returns `text` with the import `name` in its `imports`; `text` itself if the import is there already, whatever it maps to.
 *
 * @param text The file, without a byte order mark.
 * @throws {JsonEditError} if it is not an object, or its imports are not.
 */
export function addImport(text: string, name: string, target: string): string {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const file = ts.parseJsonText("deno.json", text.trim() === "" ? "{}" : text);
  const source = text.trim() === "" ? `{}${eol}` : text;
  const [diagnostic] = (file as unknown as { parseDiagnostics: readonly ts.DiagnosticWithLocation[] }).parseDiagnostics;
  if (diagnostic) {
    const { line } = file.getLineAndCharacterOfPosition(diagnostic.start);
    throw new JsonEditError(`line ${line + 1}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, " ")}`);
  }
  const root = file.statements[0]?.expression;
  if (!root || !ts.isObjectLiteralExpression(root)) throw new JsonEditError("it is not a JSON object");
  const unit = unitOf(source, root, file);
  const imports = propertyOf(root, "imports");
  const entry = `${JSON.stringify(name)}: ${JSON.stringify(target)}`;
  if (!imports) {
    const value = `"imports": {${eol}${unit}${unit}${entry}${eol}${unit}}`;
    return withProperty(source, file, root, value, { outer: "", inner: unit, eol });
  }
  const object = imports.initializer;
  if (!ts.isObjectLiteralExpression(object)) throw new JsonEditError("its imports are not an object");
  if (propertyOf(object, name)) return text;
  return withProperty(source, file, object, entry, {
    outer: unit,
    inner: unitOf(source, object, file).length > unit.length ? unitOf(source, object, file) : unit + unit,
    eol,
  });
}

/** Returns the imports of a JSON file with comments; empty if it has none. */
export function importsOf(text: string): Record<string, string> {
  const { config } = ts.parseConfigFileTextToJson("deno.json", text);
  const imports: unknown = config?.imports;
  if (typeof imports !== "object" || imports === null) return {};
  return Object.fromEntries(Object.entries(imports).filter(([, value]) => typeof value === "string")) as Record<
    string,
    string
  >;
}
