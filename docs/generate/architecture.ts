/**
 * Draws `docs/architecture.svg`: the folders by layer, and the imports between
 * them as arrows.
 *
 * @module
 */
import { element, type Markup, svgDocument } from "../../bench/support/svg.ts";
import { type Folder, type FolderImport, readFolders, readImports } from "./imports.ts";

/** A folder as it is drawn: its name, its purpose, and the color of the arrows that leave it. */
interface Box {
  readonly name: string;
  readonly purpose: string;
  readonly color: string;
}

/** The layers, the highest first. Each may import those below it. */
const LAYERS: readonly (readonly Box[])[] = [
  [{ name: "functions", purpose: "the example application: one thin folder per edge function", color: "#475569" }],
  [{ name: "http", purpose: "withPooledSupabase: requests in, responses out", color: "#be123c" }],
  [
    { name: "services", purpose: "base classes of services; the pools of a project", color: "#b45309" },
    { name: "data", purpose: "query builder, repositories, tunnel", color: "#a16207" },
  ],
  [
    { name: "supabase", purpose: "client pool: slots, caller scopes, views", color: "#15803d" },
    { name: "postgres", purpose: "direct connections: SQL and transactions", color: "#0f766e" },
  ],
  [{ name: "pool", purpose: "the core: leases, waiters, lifetimes of any resource", color: "#1d4ed8" }],
  [
    { name: "cache", purpose: "layered cache", color: "#7c3aed" },
    { name: "observability", purpose: "metrics, logs, alerts, fleet", color: "#7c3aed" },
  ],
  [
    { name: "resilience", purpose: "waiting, deadlines, retry, failures", color: "#7c3aed" },
    { name: "environment", purpose: "reading variables and options", color: "#7c3aed" },
  ],
];

const WIDTH = 960;
const MARGIN = 76;
const GAP = 112;
const HEIGHT = 78;
const ROW = 134;
const TOP = 24;
const LANE = 13;

const STYLE = `
text{font-family:"Inter","Helvetica Neue","Segoe UI","DejaVu Sans",Arial,sans-serif;fill:#0f172a}
.name{font-size:17px;font-weight:700}
.purpose{font-size:12px;fill:#334155}
.sub{font-size:10.5px;fill:#64748b}
.note{font-size:11.5px;fill:#475569}
path{fill:none;stroke-width:1.6}`;

interface Placed extends Box {
  readonly row: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly subfolders: string;
}

/** Returns the layers that exist, with each folder's place. */
function place(folders: readonly Folder[]): Placed[][] {
  const known = new Set(LAYERS.flat().map(({ name }) => name));
  const unknown = folders.find(({ name }) => !known.has(name));
  if (unknown) {
    throw new Error(
      `Cannot draw the folder shared/${unknown.name}: it has no layer. Add it to LAYERS in docs/generate/architecture.ts`,
    );
  }
  const layers = LAYERS.map((boxes) => boxes.filter(({ name }) => folders.some((folder) => folder.name === name)));
  return layers.filter((boxes) => boxes.length > 0).map((boxes, row) => {
    const space = WIDTH - 2 * MARGIN;
    const width = boxes.length === 1 ? space * 0.6 : (space - GAP * (boxes.length - 1)) / boxes.length;
    const start = (WIDTH - width * boxes.length - GAP * (boxes.length - 1)) / 2;
    return boxes.map((box, index) => ({
      ...box,
      row,
      x: start + index * (width + GAP),
      y: TOP + row * ROW,
      width,
      subfolders: folders.find(({ name }) => name === box.name)?.subfolders.join(" · ") ?? "",
    }));
  });
}

interface Arrow {
  readonly from: Placed;
  readonly to: Placed;
  readonly onDemand: boolean;
  /** The x of its passage through each row between the two. */
  readonly passages: number[];
}

/** The gaps of a row that an arrow can pass through: their middles. */
function gapsOf(row: readonly Placed[]): number[] {
  const [first, ...others] = row;
  if (!first) return [];
  const inner = others.map(({ x }) => x - GAP / 2);
  const last = row.at(-1) ?? first;
  return [first.x - MARGIN / 2, ...inner, last.x + last.width + MARGIN / 2];
}

const middle = ({ x, width }: Placed) => x + width / 2;

