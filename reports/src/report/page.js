const PAGE = 24;
const ALL = data.key.map((_, i) => i);
const state = { page: 0, found: [], bin: null, open: null };

// The outlines of a mask as an SVG path along pixel edges, for the even-odd rule. A corner is where
// a column's border begins or ends; on each grid line, corners join in pairs.
function trace(text, width, height) {
  const columns = Array.from({ length: width + 1 }, () => []);
  let start = 0;
  runLengths(text).forEach((length, i) => {
    for (let from = start; i % 2 && from < start + length;) {
      const x = Math.floor(from / height), end = Math.min(start + length, (x + 1) * height);
      columns[x].push(from - x * height, end - x * height);
      from = end;
    }
    start += length;
  });
  const corners = [], across = [], along = [];
  const rows = Array.from({ length: height + 1 }, () => []);
  let left = [];
  columns.forEach((right, x) => {
    const line = [];
    const corner = (y) => { line.push(corners.length); rows[y].push(corners.length); corners.push([x, y]); };
    for (let a = 0, b = 0; a < left.length || b < right.length;) {
      const ya = left[a] ?? Infinity, yb = right[b] ?? Infinity;
      if (ya !== yb) corner(Math.min(ya, yb));
      else if (a % 2 !== b % 2) { corner(ya); corner(ya); }
      if (ya <= yb) a += 1;
      if (yb <= ya) b += 1;
    }
    pair(line, along);
    left = right;
  });
  rows.forEach((row) => pair(row, across));
  return rings(corners, across, along);
}

function pair(line, partners) {
  for (let i = 0; i + 1 < line.length; i += 2) {
    partners[line[i]] = line[i + 1];
    partners[line[i + 1]] = line[i];
  }
}

function rings(corners, across, along) {
  const seen = new Uint8Array(corners.length);
  let path = "";
  for (let first = 0; first < corners.length; first += 1) {
    if (seen[first]) continue;
    path += `M${corners[first][0]} ${corners[first][1]}`;
    for (let at = first; !seen[at];) {
      const next = across[at], after = along[next];
      seen[at] = seen[next] = 1;
      path += `h${corners[next][0] - corners[at][0]}v${corners[after][1] - corners[next][1]}`;
      at = after;
    }
    path += "z";
  }
  return path;
}

const paths = new Map();
function pathOf(mask, card) {
  if (!paths.has(mask)) paths.set(mask, trace(data.masks[mask], ...card.size));
  return paths.get(mask);
}

// A dark line below a bright one stays visible on any image.
function outlined(group, name, attributes, kind) {
  group.append(shape(name, { ...attributes, class: "halo" }), shape(name, { ...attributes, class: kind }));
}

function overlay(card, run) {
  const [width, height] = card.size;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const layer = (name) => svg.appendChild(shape("g", { class: `layer-${name}` }));
  const target = layer("target"), prediction = layer("prediction"), boxes = layer("box"), points = layer("point");
  const even = { "fill-rule": "evenodd" };
  if (card.ignore !== null) target.append(shape("path", { d: pathOf(card.ignore, card), class: "ignore", ...even }));
  target.append(shape("path", { d: pathOf(card.target, card), class: "target", ...even }));
  const answer = card.answers[run];
  if (!answer) return svg;
  outlined(prediction, "path", { d: pathOf(answer.mask, card), ...even }, "prediction");
  for (const [x0, y0, x1, y1] of answer.boxes) {
    outlined(boxes, "rect", { x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) }, "box");
  }
  const r = Math.max(width, height) / 110;
  for (const [cx, cy] of answer.points) points.append(shape("circle", { cx, cy, r, class: "point" }));
  return svg;
}

const grade = (iou) => (iou >= 0.8 ? "good" : iou >= 0.5 ? "fair" : "poor");
const percent = (iou) => (iou === null ? "–" : `${(100 * iou).toFixed(1)} %`);
const words = (unit) => data.text[unit].split(/\s+/).filter(Boolean).length;
const chosenRun = () => Number(byId("run").value || 0);
const statusOf = (unit, run) => data.status[run][unit];
const plain = (status) => status.replaceAll("-", " ");

function scores(unit) {
  const list = element("ul", { class: "runs" });
  data.runs.forEach((name, run) => {
    const iou = data.iou[run][unit];
    const value = element("span", { class: `iou ${iou === null ? "" : grade(iou)}` }, percent(iou));
    list.append(element("li", {}, element("span", {}, name), value));
  });
  return list;
}

function tags(unit) {
  const line = element("div", { class: "tags" });
  const add = (text, kind) => line.append(element("span", kind ? { class: kind } : {}, text));
  const status = statusOf(unit, chosenRun());
  if (status && status !== "scored") add(plain(status), "flag");
  if (data.sets.length > 1) add(data.sets[data.set[unit]]);
  add(data.key[unit]);
  const [area, pixels] = [data.area[unit], data.pixels[unit]];
  if (area !== null && pixels) add(`${((100 * area) / pixels).toPrecision(2)} % of the image`);
  if (data.category[unit]) add(data.category[unit]);
  return line;
}

