// What all pages share stands before this: common.js.
const PAGE = 48;
const state = { page: 0, found: [], bin: null };

// A dark line below a bright one stays visible on any image.
function outlined(group, name, attributes, kind) {
  group.append(shape(name, { ...attributes, class: "halo" }), shape(name, { ...attributes, class: kind }));
}

function overlay(card, chosen) {
  const [width, height] = card.size;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (card.ignore) svg.append(shape("path", { d: card.ignore, class: "ignore", "fill-rule": "evenodd" }));
  if (card.mask) svg.append(shape("path", { d: card.mask, class: "mask", "fill-rule": "evenodd" }));
  const prediction = shape("g", { class: "layer-prediction" });
  const said = card.said[chosen];
  if (said && said.path) outlined(prediction, "path", { d: said.path }, "prediction");
  const boxes = shape("g", { class: "layer-box" });
  for (const [x, y, w, h] of card.boxes) outlined(boxes, "rect", { x, y, width: w, height: h }, "box");
  const circles = shape("g", { class: "layer-circle" });
  const dot = Math.max(width, height) / 180;
  for (const object of card.circles) {
    object.forEach(([cx, cy, r], i) => {
      if (r > 0) outlined(circles, "circle", { cx, cy, r }, i ? "circle later" : "circle");
      circles.append(shape("circle", { cx, cy, r: dot, class: "point" }));
    });
  }
  svg.append(prediction, boxes, circles);
  return svg;
}

const grade = (iou) => (iou >= 0.8 ? "good" : iou >= 0.5 ? "fair" : "poor");
const percent = (iou) => `${(100 * iou).toFixed(1)} %`;

function sayings(card, chosen, choose) {
  const list = element("ul", { class: "said" });
  const several = card.said.some((said) => said.iou !== null);
  if (several) list.classList.add("choose");
  card.said.forEach((said, i) => {
    const row = element("li", {}, element("span", { class: "text" }, said.text));
    if (said.iou !== null) {
      row.append(element("span", { class: `iou ${grade(said.iou)}` }, said.path === null ? "none" : percent(said.iou)));
      row.setAttribute("aria-current", String(i === chosen));
      row.addEventListener("click", () => choose(i));
    }
    list.append(row);
  });
  return list;
}

function details(card) {
  const rows = [["key", card.key], ["size", card.size.join(" × ")], ...card.facts];
  if (card.area !== null) rows.push(["area", `${number(card.area)} px`]);
  card.boxes.forEach(([x, y, w, h]) => rows.push(["box", `(${x}, ${y}) – (${x + w - 1}, ${y + h - 1}), ${w} × ${h}`]));
  for (const object of card.circles) {
    object.forEach(([x, y, r], i) => {
      const radius = r > 0 ? `, r ${(r + 0.5).toFixed(1)}` : "";
      rows.push([`point ${i + 1}`, `(${x - 0.5}, ${y - 0.5})${radius}`]);
    });
  }
  const table = element("table");
  for (const [name, value] of rows) {
    table.append(element("tr", {}, element("th", {}, name), element("td", {}, value)));
  }
  return element("details", {}, element("summary", {}, `${card.key}`), table);
}

function tags(card) {
  const line = element("div", { class: "tags" });
  if (card.split) line.append(element("span", { class: "split" }, card.split));
  line.append(element("span", {}, card.size.join(" × ")));
  if (card.area !== null) {
    const share = (100 * card.area) / (card.size[0] * card.size[1]);
    line.append(element("span", {}, `${share < 1 ? share.toFixed(2) : share.toFixed(1)} % of the image`));
  }
  if (card.ratio !== null) line.append(element("span", {}, `r₂/r₁ ${card.ratio.toFixed(2)}`));
  for (const flag of card.flags) line.append(element("span", { class: "flag" }, flag));
  return line;
}

