/**
 * A writer of the SVG that the plots need.
 *
 * @module
 */

/** A fragment of SVG. */
export interface Markup {
  readonly svg: string;
}

/** Attributes of an element; numbers are rounded to a tenth of a pixel. */
export type Attributes = Readonly<Record<string, string | number>>;

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Escapes text for an element or an attribute. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);
}

/** Writes an element with its children: elements or text. */
export function element(name: string, attributes: Attributes, ...children: readonly (Markup | string)[]): Markup {
  const opening = Object.entries(attributes).map(([key, value]) => {
    const shown = typeof value === "number" ? String(Math.round(value * 10) / 10) : escapeText(value);
    return ` ${key}="${shown}"`;
  }).join("");
  const content = children.map((child) => typeof child === "string" ? escapeText(child) : child.svg).join("");
  return { svg: content === "" ? `<${name}${opening}/>` : `<${name}${opening}>${content}</${name}>` };
}

/** Writes a document. `style` is CSS. */
export function svgDocument(width: number, height: number, style: string, children: readonly Markup[]): string {
  const attributes = { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height };
  return `${element("svg", attributes, element("style", {}, style), ...children).svg}\n`;
}
