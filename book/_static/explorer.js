// The page on which one chooses a map of stored runs and opens its cells.
//
// Opened as a file, a page may load scripts and nothing else. So the data are scripts, too: explorer/index.js lists the stored
// sweeps, and the script of a sweep is loaded when it is chosen. sciml_lib/explorer.py writes them and says what is in them.
"use strict";

(() => {
  const root = document.getElementById("explorer");
  const index = window.explorerIndex;
  const folder = new URL("explorer/", document.currentScript.src);
  const NOT_RUN = 0;
  const ROOM = 0.85; // part of the height of a picture that a true motion takes
  const COLOURS = { regime: "regime", train: "training loss", test: "test error" };
  const FIRST = { sweep: "pinn/convection/lbfgs", profile: "laptop" };

  let choice = {}; // sweep, profile, colour, and of the open cell c and n
  let data = null; // the chosen sweep, as its script assigns it
  let focused = null; // the one cell that the tabulator key reaches: [row, column]

  // --- words and numbers -------------------------------------------------------------------------------------

  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  function number(value) {
    if (value === undefined || Number.isNaN(value)) return "not known";
    if (!Number.isFinite(value)) return "infinite";
    if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4)) {
      return Number(value.toPrecision(2)).toLocaleString("en", { maximumSignificantDigits: 2 });
    }
    const [mantissa, exponent] = value.toExponential(1).split("e");
    const raised = [...exponent.replace("+", "")].map((sign) => SUPERSCRIPTS[sign] || "⁻");
    return `${mantissa} × 10${raised.join("")}`;
  }

  const whole = (value) => value.toLocaleString("en");

  function duration(seconds) {
    if (seconds < 90) return `${number(seconds)} s`;
    return seconds < 5400 ? `${number(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }

  const plain = (symbol) => symbol.replace("_", " ");
  const spoken = (c, n) => `${plain(data.coefficient.symbol)} = ${c}, ${plain(data.data.symbol)} = ${whole(n)}`;

  function symbol(text) {
    const [letter, below] = text.split("_");
    return below ? [letter, element("sub", {}, below)] : [letter];
  }

  const nSeeds = (cell) => cell.runs.filter(Boolean).length;

  function seedWords(cell) {
    const parts = cell.counts.map((n, k) => n && `${n} of ${nSeeds(cell)} in ${index.regimes[k + 1].numeral}`).filter(Boolean);
    return `Seeds: ${parts.join(", ")}.`;
  }

  function verdict(cell) {
    if (cell.regime === NOT_RUN) return "Not run in this profile.";
    const { numeral, title } = index.regimes[cell.regime];
    const most = cell.counts.findIndex((n) => n > nSeeds(cell) / 2) + 1;
    const majority = most ? ` Most seeds say ${index.regimes[most].numeral}.` : " No regime has most of the seeds.";
    return `By the means of its seeds in Regime ${numeral}, ${title}. ${seedWords(cell)}${most === cell.regime ? "" : majority}`;
  }

  // --- building the page -------------------------------------------------------------------------------------

  function element(name, attributes = {}, ...children) {
    const svg = name === "svg" || name === "polyline";
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
    return made;
  }

  const parts = {};
  for (const name of ["controls", "about", "map", "legend", "left", "detail", "panes"]) {
    parts[name] = element("div", { class: `explorer-${name}` });
  }
  parts.summary = element("div", { "aria-live": "polite" }); // what is read aloud when a cell is opened
  parts.runs = element("div");
  parts.detail.append(parts.summary, parts.runs);
  parts.left.append(parts.map, parts.legend);
  parts.panes.append(parts.left, parts.detail);
  root.replaceChildren(parts.controls, parts.about, parts.panes);

  const controls = {
    sweep: element("select", { name: "sweep", onchange: (event) => choose({ sweep: event.target.value }) }, sweepOptions()),
    profile: element("select", { name: "profile", onchange: (event) => choose({ profile: event.target.value }) }),
    colour: Object.entries(COLOURS).map(([value, words]) => {
      const onchange = () => choose({ colour: value });
      return element("label", {}, element("input", { type: "radio", name: "explorer-colour", value, onchange }), words);
    }),
  };
  parts.controls.append(
    element("label", {}, "Sweep", controls.sweep), element("label", {}, "Profile", controls.profile),
    element("fieldset", {}, element("legend", {}, "Colour"), controls.colour),
  );

  function sweepOptions() {
    const groups = new Map();
    for (const one of index.sweeps) {
      if (!groups.has(one.group)) groups.set(one.group, new Map());
      groups.get(one.group).set(one.sweep, `${one.sweep}: ${one.title.split(": ").pop()}`);
    }
    return [...groups].map(([label, sweeps]) =>
      element("optgroup", { label }, [...sweeps].map(([value, words]) => element("option", { value }, words))));
  }

  function drawControls() {
    const stored = index.sweeps.filter((one) => one.sweep === choice.sweep);
    controls.profile.replaceChildren(...stored.map((one) =>
      element("option", { value: one.profile }, `${one.profile}: ${whole(one.stored)} of ${whole(one.planned)} runs`)));
    controls.sweep.value = choice.sweep;
    controls.profile.value = choice.profile;
    for (const label of controls.colour) label.firstChild.checked = label.firstChild.value === choice.colour;
  }

  function drawAbout() {
    const { train, test, origin } = data.thresholds;
    const href = document.documentElement.dataset.content_root + data.page;
    const page = data.page && [" ", element("a", { href }, "All rows of this sweep"), "."];
    const low = `Low is a training loss up to ${number(train)} and a test error up to ${number(test)} (${origin}).`;
    const recipe = element("p", {}, `${data.title}. ${data.recipe}. ${data.reading}`);
    parts.about.replaceChildren(
      element("p", {}, low, page),
      element("details", {}, element("summary", {}, "Recipe"), recipe),
    );
  }

  // --- the map -----------------------------------------------------------------------------------------------

  function shade(cell) {
    if (cell.regime === NOT_RUN) return undefined;
    if (choice.colour === "regime") return index.regimes[cell.regime].colour;
    const [low, high] = data.ranges[choice.colour];
    const place = Math.min(1, Math.max(0, (Math.log10(cell[choice.colour]) - low) / (high - low)));
    return `rgb(${index.shades[Math.round(place * (index.shades.length - 1))].join()})`;
  }

  function ink(colour) {
    const pairs = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const found = colour.startsWith("#") ? pairs : colour.match(/\d+/g).map(Number);
    return found[0] * 0.299 + found[1] * 0.587 + found[2] * 0.114 > 128 ? "#20242a" : "white";
  }

  const means = (cell) => {
    if (cell.regime === NOT_RUN) return "";
    return `Mean training loss ${number(cell.train)}, mean test error ${number(cell.test)}.`;
  };
  const divided = (cell) => cell.counts.filter(Boolean).length > 1;
  const isOpen = (c, n) => c === choice.c && n === choice.n;

  function drawCell(row, column) {
    const cell = data.cells[row][column];
    if (!cell) return element("span", { role: "gridcell", class: "explorer-nothing", "aria-label": "not part of this sweep" });
    const [c, n] = [data.coefficient.values[column], data.data.values[row]];
    const colour = shade(cell);
    const kinds = ["explorer-cell", colour ? "" : "explorer-missing", divided(cell) ? "explorer-divided" : ""];
    return element("button", {
      type: "button", role: "gridcell", class: kinds.join(" "),
      style: colour && `background-color: ${colour}; color: ${ink(colour)}`,
      tabindex: focused[0] === row && focused[1] === column ? 0 : -1,
      "aria-selected": String(isOpen(c, n)), "aria-label": `${spoken(c, n)}. ${verdict(cell)} ${means(cell)}`,
      "data-row": row, "data-column": column, "data-c": c, "data-n": n,
      onclick: () => { focused = [row, column]; choose({ c, n }); showDetail(); },
    }, index.regimes[cell.regime].numeral);
  }

  const cellAt = ([row, column]) => parts.map.querySelector(`[data-row="${row}"][data-column="${column}"]`);

  function drawMap() {
    const { coefficient, data: amounts } = data;
    const hadFocus = parts.map.contains(document.activeElement);
    const columns = coefficient.values.length;
    const rows = amounts.values.map((n, row) => element("div", { role: "row" },
      element("span", { role: "rowheader" }, whole(n)), coefficient.values.map((_, column) => drawCell(row, column))));
    const feet = element("div", { role: "row" }, element("span", { role: "presentation" }),
      coefficient.values.map((c) => element("span", { role: "columnheader" }, String(c))));
    const grid = element("div", {
      role: "grid", style: `grid-template-columns: auto repeat(${columns}, minmax(0, 1fr)); max-width: ${columns * 2.6 + 4}rem`,
      "aria-label": `${data.title}: map with ${plain(coefficient.symbol)} across and ${plain(amounts.symbol)} upwards`,
      onkeydown: move,
    }, rows.reverse(), feet);
    parts.map.replaceChildren(
      element("p", { class: "explorer-axis" }, "↑ ", symbol(amounts.symbol), `, ${amounts.words}`), grid,
      element("p", { class: "explorer-axis" }, "→ ", symbol(coefficient.symbol), `, ${coefficient.words}`),
    );
    if (hadFocus) cellAt(focused).focus();
  }

  const STEPS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

  function move(event) {
    let [row, column] = focused;
    const found = [];
    if (STEPS[event.key]) {
      const [up, right] = STEPS[event.key];
      do { row += up; column += right; } while (data.cells[row] && column in data.cells[row] && !data.cells[row][column]);
      found.push([row, column]);
    } else if (event.key === "Home" || event.key === "End") {
      data.cells[row].forEach((cell, at) => cell && found[event.key === "Home" ? "push" : "unshift"]([row, at]));
    } else return;
    event.preventDefault();
    const next = found.length && cellAt(found[0]);
    if (!next) return; // the end of the map
    cellAt(focused).tabIndex = -1;
    focused = found[0];
    next.tabIndex = 0;
    next.focus();
  }

  function drawLegend() {
    const missing = data.cells.flat().some((cell) => cell && cell.regime === NOT_RUN);
    const swatch = (style, name) => element("span", { class: `explorer-swatch ${name}`, style });
    const entries = [];
    if (choice.colour === "regime") {
      for (const { numeral, title, colour } of index.regimes.slice(1)) {
        entries.push(element("li", {}, swatch(`background-color: ${colour}`, ""), `${numeral}, ${title}`));
      }
    } else {
      const [low, high] = data.ranges[choice.colour].map((end) => number(10 ** end));
      const stops = index.shades.map((rgb) => `rgb(${rgb.join()})`).join();
      const bar = swatch(`background: linear-gradient(to right, ${stops})`, "explorer-bar");
      entries.push(element("li", {}, `mean ${COLOURS[choice.colour]}, logarithmic: ${low}`, bar, high));
    }
    if (missing) entries.push(element("li", {}, swatch(undefined, "explorer-missing"), "not run"));
    if (data.cells.flat().some((cell) => cell && divided(cell))) {
      entries.push(element("li", {}, swatch(undefined, "explorer-divided"), "seeds in different regimes"));
    }
    parts.legend.replaceChildren(element("ul", {}, entries));
  }

  // --- the open cell -----------------------------------------------------------------------------------------

  const images = {};

  function field(source, place, words) {
    const [width, height] = data.pictures.size;
    const canvas = element("canvas", { width, height, role: "img", "aria-label": words });
    const image = (images[source] ||= Object.assign(new Image(), { src: source }));
    image.decode().then(() => canvas.getContext("2d").drawImage(image, 0, place * height, width, height, 0, 0, width, height));
    return canvas;
  }

  function motion(truth, learned, words) {
    const unit = (0.7 * ROOM) / data.pictures.limit; // pixels of a hundredth
    const across = 200 / (truth.length - 1);
    const place = (value, k) => `${(across * k).toFixed(1)},${(70 - unit * value).toFixed(1)}`;
    const line = (values, name) => element("polyline", { class: name, points: values.map(place).join(" ") });
    const attributes = { viewBox: "0 0 200 140", role: "img", "aria-label": words };
    return element("svg", attributes, line(truth, "explorer-true"), line(learned, "explorer-learned"));
  }

  function picture(run, seed, column, n) {
    if (typeof run.picture !== "number") return element("p", { class: "explorer-blank" }, `${run.picture}`);
    const { kind, truth, learned } = data.pictures;
    if (kind === "field") return field(learned[n], run.picture, `What seed ${seed} learned, beside the true solution`);
    return motion(truth[column], learned[run.picture], `The motion that seed ${seed} learned and the true one, over time`);
  }

  function card(title, shown, ...rest) {
    return element("figure", { class: "explorer-card" }, shown, element("figcaption", {}, element("strong", {}, title), rest));
  }

  function runCard(run, seed, column, n) {
    const rows = [["training loss", number(run.train)]];
    if (data.terms.length > 1) data.terms.forEach((term, k) => rows.push([`– ${term.replaceAll("_", " ")}`, number(run.terms[k])]));
    rows.push(["test error", number(run.test)]);
    if ("lambda" in run) rows.push(["λ max", number(run.lambda)], ["trace", number(run.trace)]);
    rows.push(["iterations", whole(run.iterations)], ["time", duration(run.seconds)]);
    const early = run.early && ` It stopped within ${index.early} iterations of its warm-up of ${whole(data.warmUp)}.`;
    return card(`Seed ${seed}: ${index.regimes[run.regime].numeral}`, picture(run, seed, column, n),
      element("dl", {}, rows.map(([term, value]) => [element("dt", {}, term), element("dd", {}, value)])),
      element("p", {}, `Ended because ${data.endings[run.status]}.`, early || ""));
  }

  function pictureWords() {
    if (!data.pictures) return "";
    if (data.pictures.kind === "motion") {
      const { words, time, horizon, limit } = data.pictures;
      const ends = `over ${time} from 0 to ${horizon}, between ±${number(limit / ROOM)}`;
      return `Pictures: ${words} ${ends}; true in grey, learned in orange.`;
    }
    const [across, upwards] = data.pictures.axes;
    const limit = number(data.pictures.limits[data.coefficient.values.indexOf(choice.c)]);
    return `Pictures: u over ${across} (right) and ${upwards} (up), blue for −${limit}, white for 0, red for ${limit}.`;
  }

  function drawDetail() {
    const [row, column] = [data.data.values.indexOf(choice.n), data.coefficient.values.indexOf(choice.c)];
    const cell = data.cells[row]?.[column];
    if (!cell) {
      const how = "Choose a cell of the map: click it, or move to it with the arrow keys and press Enter.";
      parts.summary.replaceChildren(element("p", {}, how));
      parts.runs.replaceChildren();
      return;
    }
    const amount = [symbol(data.data.symbol), ` = ${whole(choice.n)}`];
    const title = element("h2", {}, symbol(data.coefficient.symbol), ` = ${choice.c}, `, amount);
    parts.summary.replaceChildren(title, element("p", {}, verdict(cell)));
    const known = cell.regime !== NOT_RUN;
    const [stored, planned] = [nSeeds(cell), cell.runs.length];
    const cards = cell.runs.flatMap((run, k) => (run ? [runCard(run, data.seeds[k], column, choice.n)] : []));
    if (data.pictures?.kind === "field") {
      cards.unshift(card("True solution", field(data.pictures.truth, column, "The true solution")));
    }
    const sentences = known ? [`${index.regimes[cell.regime].sentence} ${means(cell)}`] : [];
    if (known && stored < planned) sentences.push(`${stored} of ${planned} planned seeds are stored.`);
    parts.runs.replaceChildren(
      ...sentences.map((sentence) => element("p", {}, sentence)),
      element("div", { class: "explorer-cards" }, cards),
      cards.length ? element("p", { class: "explorer-small" }, pictureWords()) : "",
      element("p", {}, known ? "Train its first seed again:" : "Train its first seed:"),
      element("pre", { tabindex: 0 }, element("code", {}, cell.command)),
    );
  }

  function showDetail() {
    const top = parts.summary.getBoundingClientRect().top;
    if (top > window.innerHeight - 120) parts.summary.scrollIntoView({ block: "center" }); // on a phone it is below the map
  }

  // --- what is chosen ----------------------------------------------------------------------------------------

  function load(entry) {
    window.explorerSweeps ||= {};
    if (window.explorerSweeps[entry.name]) return Promise.resolve(window.explorerSweeps[entry.name]);
    return new Promise((resolve, reject) => {
      const src = `${new URL(`${entry.name}.js`, folder)}?v=${entry.version}`;
      const onload = () => resolve(window.explorerSweeps[entry.name]);
      document.head.append(element("script", { src, onload, onerror: reject }));
    });
  }

  function hash() {
    const { sweep, profile, colour, c, n } = choice;
    const cell = c === undefined ? "" : `&c=${c}&n=${n}`;
    return `#sweep=${sweep}&profile=${profile}${cell}${colour === "regime" ? "" : `&colour=${colour}`}`;
  }

  function fromHash() {
    const read = new URLSearchParams(location.hash.slice(1));
    const found = { ...FIRST, c: undefined, n: undefined };
    for (const key of ["sweep", "profile", "colour"]) if (read.has(key)) found[key] = read.get(key);
    for (const key of ["c", "n"]) if (read.has(key)) found[key] = Number(read.get(key));
    return found;
  }

  async function choose(change) {
    const wanted = { colour: "regime", ...choice, ...change };
    const stored = index.sweeps.filter((one) => one.sweep === wanted.sweep);
    const entry = stored.find((one) => one.profile === wanted.profile) || stored[0] || index.sweeps[0];
    const colour = wanted.colour in COLOURS ? wanted.colour : "regime";
    choice = { ...wanted, sweep: entry.sweep, profile: entry.profile, colour };
    drawControls();
    const loaded = await load(entry).catch(() => null);
    if (!loaded) {
      parts.about.replaceChildren(element("p", {}, `The data of ${entry.sweep} cannot be loaded.`));
      return;
    }
    if (choice.sweep !== entry.sweep || choice.profile !== entry.profile) return; // another was chosen meanwhile
    if (loaded !== data) {
      data = loaded;
      focused = null;
      drawAbout();
    }
    const [row, column] = [data.data.values.indexOf(choice.n), data.coefficient.values.indexOf(choice.c)];
    if (data.cells[row]?.[column]) focused = [row, column];
    else choice = { ...choice, c: undefined, n: undefined };
    focused ||= [0, data.cells[0].findIndex(Boolean)];
    drawMap();
    drawLegend();
    drawDetail();
    history.replaceState(null, "", hash());
  }

  async function follow() {
    const found = fromHash();
    await choose(found);
    if (found.c !== undefined) root.scrollIntoView();
  }

  if (!index.sweeps.length) root.replaceChildren(element("p", {}, "No sweep is stored in this copy yet."));
  else {
    window.addEventListener("hashchange", follow);
    follow();
  }
})();