function article(card, zoomed) {
  const node = element("article");
  let chosen = Math.max(0, card.said.findIndex((said) => said.path !== null));
  function draw() {
    const figure = element("button", { class: "figure", type: "button", "aria-label": "Enlarge" });
    if (zoomed) figure.style.aspectRatio = `${card.size[0]} / ${card.size[1]}`;
    figure.append(element("img", { src: data.pictures[card.picture], alt: "", loading: "lazy", decoding: "async" }));
    figure.append(overlay(card, chosen));
    const said = card.said[chosen];
    if (said && said.iou !== null) figure.append(element("span", { class: "score" }, `IoU ${percent(said.iou)}`));
    figure.addEventListener("click", () => (zoomed ? byId("zoom").close() : zoom(card)));
    const extra = details(card);
    extra.open = zoomed;
    node.replaceChildren(figure, element("div", { class: "body" },
      sayings(card, chosen, (i) => { chosen = i; draw(); }), tags(card), extra));
  }
  draw();
  return node;
}

function zoom(card) {
  const dialog = byId("zoom");
  const close = element("button", { class: "close", type: "button", "aria-label": "Close" }, "✕");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(close, article(card, true));
  dialog.showModal();
}

function matches(card, words) {
  return words.every((word) => card.search.includes(word));
}

function find() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const inBin = (card) => state.bin === null || card.bins.includes(state.bin);
  state.found = data.cards.filter((card) => matches(card, words) && inBin(card));
  const sort = byId("sort").value;
  const down = sort.endsWith("-");
  const key = sort.replace("-", "");
  if (key !== "order") {
    // Cards without the value come last, either way.
    const value = (card) => card[key] ?? (down ? -Infinity : Infinity);
    state.found.sort((a, b) => (down ? value(b) - value(a) : value(a) - value(b)) || a.order - b.order);
  }
  state.page = 0;
  show();
}

function show() {
  const { found } = state;
  const from = state.page * PAGE;
  const shown = found.slice(from, from + PAGE);
  const main = byId("cards");
  main.replaceChildren(...shown.map((card) => article(card, false)));
  if (!shown.length) main.append(element("p", { class: "empty" }, "No sample matches."));
  byId("count").textContent = found.length === data.cards.length
    ? `${number(found.length)} samples` : `${number(found.length)} of ${number(data.cards.length)} samples`;
  pager(Math.ceil(found.length / PAGE));
}

// How many queries fall into each tenth of IoU; a bar is a filter.
function histogram() {
  const node = byId("histogram");
  const counts = new Array(10).fill(0);
  for (const card of data.cards) {
    card.bins = card.said.filter((said) => said.iou !== null).map((said) => Math.min(9, Math.floor(said.iou * 10)));
    for (const bin of card.bins) counts[bin] += 1;
  }
  const most = Math.max(...counts);
  node.hidden = most === 0;
  if (most === 0) return;
  node.replaceChildren(...counts.map((count, bin) => {
    const label = `IoU ${bin * 10} to ${bin * 10 + 10} %: ${count} queries`;
    const bar = element("button", { type: "button", title: label, "aria-label": label, "aria-pressed": "false" });
    bar.style.height = `${(100 * count) / most}%`;
    bar.addEventListener("click", () => {
      state.bin = state.bin === bin ? null : bin;
      [...node.children].forEach((other, i) => other.setAttribute("aria-pressed", String(i === state.bin)));
      find();
    });
    return bar;
  }));
}

function start() {
  for (const [name, value] of data.facts) {
    byId("facts").append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  }
  data.cards.forEach((card, order) => {
    card.order = order;
    const texts = [card.key, card.split, ...card.flags, ...card.said.map((said) => said.text),
      ...card.facts.map(([, value]) => value)];
    card.search = texts.join("\n").toLowerCase();
  });
  histogram();
  for (const node of document.querySelectorAll("[data-needs]")) {
    if (data.cards.every((card) => card[node.dataset.needs] === null)) node.remove();
  }
  byId("search").addEventListener("input", find);
  byId("sort").addEventListener("change", find);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const input of byId("layers").querySelectorAll("input")) {
    input.addEventListener("change", () => document.body.classList.toggle(`no-${input.value}`, !input.checked));
  }
  find();
}

start();
