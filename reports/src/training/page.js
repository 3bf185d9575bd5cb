const PAGE = 24;
const state = { page: 0, found: [] };
const samples = data.samples;
const steps = [...new Set(samples.map((sample) => sample.step))].sort((a, b) => a - b);

// Thinking and answer under names of their own; what stands outside of them is kept, and seen.
function reply(text) {
  const node = element("div", { class: "reply" });
  const outside = (words) => {
    if (words.trim()) node.append(element("b", {}, "outside of the tags"), element("span", { class: "outside" }, `${words.trim()}\n`));
  };
  let end = 0;
  for (const part of text.matchAll(/<(think|answer)>([\s\S]*?)(?:<\/\1>|$)/g)) {
    outside(text.slice(end, part.index));
    node.append(element("b", {}, part[1] === "think" ? "thinking" : "answer"), `${part[2].trim()}\n`);
    end = part.index + part[0].length;
  }
  outside(text.slice(end));
  if (!node.childNodes.length) node.append(element("b", {}, "empty"));
  return node;
}

const digits = (value) => Number(value.toFixed(3)).toLocaleString("en-US");

function tags(sample) {
  const line = element("div", { class: "tags" });
  const add = (text, kind) => line.append(element("span", kind ? { class: kind } : {}, text));
  add(`step ${sample.step}`);
  if (data.runs.length > 1) add(data.runs[sample.run]);
  add(`score ${digits(sample.score)}`);
  add(`advantage ${sample.advantage > 0 ? "+" : ""}${digits(sample.advantage)}`);
  for (const name of data.rewards) {
    const value = sample.rewards[name];
    if (value !== undefined) add(`${name} ${digits(value)}`, value > 0 ? "earned" : "missed");
  }
  add(sample.key);
  return line;
}

function article(sample) {
  const body = element("div", { class: "body" }, element("p", { class: "text" }, sample.question), reply(sample.reply), tags(sample));
  const node = element("article", { tabindex: "-1" }, body);
  node.addEventListener("focus", () => rove(node));
  return node;
}

// One card at a time is on the way of the Tab key.
function rove(card) {
  for (const other of byId("cards").querySelectorAll("article")) other.tabIndex = other === card ? 0 : -1;
}

const texts = samples.map((sample) => [sample.question, sample.reply, sample.key].join("\n").toLowerCase());
const values = {
  step: (i) => samples[i].step,
  score: (i) => samples[i].score,
  advantage: (i) => samples[i].advantage,
  length: (i) => samples[i].reply.length,
};

function find() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const run = byId("run").value;
  const step = steps[Number(byId("step").value) - 1];
  byId("step-name").textContent = step === undefined ? "all" : number(step);
  byId("step").setAttribute("aria-valuetext", step === undefined ? "all steps" : `step ${step}`);
  const sort = byId("sort").value;
  const sign = sort.endsWith("-") ? -1 : 1;
  const value = values[sort.replace("-", "")];
  state.found = samples.map((_, i) => i)
    .filter((i) => run === "" || samples[i].run === Number(run))
    .filter((i) => step === undefined || samples[i].step === step)
    .filter((i) => words.every((word) => texts[i].includes(word)))
    .sort((a, b) => sign * (value(a) - value(b)) || a - b);
  state.page = 0;
  show();
}

function show() {
  const from = state.page * PAGE;
  const cards = state.found.slice(from, from + PAGE).map((i) => article(samples[i]));
  byId("cards").replaceChildren(...cards);
  if (cards.length) cards[0].tabIndex = 0;
  else byId("cards").append(element("p", { class: "empty" }, "No reply matches."));
  const [found, all] = [state.found.length, samples.length];
  byId("count").textContent = found === all ? `${number(all)} replies` : `${number(found)} of ${number(all)} replies`;
  pager(Math.ceil(found / PAGE));
}

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    byId("search").focus();
    return;
  }
  const card = document.activeElement;
  if (event.key === "Enter" && card.matches("#cards article")) card.classList.toggle("open");
  walk(event, "article");
}

function start() {
  startTheme();
  for (const section of document.querySelectorAll("main > section")) {
    byId("parts").append(element("a", { href: `#${section.id}` }, section.querySelector("h2").textContent), " ");
  }
  byId("run").append(element("option", { value: "" }, "all"));
  data.runs.forEach((name, run) => byId("run").append(element("option", { value: run }, name)));
  byId("run-label").hidden = data.runs.length < 2;
  byId("step").max = steps.length;
  for (const id of ["search", "step"]) byId(id).addEventListener("input", find);
  for (const id of ["run", "sort"]) byId(id).addEventListener("change", find);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", keys);
  const differing = byId("differing");
  const hideSame = () => byId("settings-table").classList.toggle("only", differing.checked);
  if (differing) {
    differing.addEventListener("change", hideSame);
    hideSame();
  }
  if (samples.length) find();
  else for (const id of ["controls", "cards", "pager"]) byId(id).hidden = true;
}

start();
