"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("overview").textContent);
  const columns = new Map(data.columns.map((column) => [column.key, column]));
  const root = document.documentElement;
  const body = $("table").tBodies[0];
  const SYMBOLS = ["circle", "rect", "triangle", "diamond", "pin", "arrow", "roundRect"];

  /** An element with properties, attributes (names with a dash, and role) and children. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(properties)) {
      if (key.includes("-") || key === "role" || key === "scope") element.setAttribute(key, value);
      else element[key] = value;
    }
    element.append(...children);
    return element;
  }

  function shown(value, digits = 4) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value)) return String(value).replace("-", "−");
    return String(Number(value.toPrecision(digits))).replace("-", "−");
  }

  /** A score as the table shows it: three decimals below 1.5, fewer above. */
  function pretty(value) {
    if (value === null || value === undefined) return "–";
    if (Number.isInteger(value)) return String(value).replace("-", "−");
    const size = Math.abs(value);
    return value.toFixed(size < 1.5 ? 3 : size < 10 ? 2 : size < 1000 ? 1 : 0).replace("-", "−");
  }

  const unitOf = (column) => column.unit === "count" ? "" : column.unit;
  const withUnit = (column) => column.title + (column.unit ? ` (${column.unit})` : "");

  // ---- theme ------------------------------------------------------------------------------

  const system = matchMedia("(prefers-color-scheme: dark)");
  const THEMES = ["automatic", "light", "dark"];
  let theme = "automatic";
  // Storage may be refused on pages that are opened from disk.
  try { theme = localStorage.getItem("pyrovae-theme") || theme; } catch { /* stays automatic */ }
  if (!THEMES.includes(theme)) theme = "automatic";
  const charts = new Map();

  function applyTheme(forced) {
    const dark = theme === "automatic" ? system.matches : theme === "dark";
    root.dataset.shown = forced || (dark ? "dark" : "light");
    $("theme").textContent = `Theme: ${theme}`;
    for (const chart of charts.values()) chart.redraw();
    document.querySelectorAll(".dot").forEach((dot) => {
      dot.style.background = colour(Number(dot.className.match(/c(\d+)/)[1]));
    });
    drawLegend();
  }

  const colour = (index) => data.first.levels[index][root.dataset.shown === "dark" ? "dark" : "light"];

  // ---- charts -----------------------------------------------------------------------------

  /** Draw into a place; `option` is a function, called again whenever the theme changes. */
  function draw(place, option, onClick) {
    charts.get(place)?.chart.dispose();
    const chart = echarts.init(place, null, { renderer: "svg" });
    const redraw = () => chart.setOption({ ...base(), ...option() }, true);
    redraw();
    if (onClick) chart.on("click", onClick);
    charts.set(place, { chart, redraw });
  }

  function base() {
    const css = getComputedStyle(root);
    const get = (name) => css.getPropertyValue(name).trim();
    ink = { ink: get("--ink"), muted: get("--muted"), line: get("--line"), surface: get("--surface"), accent: get("--accent") };
    return {
      animation: false,
      textStyle: { fontFamily: get("--sans"), color: ink.muted },
      tooltip: {
        confine: true, backgroundColor: ink.surface, borderColor: ink.line, padding: [6, 10],
        textStyle: { color: ink.ink },
      },
      grid: { left: 6, right: 14, top: 12, bottom: 6, outerBoundsMode: "same", outerBoundsContain: "all" },
    };
  }
  let ink = {};

  function axis(name, more = {}) {
    return {
      type: "value", name, nameLocation: "middle", nameGap: 24, scale: true,
      nameTextStyle: { color: ink.muted, fontSize: 12 },
      axisLabel: { color: ink.muted, fontSize: 11, hideOverlap: true },
      axisLine: { show: true, onZero: false, lineStyle: { color: ink.line } },
      axisTick: { show: false },
      splitLine: { lineStyle: { color: ink.line, opacity: .55 } },
      ...more,
    };
  }

  const yAxis = (name, more) => axis(name, { nameGap: 34, ...more });

  /** A tooltip: a heading and lines, as an element, so that no text is read as HTML. */
  function tip(heading, ...lines) {
    return make("div", { className: "tip" }, make("b", { textContent: heading }),
      ...lines.map((line) => make("div", { textContent: line })));
  }

  const runTitle = (run) => `${data.cells[run.cell].name}, seed ${run.seed}`;
  const symbolOf = (cell) => SYMBOLS[cell.second % SYMBOLS.length];

  function drawCells() {
    const key = $("score").value, column = columns.get(key);
    const rows = data.first.levels.map(() => []);
    data.cells.forEach((cell, index) => rows[cell.first].push(index));
    const height = (cell) => {
      const mates = rows[data.cells[cell].first];
      const offset = (mates.indexOf(cell) + .5) / mates.length - .5;
      return data.first.levels.length - 1 - data.cells[cell].first - offset * .72;
    };
    $("score-hint").textContent = column.meaning;
    const place = $("chart-cells");
    place.style.height = `${Math.max(24, 4 + data.cells.length * 1.5 + data.first.levels.length)}rem`;
    place.setAttribute("aria-label",
      `${withUnit(column)} by cell, a point for each seed; the same numbers are in the table below.`);
    const narrow = place.clientWidth < 460;
    draw(place, () => ({
      grid: { ...base().grid, left: narrow ? 108 : 162, outerBoundsMode: "none", bottom: 44, right: 20 },
      xAxis: axis(withUnit(column), { minInterval: column.unit === "count" ? 1 : 0 }),
      yAxis: axis("", {
        min: -.6, max: data.first.levels.length - .4, splitLine: { show: false }, scale: false,
        axisLine: { show: false, onZero: false },
        axisLabel: {
          customValues: data.first.levels.map((_, i) => i), color: ink.ink, fontSize: 12,
          formatter: (value) =>
            (data.first.levels[data.first.levels.length - 1 - value]?.name ?? "").replace(/ = (?=[\d.-])/g, "\u00a0=\u00a0"),
          width: narrow ? 96 : 150, overflow: "break",
        },
      }),
      series: [
        {
          type: "custom", silent: true, z: 2,
          data: data.cells.map((cell, i) => [cell.means[key][1], cell.means[key][2], height(i), i])
            .filter((item) => item[0] !== null),
          encode: { x: [0, 1], y: 2 },
          renderItem: (_, api) => {
            const [x1, y] = api.coord([api.value(0), api.value(2)]);
            const [x2] = api.coord([api.value(1), api.value(2)]);
            return {
              type: "line", shape: { x1, y1: y, x2, y2: y },
              style: { stroke: colour(data.cells[api.value(3)].first), lineWidth: 2 },
            };
          },
        },
        {
          type: "scatter", z: 1, symbolSize: 9,
          data: data.runs.filter((run) => run.values[key] !== null).map((run) => ({
            value: [run.values[key], height(run.cell)], run,
            symbol: symbolOf(data.cells[run.cell]),
            itemStyle: { color: colour(data.cells[run.cell].first), opacity: visible.has(run.id) ? .5 : .08 },
          })),
          tooltip: { formatter: ({ data: d }) => tip(runTitle(d.run), `${column.title}: ${shown(d.run.values[key])} ${unitOf(column)}`) },
        },
        {
          type: "scatter", z: 3, symbolSize: 12,
          data: data.cells.map((cell, i) => ({
            value: [cell.means[key][0], height(i)], cell, symbol: symbolOf(cell),
            itemStyle: { color: colour(cell.first), borderColor: ink.surface, borderWidth: 1.5 },
          })).filter((item) => item.value[0] !== null),
          tooltip: { formatter: ({ data: d }) => tip(d.cell.name,
            `mean ${shown(d.cell.means[key][0])} ${unitOf(column)}`,
            d.cell.means[key][1] === null ? "too few seeds for an interval"
              : `95 % interval ${shown(d.cell.means[key][1])} to ${shown(d.cell.means[key][2])}`) },
        },
      ],
    }), ({ data: d }) => d.run && openRun(d.run.id));
  }

  function drawScatter() {
    const [x, y] = [columns.get($("axis-x").value), columns.get($("axis-y").value)];
    const plane = x.key === "rate" && y.key === "distortion";
    $("scatter-hint").textContent = plane
      ? "The rate-distortion plane (Alemi et al. 2018); dashed lines are of equal ELBO, named at their ends. Open a run by its point."
      : "A point for each run; open it for its details.";
    $("chart-scatter").setAttribute("aria-label",
      `${withUnit(y)} against ${withUnit(x)}, a point for each run; the table of runs has the numbers.`);
    const points = data.runs.filter((run) => run.values[x.key] !== null && run.values[y.key] !== null);
    draw($("chart-scatter"), () => ({
      ...(plane && { grid: { ...base().grid, right: 44 } }),
      xAxis: axis(withUnit(x)),
      yAxis: yAxis(withUnit(y)),
      series: [
        ...(plane ? equalElbo(points) : []),
        {
          type: "scatter", symbolSize: 11,
          data: points.map((run) => ({
            value: [run.values[x.key], run.values[y.key]], run, symbol: symbolOf(data.cells[run.cell]),
            itemStyle: { color: colour(data.cells[run.cell].first), opacity: visible.has(run.id) ? .85 : .1,
              borderColor: ink.surface, borderWidth: .7 },
          })),
          tooltip: { formatter: ({ data: d }) => tip(runTitle(d.run),
            `${x.title}: ${shown(d.value[0])} ${unitOf(x)}`, `${y.title}: ${shown(d.value[1])} ${unitOf(y)}`) },
        },
      ],
    }), ({ data: d }) => d.run && openRun(d.run.id));
  }

  /** Round numbers in a range, about four. */
  function ticks(low, high) {
    const rough = (high - low) / 4 || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= .9 * rough);
    const first = Math.ceil(low / step), last = Math.floor(high / step);
    return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }

  /** Lines on which rate plus distortion is the same, inside the points' frame; named to the right of their ends:
   *  names below would stand on those of the axis. Corners that a line only touches have none. */
  function equalElbo(points) {
    const frame = (key) => {
      const values = points.map((run) => run.values[key]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const margin = (high - low || 1) * .06;
      return [low - margin, high + margin];
    };
    const [left, right] = frame("rate"), [bottom, top] = frame("distortion");
    const ends = (sum) => [Math.max(left, sum - top), Math.min(right, sum - bottom)];
    const crosses = (sum) => ends(sum)[1] - ends(sum)[0] > .1 * (right - left);
    return ticks(left + bottom, right + top).filter(crosses).map((sum) => {
      const [from, to] = ends(sum);
      return {
        type: "line", silent: true, symbol: "none", z: 0, tooltip: { show: false },
        lineStyle: { type: "dashed", width: 1, color: ink.muted, opacity: .5 },
        data: [[from, sum - from], [to, sum - to]],
        endLabel: { show: true, formatter: shown(-sum), color: ink.muted, fontSize: 10, distance: 2, backgroundColor: ink.surface },
      };
    });
  }

  function drawLegend() {
    const svg = (fill, symbol) => {
      const shapes = {
        rect: "M0 0H10V10H0Z", triangle: "M5 0L10 10H0Z", diamond: "M5 0L10 5L5 10L0 5Z",
        circle: "M0 5A5 5 0 1 0 10 5A5 5 0 1 0 0 5Z", pin: "M5 10L1 4A4.2 4.2 0 1 1 9 4Z",
        arrow: "M5 0L10 10L5 7.5L0 10Z", roundRect: "M2 0H8A2 2 0 0 1 10 2V8A2 2 0 0 1 8 10H2A2 2 0 0 1 0 8V2A2 2 0 0 1 2 0Z",
      };
      const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      made.setAttribute("viewBox", "0 0 10 10");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", shapes[symbol]);
      path.setAttribute("fill", fill);
      made.append(path);
      return made;
    };
    const entry = (mark, text) => make("span", {}, mark, text);
    $("legend").replaceChildren(
      make("b", { textContent: data.first.title }),
      ...data.first.levels.map((level, i) => entry(svg(colour(i), "circle"), level.name)),
      ...(data.second ? [make("b", { textContent: data.second.title }),
        ...data.second.levels.map((name, i) => entry(svg("currentColor", SYMBOLS[i % SYMBOLS.length]), name))] : []));
  }

  // ---- table ------------------------------------------------------------------------------

  const tableRows = [...body.rows];
  const original = new Map(tableRows.map((row, i) => [row, i]));
  let visible = new Set(data.runs.map((run) => run.id));

  function cellValue(row, index) {
    const cell = row.cells[index];
    if (!("v" in cell.dataset)) return cell.textContent.trim().toLowerCase();
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  }

  function compare(a, b) {
    if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
    return a - b;
  }

  function sortBy(header) {
    const headers = [...header.parentElement.cells], index = headers.indexOf(header);
    const before = header.getAttribute("aria-sort");
    // Numbers first fall, since the largest is what one looks for; words first rise.
    const [first, second] = header.classList.contains("value") ? ["descending", "ascending"] : ["ascending", "descending"];
    const order = before === "none" ? first : before === first ? second : "none";
    headers.forEach((other) => other.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    const sorted = [...tableRows].sort((a, b) => {
      if (order === "none") return original.get(a) - original.get(b);
      const [x, y] = [cellValue(a, index), cellValue(b, index)];
      // Rows without the value stay at the end, whichever way the others go.
      if (x === null || y === null) return (x === null) - (y === null) || original.get(a) - original.get(b);
      return sign * compare(x, y) || original.get(a) - original.get(b);
    });
    body.append(...sorted);
    const words = order === "none" ? "in the study's order" : `sorted by ${header.textContent.trim().replace(/\s+/g, " ")}, ${order}`;
    tell(words);
  }

  function tell(words = "") {
    const count = visible.size, all = tableRows.length;
    $("shown").textContent = (count === all ? `${all} runs` : `${count} of ${all} runs`) + (words ? `, ${words}.` : ".")
      + " Open one for its units, training, pictures and diagnostics.";
    $("none").hidden = count > 0;
  }

  const filters = [...document.querySelectorAll("[data-filter]")];

  function filter() {
    const words = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    visible = new Set();
    for (const row of tableRows) {
      // Short words would be found by chance in a hash: there, only its start counts.
      const inTitle = row.dataset.title.toLowerCase();
      const fits = words.every((word) => inTitle.includes(word) || (word.length > 3 && row.dataset.run.startsWith(word)))
        && filters.every((select) => !select.value || row.cells[1 + Number(select.dataset.filter)].textContent.trim() === select.value);
      row.hidden = !fits;
      if (fits) visible.add(row.dataset.run);
    }
    tell();
    charts.get($("chart-cells"))?.redraw();
    charts.get($("chart-scatter"))?.redraw();
  }

  /** A pale bar behind each value: where it lies between the column's least and greatest. */
  function shadeValues() {
    const width = tableRows[0]?.cells.length ?? 0;
    for (let index = 0; index < width; index++) {
      const cells = tableRows.map((row) => row.cells[index]).filter((cell) => cell.classList.contains("value") && cell.dataset.v !== "");
      const values = cells.map((cell) => Number(cell.dataset.v));
      const [low, high] = [Math.min(...values), Math.max(...values)];
      cells.forEach((cell, i) => cell.style.setProperty("--p", high > low ? (100 * (values[i] - low)) / (high - low) : 0));
    }
  }

  function saveCsv() {
    const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const head = ["run", ...[...$("table").tHead.rows[0].cells].slice(1).map((cell) => cell.textContent.trim().replace(/\s+/g, " "))];
    const lines = [...body.rows].filter((row) => !row.hidden).map((row) =>
      [row.dataset.run, ...[...row.cells].slice(1).map((cell) => cell.dataset.v ?? cell.textContent.trim())]);
    const text = [head, ...lines].map((line) => line.map(quote).join(",")).join("\n");
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${data.study}-runs.csv` });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // ---- one run ----------------------------------------------------------------------------

  const dialog = $("run");
  const runs = new Map(data.runs.map((run) => [run.id, run]));
  let current = null;

  function openRun(id) {
    const run = runs.get(id);
    if (!run) return;
    current = id;
    const about = JSON.parse($(`run-${id}`).textContent);
    $("run-title").textContent = runTitle(run);
    $("run-about").textContent = `Run ${id}` + (about.seconds ? ` · trained in ${shown(about.seconds, 3)} s` : "");
    closeCharts();
    $("run-body").replaceChildren(keys(run), collapse(about), training(about), ...pictures(about), diagnostics(about));
    if (!dialog.open) dialog.showModal();
    $("run-body").parentElement.scrollTop = 0;
    $("run-title").focus();
    // Charts are drawn once their places have a size.
    for (const place of dialog.querySelectorAll(".chart")) draw(place, place.option);
    const order = [...body.rows].filter((row) => !row.hidden).map((row) => row.dataset.run);
    const at = order.indexOf(id);
    neighbours = [order[at - 1], order[at + 1]];
    $("previous").disabled = !neighbours[0];
    $("next").disabled = !neighbours[1];
    if (location.hash !== `#run=${id}`) history.replaceState(null, "", `#run=${id}`);
  }
  let neighbours = [];

  function closeCharts() {
    for (const [place, { chart }] of charts) {
      if (dialog.contains(place)) { chart.dispose(); charts.delete(place); }
    }
  }

  function section(title, ...children) {
    return make("section", { "aria-label": title }, make("h3", { textContent: title }), ...children);
  }

  function chart(title, option, words = title) {
    const place = make("div", { className: "chart", role: "img", "aria-label": words, option });
    return make("figure", {}, make("figcaption", {}, make("h4", { textContent: title })), place);
  }

  function keys(run) {
    return make("dl", { className: "keys" }, ...data.columns.filter((column) => run.values[column.key] !== null).map((column) =>
      make("div", {}, make("dt", { textContent: withUnit(column) }), make("dd", { textContent: pretty(run.values[column.key]) }))));
  }

  /** KL on a logarithmic axis: idle units are seen beside those of some nats, the least of them at its foot. */
  const FOOT = 0.001, nearZero = { type: "log", min: FOOT };
  const aboveFoot = (kl) => (kl === null ? null : Math.max(kl, FOOT));

  const fixed = (value) => (value === null || value === undefined ? "–" : value.toFixed(3).replace("-", "−"));

  function collapse(about) {
    const run = runs.get(current), active = about.units.filter((unit) => unit[4]).length;
    const tint = () => colour(data.cells[run.cell].first);
    const name = (unit) => tip(`unit ${unit[0]}, ${unit[4] ? "active" : "inactive"}`, `KL ${shown(unit[1], 3)} nats`,
      `Var(μ) ${shown(unit[2], 3)}, E(σ²) ${shown(unit[3], 3)}`, `sum ${shown(unit[2] + unit[3], 3)}`);
    const bars = chart("KL of each unit, largest first (logarithmic from 0.001)", () => ({
      xAxis: axis("rank", { type: "category", data: about.units.map((_, i) => i + 1), splitLine: { show: false } }),
      yAxis: yAxis("KL (nats)", nearZero),
      tooltip: { ...base().tooltip, trigger: "item" },
      series: [{
        type: "bar", barCategoryGap: "18%",
        data: about.units.map((unit) => ({ value: aboveFoot(unit[1]), unit, itemStyle: { color: unit[4] ? tint() : ink.muted, opacity: unit[4] ? 1 : .45 } })),
        tooltip: { formatter: ({ data: d }) => name(d.unit) },
      }],
    }), `KL of each unit: ${active} active; the table beside has the numbers`);
    // The law is about a standard normal prior: elsewhere no line is drawn.
    const law = chart(about.law ? "Variance law: Var(μ) + E(σ²) = 1" : "Var(μ) and E(σ²)", () => ({
      xAxis: axis("Var(μ)", { min: 0, scale: false }),
      yAxis: yAxis("E(σ²)", { min: 0, scale: false }),
      series: [
        ...(about.law ? [{ type: "line", silent: true, symbol: "none", data: [[0, 1], [1, 0]], lineStyle: { color: ink.muted, type: "dashed", width: 1 } }] : []),
        {
          type: "scatter", symbolSize: 9,
          data: about.units.map((unit) => ({ value: [unit[2], unit[3]], unit, itemStyle: { color: unit[4] ? tint() : ink.muted, opacity: .7 } })),
          tooltip: { formatter: ({ data: d }) => name(d.unit) },
        },
      ],
    }), "Variance of means against mean variance of each unit; the table has the numbers");
    const more = Object.entries(about.more);
    const heads = ["Unit", "KL (nats)", "Var(μ)", "E(σ²)", "sum", ...more.map(([title]) => title), "state"];
    const table = make("table", { className: "numbers" },
      make("caption", { textContent: `${active} of ${about.units.length + about.unitsLeftOut} units are active`
        + (about.unitsLeftOut ? `; the ${about.unitsLeftOut} of smallest KL are not listed` : "") }),
      make("thead", {}, make("tr", {}, ...heads.map((word) => make("th", { scope: "col", textContent: word })))),
      make("tbody", {}, ...about.units.map((unit, at) => make("tr", { className: unit[4] ? "" : "inactive" },
        make("th", { scope: "row", textContent: unit[0] }),
        ...[unit[1], unit[2], unit[3], unit[2] === null || unit[3] === null ? null : unit[2] + unit[3], ...more.map(([, values]) => values[at])]
          .map((value) => make("td", { textContent: fixed(value) })),
        make("td", { textContent: unit[4] ? "active" : "inactive" })))));
    return section("Collapse", make("div", { className: "grid wide" }, bars, law),
      make("div", { className: "scroll unit-table", tabIndex: 0, role: "region", "aria-label": "Measures of each unit" }, table));
  }

  function training(about) {
    const past = about.history, run = runs.get(current), state = new Map(about.units.map((unit) => [unit[0], unit[4]]));
    const curves = (title, lines, unit, more = {}) => chart(title, () => ({
      tooltip: { ...base().tooltip, trigger: "axis", formatter: (items) =>
        tip(`step ${items[0].value[0]}`, ...items.map((item) => `${item.seriesName}: ${shown(item.value[1])} ${unit}`)) },
      legend: lines.length > 1 ? { top: 0, right: 0, textStyle: { color: ink.muted }, icon: "roundRect", itemHeight: 3 } : undefined,
      grid: { ...base().grid, top: lines.length > 1 ? 30 : 12 },
      xAxis: axis("step", { scale: false }),
      yAxis: yAxis(unit, more),
      series: lines.map(([name, key], i) => ({
        type: "line", name, symbolSize: 4, step: key === "active_units" ? "end" : false,
        color: [ink.accent, ink.muted][i], lineStyle: { width: 2, type: i ? "dashed" : "solid" },
        data: past.step.map((step, at) => [step, past[key][at]]).filter((pair) => pair[1] !== null),
      })),
    }), `${title} along training`);
    const units = chart("KL of each unit (logarithmic from 0.001)", () => ({
      xAxis: axis("step", { scale: false }),
      yAxis: yAxis("nats", nearZero),
      series: past.units.map((unit, i) => ({
        type: "line", name: `unit ${unit}`, symbolSize: 3, showSymbol: true,
        color: state.get(unit) ? colour(data.cells[run.cell].first) : ink.muted,
        lineStyle: { width: 1.3, opacity: state.get(unit) ? .8 : .4 }, itemStyle: { opacity: .5 },
        data: past.step.map((step, at) => ({ value: [step, aboveFoot(past.kl[i][at])], kl: past.kl[i][at] })).filter((point) => point.kl !== null),
        tooltip: { formatter: (item) => tip(`unit ${unit}`, `step ${item.value[0]}: KL ${shown(item.data.kl, 3)} nats`) },
      })),
    }), "KL of each unit along training: how units wake up");
    const end = about.settled.charAt(0).toUpperCase() + about.settled.slice(1);
    return section("Training", make("p", { className: "hint", textContent: `${end}.` }), make("div", { className: "grid wide" },
      curves("Loss and distortion", [["loss", "loss"], ["distortion", "distortion"]].filter(([, key]) => past[key]), "nats"),
      ...(past.rate ? [curves("Rate", [["rate", "rate"]], "nats")] : []),
      ...(past.active_units ? [curves("Active units", [["active units", "active_units"]], "", { minInterval: 1, scale: false })] : []),
      units));
  }

  function pictures(about) {
    const made = [];
    const picture = (title, drawn, words, labels, ends = []) => make("figure", {},
      make("figcaption", {}, make("h4", { textContent: title })),
      make("div", { className: labels.length ? "picture" : "" },
        ...(labels.length ? [make("ol", { style: `grid-template-rows: repeat(${drawn.rows}, 1fr)` }, ...labels.map((text) => make("li", { textContent: text })))] : []),
        make("img", { src: drawn.uri, alt: words, width: drawn.width, height: drawn.height, className: labels.length ? "" : "alone" })),
      ...(ends.length ? [make("p", { className: "ends" }, ...ends.map((text) => make("span", { textContent: text })))] : []));
    const kl = new Map(about.units.map((unit) => [unit[0], unit[1]]));
    if (about.pictures.traversals) made.push(picture("Traversals", about.pictures.traversals,
      "Each row: one unit of the first test image's code moved from the 5 % to the 95 % quantile of the prior",
      about.traversed.map((unit) => `unit ${unit} · ${(kl.get(unit) ?? 0).toFixed(2)}`), ["unit · KL in nats", "5 % to 95 % of the prior"]));
    const right = [];
    if (about.pictures.reconstructions) right.push(picture("Reconstructions", about.pictures.reconstructions,
      "Test images above, their reconstructions below", ["input", "output"]));
    if (about.pictures.samples) right.push(picture("Samples from the prior", about.pictures.samples, "Decoded draws from the prior", []));
    if (right.length) made.push(make("div", { className: "stack" }, ...right));
    return made.length ? [section("Pictures", make("div", { className: "grid wide" }, ...made))] : [];
  }

  function diagnostics(about) {
    const grouped = new Map();
    for (const [place, value, error] of about.scores) {
      const [group, title] = data.headings[place];
      grouped.set(group, [...(grouped.get(group) ?? []), [title, value, error]]);
    }
    const groups = make("div", { className: "groups" }, ...[...grouped].map(([group, rows]) =>
      make("table", { className: "numbers" }, make("caption", { textContent: group }),
        make("tbody", {}, ...rows.map(([title, value, error]) =>
          make("tr", {}, make("td", { className: "label", textContent: title }),
            make("td", { textContent: shown(value) + (error === null ? "" : ` ± ${shown(error, 2)}`) })))))));
    const tables = about.tables.map((told) => make("details", {},
      make("summary", { textContent: told.title + (told.leftOut ? ` (first ${told.rows.length})` : "") }),
      make("div", { className: "scroll unit-table", tabIndex: 0, role: "region", "aria-label": told.title },
        make("table", { className: "numbers" }, make("caption", { className: "hidden", textContent: told.title }),
          make("thead", {}, make("tr", {}, ...told.columns.map((word) => make("th", { scope: "col", textContent: word })))),
          make("tbody", {}, ...told.rows.map((row) => make("tr", {}, ...row.map((value) =>
            make("td", { textContent: typeof value === "string" ? value : shown(value) })))))))));
    return section("Diagnostics", groups, ...tables);
  }

  // ---- wiring -----------------------------------------------------------------------------

  const option = (key) => make("option", { value: key, textContent: columns.get(key).title });
  for (const id of ["score", "axis-x", "axis-y"]) $(id).append(...data.columns.map((column) => option(column.key)));
  const has = (key, otherwise) => (columns.has(key) ? key : data.columns[otherwise % data.columns.length].key);
  $("score").value = has("used_units", 0);
  $("axis-x").value = has("rate", 1);
  $("axis-y").value = has("distortion", 2);
  $("score").addEventListener("change", drawCells);
  for (const id of ["axis-x", "axis-y"]) $(id).addEventListener("change", drawScatter);

  document.querySelectorAll(".sort").forEach((button) => button.addEventListener("click", () => sortBy(button.closest("th"))));
  $("search").addEventListener("input", filter);
  filters.forEach((select) => select.addEventListener("change", filter));
  $("clear").addEventListener("click", () => {
    $("search").value = "";
    filters.forEach((select) => { select.value = ""; });
    filter();
  });
  $("csv").addEventListener("click", saveCsv);
  body.addEventListener("click", (event) => {
    if (String(getSelection()) === "") openRun(event.target.closest("tr").dataset.run);
  });

  $("close").addEventListener("click", () => dialog.close());
  $("previous").addEventListener("click", () => openRun(neighbours[0]));
  $("next").addEventListener("click", () => openRun(neighbours[1]));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.closest("[tabindex='0']")) return;
    const to = { ArrowLeft: neighbours[0], ArrowRight: neighbours[1] }[event.key];
    if (to) openRun(to);
  });
  dialog.addEventListener("close", () => {
    closeCharts();
    history.replaceState(null, "", location.pathname + location.search);
    tableRows.find((row) => row.dataset.run === current)?.querySelector(".open").focus();
  });

  $("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.setItem("pyrovae-theme", theme); } catch { /* lasts as long as the page */ }
    applyTheme();
  });
  system.addEventListener("change", () => applyTheme());
  addEventListener("beforeprint", () => {
    applyTheme("light");
    // Paper is narrower than the window: the drawings shrink as a whole.
    document.querySelectorAll(".chart svg").forEach((svg) => {
      svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    });
  });
  addEventListener("afterprint", () => applyTheme());
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => charts.forEach(({ chart }) => chart.resize()), 100);
  });
  addEventListener("hashchange", openFromHash);
  function openFromHash() {
    // Pages and terminals show the start of an id.
    const asked = new URLSearchParams(location.hash.slice(1)).get("run");
    const found = asked ? [...runs.keys()].filter((id) => id.startsWith(asked)) : [];
    if (found.length === 1) openRun(found[0]);
  }

  document.querySelector(".filters").hidden = false;
  $("theme").hidden = false;
  shadeValues();
  applyTheme();
  drawCells();
  drawScatter();
  openFromHash();
})();