// One view of a sample: its image with what a run answered.
function view(unit, run) {
  const card = data.cards[unit];
  const node = element("span", { class: "view" });
  if (card.picture !== null) {
    node.append(element("img", { src: data.pictures[card.picture], alt: "", loading: "lazy", decoding: "async" }));
  }
  node.append(overlay(card, run));
  return node;
}

// Where changes are looked at, every run has its view; else the run that is chosen.
const BESIDE = data.picks.losses.length + data.picks.wins.length > 0;

function figure(unit, zoomed) {
  const card = data.cards[unit];
  const iou = data.iou[chosenRun()][unit];
  const label = `${data.text[unit]}, IoU ${percent(iou)}`;
  const node = element("button", { class: "figure", type: "button", "aria-label": zoomed ? "Close" : `Enlarge: ${label}` });
  if (card) {
    const runs = BESIDE ? data.runs.map((_, run) => run) : [chosenRun()];
    node.classList.toggle("beside", runs.length > 1);
    if (zoomed) node.style.aspectRatio = `${card.size[0] * runs.length} / ${card.size[1]}`;
    node.append(...runs.map((run) => view(unit, run)));
    const all = runs.map((run) => percent(data.iou[run][unit])).join(" \u2192 ");
    node.append(element("span", { class: "score" }, `IoU ${all}`));
  } else {
    node.classList.add("bare");
    node.append(`IoU ${percent(iou)}; no picture`);
  }
  node.addEventListener("click", () => (zoomed ? byId("zoom").close() : zoom(unit)));
  return node;
}

function article(unit) {
  const node = element("article", { "data-unit": unit });
  const body = element("div", { class: "body" }, element("p", { class: "text" }, data.text[unit]));
  if (data.runs.length > 1) body.append(scores(unit));
  body.append(tags(unit));
  node.append(figure(unit, false), body);
  return node;
}

// A reply's `<think>` and `<answer>` under names of their own; any other text as it is.
function reply(text) {
  const node = element("div", { class: "reply" });
  const parts = [...text.matchAll(/<(think|answer)>([\s\S]*?)(?:<\/\1>|$)/g)];
  for (const [, name, inside] of parts) {
    node.append(element("b", {}, name === "think" ? "reasoning" : "answer"), `${inside.trim()}\n`);
  }
  if (!parts.length) node.append(element("b", {}, "reply"), text);
  return node;
}

