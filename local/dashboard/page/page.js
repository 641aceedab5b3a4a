/**
 * The page: asks its server for the data every 2 s while it is visible, and shows it. All data is text, never HTML.
 *
 * @module
 */
import { LineChart, svgElement } from "./charts.js";
import { age, milliseconds, number, partsOf, timeOfDay } from "./format.js";

const INTERVAL_MS = 2_000;
const TIMEOUT_MS = 15_000;
const THEME = "dashboard-theme";

const byId = (id) => document.getElementById(id);

const CHARTS = [
  new LineChart({
    id: "chart-slots",
    title: "Slots",
    unit: "",
    series: [
      { label: "active", color: "blue", pick: ({ active }) => active },
      { label: "idle", color: "orange", pick: ({ idle }) => idle },
      { label: "limit", color: "limit", pick: ({ limit }) => limit },
    ],
  }),
  new LineChart({
    id: "chart-waiting",
    title: "Waiting requests",
    unit: "",
    series: [{ label: "waiting", color: "red", pick: ({ waiting }) => waiting }],
  }),
  new LineChart({
    id: "chart-rate",
    title: "Rate",
    unit: "per second",
    series: [
      { label: "slots acquired", color: "blue", pick: ({ acquiredPerS }) => acquiredPerS },
      { label: "errors", color: "red", pick: ({ errorsPerS }) => errorsPerS },
    ],
  }),
  new LineChart({
    id: "chart-wait",
    title: "Wait for a slot",
    unit: "ms",
    format: milliseconds,
    series: [
      { label: "p50", color: "blue", pick: ({ waitP50 }) => waitP50 },
      { label: "p90", color: "orange", pick: ({ waitP90 }) => waitP90 },
      { label: "p99", color: "violet", pick: ({ waitP99 }) => waitP99 },
    ],
  }),
  new LineChart({
    id: "chart-use",
    title: "Use of a slot",
    unit: "ms",
    format: milliseconds,
    series: [
      { label: "p50", color: "blue", pick: ({ useP50 }) => useP50 },
      { label: "p90", color: "orange", pick: ({ useP90 }) => useP90 },
      { label: "p99", color: "violet", pick: ({ useP99 }) => useP99 },
    ],
  }),
];
byId("charts").append(...CHARTS.map(({ figure }) => figure));

/** Sets a text if it differs, so that a screen reader and a selection are not disturbed. */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Returns the cell at a position of a line, which is created if it does not exist. */
function cellAt(line, index, isHead) {
  const found = line.cells[index];
  if (found) return found;
  const cell = document.createElement(isHead || index === 0 ? "th" : "td");
  if (cell.tagName === "TH") cell.scope = isHead ? "col" : "row";
  line.append(cell);
  return cell;
}

/** Shows a row in a line of a table, and changes only what differs. A cell is a text, or `[text, class]`, or a bar. */
function fillLine(line, cells, columns, isHead) {
  for (const [index, content] of cells.entries()) {
    const cell = cellAt(line, index, isHead);
    const [text, className = columns[index][1] ?? ""] = Array.isArray(content) ? content : [content];
    if (cell.className !== className) cell.className = className;
    if (typeof text === "string") setText(cell, text);
    else showBar(cell, text);
  }
}

/** Fills a table. Its cells stay, so that a screen reader and a selection are not disturbed. */
function fillTable(id, columns, rows, empty) {
  const table = byId(id);
  if (!table.tHead) fillLine(table.createTHead().insertRow(), columns.map(([name]) => name), columns, true);
  const body = table.tBodies[0] ?? table.createTBody();
  const isEmpty = rows.length === 0;
  if (isEmpty !== (body.dataset.empty === "true")) body.replaceChildren();
  body.dataset.empty = String(isEmpty);
  while (body.rows.length > Math.max(rows.length, 1)) body.deleteRow(-1);
  if (isEmpty) {
    const line = body.rows[0] ?? body.insertRow();
    const cell = line.cells[0] ?? line.insertCell();
    cell.colSpan = columns.length;
    return setText(cell, empty);
  }
  for (const [index, cells] of rows.entries()) fillLine(body.rows[index] ?? body.insertRow(), cells, columns, false);
}

const NUMBER = "number";