/** Leads each arrow around the boxes of the rows between. Arrows through one gap lie beside each other. */
function lead(rows: readonly (readonly Placed[])[], imports: readonly FolderImport[]): Arrow[] {
  const boxes = new Map(rows.flat().map((box) => [box.name, box]));
  const taken = new Map<string, Arrow[]>();
  const arrows = imports.flatMap(({ from: source, to: target, onDemand }): Arrow[] => {
    const [from, to] = [boxes.get(source), boxes.get(target)];
    if (!from || !to) return [];
    if (from.row >= to.row) throw new Error(`Cannot draw the import of ${target} by ${source}: it is not below`);
    return [{ from, to, onDemand, passages: [] }];
  });
  // Short arrows first: they take the inner lanes.
  arrows.sort((a, b) => (a.to.row - a.from.row) - (b.to.row - b.from.row));
  for (const arrow of arrows) {
    const { from, to, passages } = arrow;
    for (let row = from.row + 1; row < to.row; row++) {
      const straight = middle(from) + (middle(to) - middle(from)) * (row - from.row) / (to.row - from.row);
      const before = passages.at(-1) ?? middle(from);
      const gap = gapsOf(rows[row] ?? []).reduce((best, x) => {
        const cost = (at: number) =>
          Math.abs(at - straight) + Math.abs(at - before) + (taken.get(`${row} ${at}`)?.length ?? 0) * 40;
        return cost(x) < cost(best) ? x : best;
      });
      const others = taken.get(`${row} ${gap}`) ?? [];
      taken.set(`${row} ${gap}`, [...others, arrow]);
      passages.push(gap);
    }
  }
  // Spread the arrows of a gap: those that come from and go to the left lie left.
  for (const [key, members] of taken) {
    const row = Number(key.split(" ")[0]);
    const gap = Number(key.split(" ")[1]);
    const lean = ({ from, to, passages }: Arrow) =>
      (passages[row - from.row - 2] ?? middle(from)) + (passages[row - from.row] ?? middle(to));
    members.toSorted((a, b) => lean(a) - lean(b)).forEach((arrow, index) => {
      arrow.passages[row - arrow.from.row - 1] = gap + (index - (members.length - 1) / 2) * LANE;
    });
  }
  return arrows;
}

/** Spreads the ends of arrows along a side of a box, in the order of where they lead. */
function ports(arrows: readonly Arrow[], side: "from" | "to"): Map<Arrow, number> {
  const found = new Map<Arrow, number>();
  for (const box of new Set(arrows.map((arrow) => arrow[side]))) {
    const next = ({ from, to, passages }: Arrow) =>
      side === "from" ? passages[0] ?? middle(to) : passages.at(-1) ?? middle(from);
    const ends = arrows.filter((arrow) => arrow[side] === box).toSorted((a, b) => next(a) - next(b));
    const step = Math.min(52, (box.width - 60) / Math.max(1, ends.length - 1));
    ends.forEach((arrow, index) => found.set(arrow, middle(box) + (index - (ends.length - 1) / 2) * step));
  }
  return found;
}

const round = (value: number) => Math.round(value * 10) / 10;

function curve(x: number, y: number, toX: number, toY: number): string {
  const bend = (toY - y) * 0.55;
  return `C${[x, y + bend, toX, toY - bend, toX, toY].map(round).join(" ")}`;
}

function drawArrow({ from, to, onDemand, passages }: Arrow, startX: number, endX: number): Markup {
  let [x, y] = [startX, from.y + HEIGHT];
  let path = `M${round(x)} ${round(y)}`;
  passages.forEach((passage, index) => {
    const top = TOP + (from.row + 1 + index) * ROW;
    path += curve(x, y, passage, top) + `V${round(top + HEIGHT)}`;
    [x, y] = [passage, top + HEIGHT];
  });
  path += curve(x, y, endX, to.y - 7);
  return element("path", {
    d: path,
    stroke: from.color,
    "marker-end": `url(#${from.name})`,
    ...(onDemand ? { "stroke-dasharray": "5 4" } : {}),
  });
}

function drawMarker({ name, color }: Placed): Markup {
  return element(
    "marker",
    { id: name, viewBox: "0 0 8 8", refX: 2, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: "auto" },
    element("path", { d: "M0 0.5L8 4L0 7.5Z", style: `fill:${color};stroke:none` }),
  );
}

function drawBox({ name, purpose, subfolders, color, x, y, width }: Placed): Markup {
  const center = x + width / 2;
  const line = (text: string, dy: number, className: string) =>
    element("text", { x: center, y: y + dy, class: className, "text-anchor": "middle" }, text);
  return element(
    "g",
    {},
    element("rect", { x, y, width, height: HEIGHT, rx: 9, fill: "#ffffff", stroke: color, "stroke-width": 1.8 }),
    line(name === "functions" ? "functions/" : `shared/${name}/`, subfolders ? 25 : 34, "name"),
    line(purpose, subfolders ? 44 : 54, "purpose"),
    ...(subfolders ? [line(subfolders, 63, "sub")] : []),
  );
}

/** Renders the picture from the folders and imports of the repository. */
export async function renderArchitecture(): Promise<string> {
  const rows = place(await readFolders());
  const arrows = lead(rows, await readImports());
  const [starts, ends] = [ports(arrows, "from"), ports(arrows, "to")];
  const height = TOP + rows.length * ROW + 4;
  const dashed = arrows.some(({ onDemand }) => onDemand) ? "; a dashed one is loaded on demand" : "";
  const note = `An arrow is an import${dashed}. Imports lead down only.`;
  return svgDocument(WIDTH, height, STYLE, [
    element("title", {}, "Folders and imports"),
    element("defs", {}, ...rows.flat().map(drawMarker)),
    element("rect", { width: WIDTH, height, fill: "#f8fafc", rx: 12 }),
    ...arrows.map((arrow) => drawArrow(arrow, starts.get(arrow) ?? 0, ends.get(arrow) ?? 0)),
    ...rows.flat().map(drawBox),
    element("text", { x: WIDTH / 2, y: height - 24, class: "note", "text-anchor": "middle" }, note),
  ]);
}