function facts(unit) {
  const run = chosenRun();
  const rows = [["key", data.key[unit]], ["set", data.sets[data.set[unit]]], ["image", data.image[unit]]];
  const status = statusOf(unit, run);
  if (status) rows.push(["status", plain(status)]);
  if (data.category[unit]) rows.push(["category", data.category[unit]]);
  if (data.area[unit] !== null) rows.push(["target", `${number(data.area[unit])} px`]);
  const answer = data.cards[unit] && data.cards[unit].answers[run];
  if (answer && answer.nothing) rows.push(["answer", "there is no such object"]);
  for (const box of answer ? answer.boxes : []) rows.push(["box", box.join(", ")]);
  for (const point of answer ? answer.points : []) rows.push(["point", point.join(", ")]);
  const table = element("table", { class: "facts" });
  for (const [name, value] of rows) {
    table.append(element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
  }
  return table;
}

function zoom(unit) {
  const dialog = byId("zoom");
  state.open = unit;
  const close = element("button", { class: "close", type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  const body = element("div", { class: "body" }, element("p", { class: "text" }, data.text[unit]), scores(unit));
  const card = data.cards[unit];
  const said = card && card.answers[chosenRun()] && card.answers[chosenRun()].reply;
  if (said) body.append(reply(said));
  body.append(facts(unit));
  dialog.replaceChildren(close, element("article", {}, figure(unit, true), body));
  if (!dialog.open) dialog.showModal();
  close.focus();
}

// What the samples are filtered by, and how many there are of each.
function choices() {
  const pictured = Object.keys(data.cards).map(Number);
  const lists = [["all", "all", ALL]];
  if (pictured.length && pictured.length < ALL.length) lists.unshift(["pictured", "with pictures", pictured]);
  for (const [pick, name] of [["worst", "worst"], ["best", "best"], ["random", "random"], ["losses", "largest losses"], ["wins", "largest wins"]]) {
    if (data.picks[pick].length) lists.push([pick, name, data.picks[pick]]);
  }
  const names = new Set(data.status.flat());
  for (const name of names) {
    if (name === null || names.size === 1) continue;
    lists.push([`status-${name}`, plain(name), ALL.filter((unit) => data.status.some((run) => run[unit] === name))]);
  }
  return lists;
}
const LISTS = new Map(choices().map(([value, name, units]) => [value, { name, units }]));

let searched = null;
function searchTexts() {
  searched ??= ALL.map((unit) => {
    const replies = (data.cards[unit] ? data.cards[unit].answers : []).map((answer) => (answer && answer.reply) || "");
    return [data.text[unit], data.key[unit], data.image[unit], data.category[unit] || "", ...replies].join("\n").toLowerCase();
  });
  return searched;
}

// Unrelated to the order of the file, and the same every time.
const shuffled = (unit) => Math.imul(unit + 1, 0x9e3779b1) >>> 0;

function valueOf(key) {
  const iou = data.iou[chosenRun()];
  const [first, last] = [data.iou[0], data.iou[data.runs.length - 1]];
  const change = (u) => (first[u] === null || last[u] === null ? null : last[u] - first[u]);
  return { change, iou: (u) => iou[u], area: (u) => data.area[u], words, random: shuffled, order: (u) => u }[key];
}

function find() {
  const search = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let units = LISTS.get(byId("show").value).units;
  if (search.length) {
    const texts = searchTexts();
    units = units.filter((unit) => search.every((word) => texts[unit].includes(word)));
  }
  histogram(units);
  const iou = data.iou[chosenRun()];
  if (state.bin !== null) units = units.filter((unit) => iou[unit] !== null && binOf(iou[unit]) === state.bin);
  const sort = byId("sort").value;
  const sign = sort.endsWith("-") ? -1 : 1;
  const value = valueOf(sort.replace("-", ""));
  // What has no value comes last, either way.
  const keyed = units.map((unit) => [value(unit), unit]);
  keyed.sort(([a, i], [b, j]) => (a === null) - (b === null) || sign * (a - b) || i - j);
  state.found = keyed.map(([, unit]) => unit);
  state.page = 0;
  show();
}

function show() {
  const from = state.page * PAGE;
  const shown = state.found.slice(from, from + PAGE);
  byId("cards").replaceChildren(...shown.map(article));
  if (!shown.length) byId("cards").append(element("p", { class: "empty" }, "No sample matches."));
  const [found, all] = [state.found.length, ALL.length];
  byId("count").textContent = found === all ? `${number(all)} samples` : `${number(found)} of ${number(all)} samples`;
  pager(Math.ceil(found / PAGE));
}

const binOf = (iou) => Math.min(9, Math.floor(iou * 10));

// How many of the found fall into each tenth of IoU; a bar is a filter.
function histogram(units) {
  const counts = new Array(10).fill(0);
  const iou = data.iou[chosenRun()];
  for (const unit of units) if (iou[unit] !== null) counts[binOf(iou[unit])] += 1;
  const most = Math.max(1, ...counts);
  const node = byId("histogram");
  if (!node.children.length) {
    counts.forEach((_, bin) => {
      const bar = node.appendChild(element("button", { type: "button" }));
      bar.addEventListener("click", () => { state.bin = state.bin === bin ? null : bin; find(); });
    });
  }
  [...node.children].forEach((bar, bin) => {
    const label = `IoU ${bin * 10} to ${bin * 10 + 10} %: ${counts[bin]}`;
    bar.title = label;
    bar.setAttribute("aria-label", label);
    bar.setAttribute("aria-pressed", String(state.bin === bin));
    bar.style.height = `${(100 * counts[bin]) / most}%`;
  });
}

// In the enlarged view, the sample before or after.
function moveOpen(event) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const to = state.found[state.found.indexOf(state.open) + by];
  if (by === undefined || to === undefined) return;
  event.preventDefault();
  zoom(to);
}

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !byId("zoom").open) {
    event.preventDefault();
    byId("search").focus();
  } else if (byId("zoom").open) moveOpen(event);
  else if (!typing) walk(event, ".figure");
}

function start() {
  startTheme();
  for (const id of ["verdicts", "groups"]) {
    if (byId(id).textContent.trim() && byId(id).querySelector("table")) continue;
    const part = byId(id).closest("section");
    part.hidden = true;
    document.querySelector(`header a[href="#${part.id}"]`).hidden = true;
  }
  for (const [value, { name, units }] of LISTS) {
    byId("show").append(element("option", { value }, `${name} (${number(units.length)})`));
  }
  data.runs.forEach((name, run) => byId("run").append(element("option", { value: run }, name)));
  byId("run-label").hidden = data.runs.length < 2;
  if (data.picks.losses.length + data.picks.wins.length) {
    byId("sort").prepend(element("option", { value: "change" }, "largest loss"), element("option", { value: "change-" }, "largest win"));
    byId("sort").value = "change";
  }
  byId("search").addEventListener("input", find);
  for (const id of ["show", "run", "sort"]) byId(id).addEventListener("change", find);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const input of byId("layers").querySelectorAll("input")) {
    input.addEventListener("change", () => byId("cards").closest("body").classList.toggle(`no-${input.value}`, !input.checked));
  }
  document.addEventListener("keydown", keys);
  byId("zoom").addEventListener("close", () => {
    const figure = document.querySelector(`article[data-unit="${state.open}"] .figure`);
    state.open = null;
    if (figure) figure.focus();
  });
  find();
}

start();