/** Shows where the time of a request went. The columns beside it have the same as text. */
function showBar(cell, request) {
  const parts = partsOf(request);
  const state = parts.map(({ share }) => share.toFixed(3)).join(" ");
  if (cell.dataset.state === state) return;
  cell.dataset.state = state;
  const svg = svgElement("svg", {
    class: "bar",
    viewBox: "0 0 100 10",
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  let at = 0;
  for (const { name, share } of parts) {
    svg.append(svgElement("rect", { x: at * 100, y: 0, width: share * 100, height: 10, class: name }));
    at += share;
  }
  cell.replaceChildren(svg);
}

function sum(rows, pick) {
  return rows.reduce((total, row) => total + pick(row), 0);
}

/**
 * @returns The figures of the moment: name, value, and whether it asks for attention. Without a fleet, those of the one
 * isolate that responded; what nobody knows is not 0.
 */
function tilesOf(functions, { health, history, isKnown }) {
  const last = isKnown ? history.at(-1) : undefined;
  const pools = isKnown ? functions.map(({ counters }) => counters) : health ? [health.counters] : [];
  const isAnyKnown = isKnown || health !== null;
  const poolSum = (name) => isAnyKnown ? sum(pools, (counters) => counters[name]) : null;
  const fleetSum = (pick) => isKnown ? sum(functions, pick) : null;
  const [active, limit, waiting, acquired] = ["active", "limit", "waiting", "acquired"].map(poolSum);
  return [
    ["health", "Health", health ? health.status : "unknown", health?.status === "fail"],
    ["isolates", "Isolates", number(fleetSum(({ isolates }) => isolates))],
    ["active", "Active", number(active), limit > 0 && active >= limit],
    ["idle", "Idle", number(poolSum("idle"))],
    ["waiting", "Waiting", number(waiting), waiting > 0],
    ["limit", "Limit", number(limit)],
    ["acquired", "Acquired", acquired === null ? number(null) : String(acquired)],
    ["rate", "Acquired/s", number(last?.acquiredPerS)],
    ["retries", "Retries", number(fleetSum(({ retries }) => retries))],
    ["timeouts", "Timeouts", number(poolSum("timeouts"))],
    ["errors", "Errors", number(fleetSum(({ errors }) => sum(errors, ({ count }) => count)))],
  ];
}

function showTiles(tiles) {
  const list = byId("now");
  if (list.children.length !== tiles.length) {
    list.replaceChildren(...tiles.map(([id, name]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const value = document.createElement("dd");
      term.textContent = name;
      value.id = `now-${id}`;
      box.append(term, value);
      return box;
    }));
  }
  for (const [id, , text, isBad] of tiles) {
    const value = byId(`now-${id}`);
    setText(value, text);
    value.classList.toggle("bad", isBad === true);
  }
}

/** The text of a table without rows while the fleet cannot be read. */
const UNKNOWN = "Not known: the fleet cannot be read.";

function showErrors(functions, isKnown) {
  const counts = new Map();
  for (const row of functions) {
    for (const { code, count } of row.errors) {
      const found = counts.get(code) ?? { count: 0, names: new Set() };
      found.count += count;
      found.names.add(row.function);
      counts.set(code, found);
    }
  }
  const rows = [...counts].sort((a, b) => b[1].count - a[1].count)
    .map(([code, { count, names }]) => [[code, "id"], String(count), [...names].join(", ")]);
  fillTable("errors", [["Code"], ["Count", NUMBER], ["Functions"]], rows, isKnown ? "No errors." : UNKNOWN);
}

function showSlow(requests, isKnown) {
  const columns = [
    ["Request id", "id"],
    ["Function"],
    ["Method"],
    ["Status", NUMBER],
    ["Code", "id"],
    ["Total", NUMBER],
    ["Parts"],
    ["Credentials", NUMBER],
    ["Waiting", NUMBER],
    ["Calls", NUMBER],
    ["Ended"],
  ];
  const rows = requests.map((request) => [
    request.requestId,
    request.function,
    request.method,
    [String(request.status), request.status >= 500 ? "number bad" : NUMBER],
    request.code,
    milliseconds(request.durationMs),
    request,
    milliseconds(request.verifyMs),
    milliseconds(request.waitMs),
    milliseconds(request.upstreamMs),
    timeOfDay(request.endedAtMs),
  ]);
  fillTable("slow", columns, rows, isKnown ? "None yet." : UNKNOWN);
}

const POOL = [["Active", NUMBER], ["Idle", NUMBER], ["Waiting", NUMBER], ["Limit", NUMBER], ["Acquired", NUMBER]];
const TIMES = [["Wait p50", NUMBER], ["Wait p99", NUMBER], ["Use p50", NUMBER], ["Use p99", NUMBER]];

function poolCells({ counters }) {
  const waiting = counters.waiting > 0 ? "number bad" : NUMBER;
  return [
    number(counters.active),
    number(counters.idle),
    [number(counters.waiting), waiting],
    number(counters.limit),
    String(counters.acquired),
  ];
}

function timeCells({ wait, use }) {
  return [[wait, wait.p50], [wait, wait.p99], [use, use.p50], [use, use.p99]]
    .map(([{ count }, value]) => milliseconds(count > 0 ? value : null));
}

const errorsOf = ({ errors }) => number(sum(errors, ({ count }) => count));

function showTables(functions, isolates, isKnown) {
  fillTable(
    "functions",
    [["Function"], ["Region"], ["Isolates", NUMBER], ...POOL, ...TIMES, ["Retries", NUMBER], ["Errors", NUMBER]],
    functions.map((row) => [
      row.function,
      row.region,
      number(row.isolates),
      ...poolCells(row),
      ...timeCells(row),
      number(row.retries),
      errorsOf(row),
    ]),
    isKnown ? "No function has reported within 30 s." : UNKNOWN,
  );
  fillTable(
    "isolates",
    [["Isolate", "id"], ["Function"], ["Region"], ...POOL, ["Open circuits"], ["Errors", NUMBER], ["Last report"]],
    isolates.map((row) => [
      row.isolate,
      row.function,
      row.region,
      ...poolCells(row),
      [row.circuits.join(", "), row.circuits.length > 0 ? "bad" : ""],
      errorsOf(row),
      `${age(row.ageMs)} ago`,
    ]),
    isKnown ? "No isolate has reported within 30 s." : UNKNOWN,
  );
}

function showAlerts(alerts) {
  byId("alerts-section").hidden = alerts.length === 0;
  const rows = [...alerts].sort((a, b) => Number(b.raised) - Number(a.raised)).map((alert) => [
    alert.rule,
    alert.function,
    alert.raised ? ["raised", "bad"] : "cleared",
    `${age(alert.ageMs)} ago`,
    number(alert.value),
  ]);
  fillTable("alerts", [["Rule"], ["Function"], ["State"], ["Since"], ["Value", NUMBER]], rows, "None.");
}

function showMissing(missing) {
  byId("missing-section").hidden = missing.length === 0;
  const list = byId("missing");
  const state = JSON.stringify(missing);
  if (list.dataset.state === state) return;
  list.dataset.state = state;
  list.replaceChildren(...missing.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
}

/** Says the state in a live region: only a change of it is announced. */
function showStatus(state, text) {
  const status = byId("status");
  status.dataset.state = state;
  setText(status, text);
}

function statusOf({ state, missing, alerts, isKnown, isolates }) {
  if (state === "down") return "The project cannot be read: see Missing";
  const raised = alerts.filter((alert) => alert.raised).length;
  const parts = [
    state === "ok" ? "Live" : `Live, ${missing.length} ${missing.length === 1 ? "part" : "parts"} missing`,
  ];
  if (isKnown) parts.push(`${isolates.length} ${isolates.length === 1 ? "isolate" : "isolates"}`);
  if (raised > 0) parts.push(`${raised} ${raised === 1 ? "alert" : "alerts"} raised`);
  return parts.join(", ");
}

const choice = byId("function");

function showChoices(functions) {
  const names = [...new Set([...functions.map((row) => row.function), ...(choice.value === "" ? [] : [choice.value])])];
  const state = JSON.stringify(names.sort());
  if (choice.dataset.state === state) return;
  choice.dataset.state = state;
  const chosen = choice.value;
  choice.replaceChildren(...["", ...names].map((name) => {
    const option = document.createElement("option");
    option.value = name;
    option.textContent = name === "" ? "All functions" : name;
    return option;
  }));
  choice.value = chosen;
}

function show(data) {
  const isChosen = (row) => data.selected === "" || row.function === data.selected;
  const functions = data.functions.filter(isChosen);
  setText(byId("target"), data.target);
  document.title = `Pools of ${data.target}`;
  showChoices(data.functions);
  showStatus(data.state, statusOf(data));
  showMissing(data.missing);
  showAlerts(data.alerts.filter(isChosen));
  byId("scope").hidden = data.isKnown || data.health === null;
  showTiles(tilesOf(functions, data));
  for (const chart of CHARTS) chart.update(data.history);
  showErrors(functions, data.isKnown);
  showSlow(data.slowRequests.filter(isChosen), data.isKnown);
  showTables(functions, data.isolates.filter(isChosen), data.isKnown);
  setText(byId("updated"), `Updated ${timeOfDay(data.polledAtMs)}, read in ${milliseconds(data.tookMs)}.`);
}

let isPaused = false;
let timer;
/** The number of the latest request: a slow response to an earlier one is not shown. */
let latest = 0;

async function refresh() {
  clearTimeout(timer);
  const turn = ++latest;
  try {
    const response = await fetch(`/data?function=${encodeURIComponent(choice.value)}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`The dashboard responded ${response.status}`);
    const data = await response.json();
    if (turn === latest) show(data);
  } catch {
    if (turn === latest) showStatus("down", "The dashboard does not respond: start it again");
  }
  if (turn === latest && !isPaused && !document.hidden) timer = setTimeout(refresh, INTERVAL_MS);
}

const pause = byId("pause");
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  if (isPaused) clearTimeout(timer);
  else refresh();
});
choice.addEventListener("change", refresh);
byId("controls").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (!isPaused) refresh();
});

const theme = byId("theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  const isDark = theme.value === "dark" || (theme.value === "" && prefersDark.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

/** Storage may be switched off. */
function stored(value) {
  try {
    if (value !== undefined) localStorage.setItem(THEME, value);
    return localStorage.getItem(THEME) ?? "";
  } catch {
    return value ?? "";
  }
}

theme.value = ["light", "dark"].includes(stored()) ? stored() : "";
theme.addEventListener("change", () => {
  stored(theme.value);
  applyTheme();
});
prefersDark.addEventListener("change", applyTheme);
applyTheme();
refresh();
