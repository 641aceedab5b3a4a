/**
 * The page of the dashboard in a real browser.
 *
 * @module
 */
import { type Browser, chromium, type Page } from "playwright-core";

/** Starts Debian's chromium. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

/** A page, and what it did that it should not do. */
export interface Visit {
  readonly page: Page;
  readonly faults: string[];
}

/** Opens the page and waits for its first figures. */
export async function visit(
  chrome: Browser,
  url: string,
  options: Parameters<Browser["newPage"]>[0] = {},
): Promise<Visit> {
  const page = await chrome.newPage(options);
  const faults: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) faults.push(`a request to ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForSelector("#now-acquired");
  return { page, faults };
}

/** Functions that the page evaluates: `contrast` of two colors, and the `background` of an element. */
const COLORS = `
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [r = 0, g = 0, b = 0] = parse(color).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [a, b] = [luminance(one), luminance(other)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const background = (element) => {
    if (!element) return "rgb(255, 255, 255)";
    const color = getComputedStyle(element).backgroundColor;
    return parse(color)[3] === 0 ? background(element.parentElement) : color;
  };
`;

/** Returns the contrast of each text of the page with its background that is below 4.5. */
export function lowContrasts(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    ${COLORS}
    return [...document.querySelectorAll("h1, h2, h3, p, dt, dd, th, td, li, span, summary, select, button, text")]
      .filter((element) => element.textContent?.trim()).flatMap((element) => {
        const style = getComputedStyle(element);
        const color = element.namespaceURI?.endsWith("svg") ? style.fill : style.color;
        const found = contrast(color, background(element));
        return found < 4.5 ? [element.tagName + " " + element.textContent + " " + found] : [];
      });
  })()`);
}

/** Returns the contrast of each line, bar and border of the page with its background that is below 3. */
export function lowGraphicContrasts(page: Page): Promise<string[]> {
  return page.evaluate(`(() => {
    ${COLORS}
    return [...document.querySelectorAll(".series, .bar rect, select, button")].flatMap((element) => {
      const style = getComputedStyle(element);
      const color = element.matches(".series") ? style.stroke : element.matches("rect") ? style.fill : style.borderTopColor;
      const found = contrast(color, background(element.parentElement));
      return found < 3 ? [element.tagName + " " + element.getAttribute("class") + " " + color + " " + found] : [];
    });
  })()`);
}
