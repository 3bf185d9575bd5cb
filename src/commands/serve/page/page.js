// The page: an image, a question, the reply, and what the user makes of it.
// Texts of models and servers reach the document through `textContent` and `setAttribute` only.

import * as server from "./server.js";
import { bitmap, paint } from "./mask.js";
import { write } from "./reply.js";
import { Stage, empty, hasSomething } from "./stage.js";
import { themes } from "./theme.js";

const byId = (id) => document.getElementById(id);
const state = {
  options: null,
  image: null, // { id, file, name, width, height }
  mask: null, // what the server said, with its pixels
  reply: null, // { question, text, thinking, repairs } of the last answer
  answered: null, // its objects
  asking: null, // aborts the question
  edits: 0, // changes of boxes and points so far
  past: [], // objects before each change
};
const model = { size: [1, 1], objects: [empty()], active: 0, tool: "points" };
const stage = new Stage(byId("marks"), model, { before: remember, changed });

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const number = (value) => value.toLocaleString("en-US");
const say = (text) => { byId("status").textContent = text; };

function complain(problem) {
  if (problem?.name === "AbortError") return;
  const text = [problem?.message, problem?.hint].filter(Boolean).map(sentence).join(" ");
  byId("problem-text").textContent = text || "Something went wrong.";
  byId("problem").hidden = false;
}

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

const calm = () => { byId("problem").hidden = true; };

// ---- the image ----

async function take(file) {
  if (!file) return;
  calm();
  state.asking?.abort();
  const limit = state.options?.["upload-bytes"] ?? Infinity;
  if (file.size > limit) return complain({ message: `The file is larger than ${limit >> 20} MiB`, hint: "make it smaller" });
  document.body.classList.add("loading");
  say("Uploading the image…");
  try {
    const image = { ...(await server.upload(file)), file, name: file.name || "pasted.png" };
    await show(image);
    say("");
  } catch (error) {
    say("");
    complain(error);
  } finally {
    document.body.classList.remove("loading");
  }
}

async function show(image) {
  state.image = image;
  Object.assign(model, { size: [image.width, image.height], objects: [empty()], active: 0 });
  Object.assign(state, { mask: null, reply: null, answered: null, past: [], edits: state.edits + 1 });
  const picture = byId("image");
  if (picture.src.startsWith("blob:")) URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(image.file);
  await picture.decode().catch(() => {});
  // What this browser cannot show, or shows in another way, is shown as the models see it.
  if (picture.naturalWidth !== image.width || picture.naturalHeight !== image.height) {
    URL.revokeObjectURL(picture.src);
    picture.src = server.picture(image.id);
    await picture.decode().catch(() => {});
  }
  byId("frame").style.setProperty("--width", image.width);
  byId("frame").style.setProperty("--height", image.height);
  for (const id of ["stage", "tools", "hint", "found", "another"]) byId(id).hidden = false;
  for (const id of ["drop", "reply", "result"]) byId(id).hidden = true;
  document.body.classList.add("open");
  byId("ask").disabled = false;
  stage.draw();
  list();
  drawMask();
  if (state.options.reasoner === "model" && matchMedia("(hover: hover)").matches) byId("question").focus();
}

// Asks for something about the image; one that is not kept any longer is uploaded again.
async function about(request) {
  const { image } = state;
  try {
    return await request(image.id);
  } catch (error) {
    if (error.status !== 410) throw error;
    image.id = (await server.upload(image.file)).id;
    return request(image.id);
  }
}

// ---- the question ----

async function ask() {
  if (!state.image || state.asking) return;
  const text = byId("question").value.trim();
  if (!text && state.options.reasoner === "model") return byId("question").focus();
  calm();
  const { image } = state;
  const asking = state.asking = new AbortController();
  const reply = { question: text, text: "", thinking: null, repairs: [] };
  begin();
  const clock = tick();
  try {
    const key = image.name.replace(/\.[^.]*$/, "");
    await about((id) => server.question(id, { question: text, key }, asking.signal, (event) => heard(event, reply, clock)));
    if (!clock.over) complain({ message: "The reply broke off.", hint: "Ask again." });
  } catch (error) {
    complain(error);
  } finally {
    if (state.asking === asking) {
      state.asking = null;
      finish(clock, reply);
    }
  }
}

function begin() {
  byId("ask").hidden = true;
  byId("stop").hidden = false;
  byId("reply").hidden = false;
  byId("written").hidden = true;
  byId("repairs").replaceChildren();
  byId("thinking").replaceChildren();
  byId("answer").replaceChildren();
  document.body.classList.add("asking");
  say("Sending the question…");
}

function finish(clock, reply) {
  clearInterval(clock.timer);
  byId("ask").hidden = false;
  byId("stop").hidden = true;
  document.body.classList.remove("asking");
  write(reply.text, true);
  if (!clock.over) say(reply.text ? "Stopped." : "");
}

// Seconds since the question, on the page; not for screen readers, which would never rest.
function tick() {
  const start = performance.now();
  const clock = { over: false, seconds: () => (performance.now() - start) / 1000 };
  const show = () => { byId("clock").textContent = `${Math.floor(clock.seconds())} s`; };
  clock.timer = setInterval(show, 1000);
  byId("clock").textContent = "";
  return clock;
}

function heard(event, reply, clock) {
  if (!state.asking) return;
  if (event.event === "queued" && !clock.started) {
    if (event.ahead) say(`Waiting: ${event.ahead} question${event.ahead > 1 ? "s" : ""} first…`);
  } else if (event.event === "started") {
    clock.started = true;
    say("Reading the image and the question…");
  } else if (event.event === "text") {
    if (!reply.text) say("Reasoning…");
    reply.text += event.text;
    write(reply.text, false);
  } else if (event.event === "answer") {
    answered(event, reply, clock);
  } else if (event.event === "mask") {
    clock.over = true;
    if (state.edits === reply.edits) masked(event, null);
  } else if (event.event === "error") {
    clock.over = true;
    say("");
    complain({ message: event.error, hint: event.hint });
  }
}

function answered(event, reply, clock) {
  Object.assign(reply, { text: event.text, thinking: event.thinking, repairs: event.repairs });
  write(reply.text, true);
  state.reply = reply;
  remember();
  state.answered = structuredClone(event.objects);
  model.objects = event.objects.length ? event.objects : [empty()];
  model.active = 0;
  reply.edits = state.edits;
  byId("repairs").replaceChildren(...event.repairs.map((name) => element("span", {}, name.replaceAll("-", " "))));
  if (event.repairs.length) byId("repairs").prepend("repaired: ");
  byId("clock").textContent = `${clock.seconds().toFixed(1)} s`;
  say("Answered; making the mask…");
  stage.draw();
  list();
}

// ---- boxes and points ----

function remember() {
  state.past.push({ objects: structuredClone(model.objects), active: model.active });
  if (state.past.length > 200) state.past.shift();
  state.edits += 1;
}

function undo() {
  const last = state.past.pop();
  if (!last) return;
  state.edits += 1;
  Object.assign(model, last);
  stage.tell();
}

function changed() {
  state.edits += 1;
  list();
  want();
}

// The newest boxes and points are asked about as soon as the server is done with those before.
async function want() {
  if (want.busy) {
    want.again = true;
    return;
  }
  want.busy = true;
  do {
    want.again = false;
    const objects = model.objects.filter(hasSomething);
    const { image } = state;
    if (!objects.length) {
      masked(null, null);
      continue;
    }
    const slow = setTimeout(() => say("Looking at the image…"), 400);
    const start = performance.now();
    try {
      const mask = await about((id) => server.mask(id, objects));
      if (state.image === image) {
        calm();
        masked(mask, performance.now() - start);
      }
    } catch (error) {
      complain(error);
    }
    clearTimeout(slow);
  } while (want.again);
  want.busy = false;
}

function masked(mask, milliseconds) {
  state.mask = mask && { ...mask, pixels: bitmap(mask) };
  byId("result").hidden = !mask;
  drawMask();
  list();
  const share = mask && (100 * mask.area) / (mask.size[0] * mask.size[1]);
  const area = mask && `${number(mask.area)} pixels, ${share < 1 ? share.toFixed(2) : share.toFixed(1)} % of the image`;
  byId("mask").setAttribute("aria-label", mask ? `Mask of ${area}` : "No mask yet");
  byId("told").textContent = mask ? `Mask: ${area}` : "";
  say("");
  if (!mask) return;
  const facts = [["area", area]];
  if (mask.ious.length) facts.push(["predicted IoU", mask.ious.map((iou) => iou.toFixed(3)).join(", ")]);
  else if (!state.options.segmenter) facts.push(["made of", "the boxes, filled: no segmenter was started"]);
  facts.push(["time", milliseconds === null ? `${mask.milliseconds.toFixed(0)} ms` : `${milliseconds.toFixed(0)} ms, ${mask.milliseconds.toFixed(0)} of them the segmenter's`]);
  byId("facts").replaceChildren(...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// At the pixels of the screen, so that edges are fine on small images and quick on large ones.
function drawMask() {
  const canvas = byId("mask");
  const dense = Math.min(devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * dense));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * dense));
  if (state.mask) paint(canvas, state.mask.pixels, state.mask.size, Math.round(1.5 * dense));
}

function list() {
  const last = state.past.length > 0;
  byId("undo").disabled = !last;
  byId("reset").disabled = !state.answered || JSON.stringify(state.answered) === JSON.stringify(model.objects);
  byId("objects").replaceChildren(...model.objects.map(row));
}

const round = (values) => values.map((v) => String(Math.round(v * 10) / 10)).join(", ");

function row(object, index) {
  const pick = element("button", { type: "button", class: "name", "aria-pressed": String(index === model.active) }, `Object ${index + 1}`);
  pick.addEventListener("click", () => { model.active = index; stage.draw(); list(); });
  const asked = model.objects.slice(0, index).filter(hasSomething).length;
  const iou = hasSomething(object) ? state.mask?.ious[asked] : undefined;
  const head = element("div", { class: "line" }, pick);
  if (iou !== undefined) head.append(element("span", { class: "soft fine" }, `predicted IoU ${iou.toFixed(3)}`));
  const marks = element("ul");
  const mark = (kind, at, icon, what) => {
    const remove = element("button", { type: "button", class: "remove", "aria-label": `Remove ${what} of object ${index + 1}` }, "✕");
    remove.addEventListener("click", () => { stage.remove({ object: index, kind, index: at }); byId("add-point").focus(); });
    marks.append(element("li", {}, icon, element("span", {}, what), remove));
  };
  if (object.bbox) mark("bbox", 0, element("i", { class: "square" }), `box ${round(object.bbox.slice(0, 2))} – ${round(object.bbox.slice(2))}`);
  object.points.forEach((point, at) => mark("points", at, element("i", { class: "dot plus" }), `point ${round(point)}`));
  object.background.forEach((point, at) => mark("background", at, element("i", { class: "dot minus" }), `beside ${round(point)}`));
  if (!hasSomething(object)) marks.append(element("li", { class: "soft" }, "nothing yet: click on the image"));
  return element("li", { class: index === model.active ? "active" : "" }, head, marks);
}

function addObject() {
  const free = model.objects.findIndex((object) => !hasSomething(object));
  if (free < 0) remember();
  model.active = free < 0 ? model.objects.push(empty()) - 1 : free;
  stage.draw();
  list();
}

// For those who have no pointer: a point to move with the arrow keys.
function addPoint() {
  const { bbox } = model.objects[model.active];
  const middle = bbox ? [(bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2] : model.size.map((v) => v / 2);
  stage.add(model.tool === "background" ? "background" : "points", middle);
}

// ---- to take away ----

// A line as `segzero segment --json` prints it, which `segzero eval --pred` reads.
function line() {
  const { image, mask, reply } = state;
  const objects = model.objects.filter(hasSomething);
  const said = reply && { question: reply.question, thinking: reply.thinking, repairs: reply.repairs, text: reply.text };
  return {
    key: image.name.replace(/\.[^.]*$/, ""), image: image.name, size: mask.size, counts: mask.counts,
    boxes: objects.filter((object) => object.bbox).map((object) => object.bbox),
    points: objects.flatMap((object) => object.points),
    background: objects.flatMap((object) => object.background),
    ious: mask.ious, objects, ...said,
  };
}

async function copy() {
  const text = JSON.stringify(line());
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP from another machine there is no clipboard; the old way needs a selection.
    const area = document.body.appendChild(element("textarea", { class: "unseen" }));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  thank("copy", "Copied");
}

async function download() {
  try {
    const blob = await server.png(state.mask);
    const link = element("a", { href: URL.createObjectURL(blob), download: `${line().key}-mask.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    thank("download", "Downloaded");
  } catch (error) {
    complain(error);
  }
}

function thank(id, text) {
  const node = byId(id);
  node.dataset.before ??= node.textContent;
  node.textContent = `${text} ✓`;
  setTimeout(() => { node.textContent = node.dataset.before; }, 1500);
}

// ---- the rest ----

function takes() {
  for (const input of document.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      take(input.files[0]);
      input.value = "";
    });
  }
  const first = (transfer) => [...(transfer?.files ?? [])][0];
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    take(first(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const file = first(event.clipboardData);
    if (file) {
      event.preventDefault();
      take(file);
    }
  });
}

function keys() {
  addEventListener("keydown", (event) => {
    const writes = /^(TEXTAREA|INPUT)$/.test(event.target.tagName) && event.target.type !== "radio" && event.target.type !== "checkbox";
    if (event.key === "/" && !writes && !byId("asker").hidden) {
      event.preventDefault();
      byId("question").focus();
    } else if ((event.ctrlKey || event.metaKey) && event.key === "z" && !writes) {
      event.preventDefault();
      undo();
    } else if (event.key === "Escape") state.asking?.abort();
  });
  byId("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      ask();
    }
  });
}

function buttons() {
  byId("asker").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  const clicks = { stop: () => state.asking?.abort(), undo, reset, copy, download, "add-object": addObject, "add-point": addPoint, "problem-close": calm };
  for (const [id, click] of Object.entries(clicks)) byId(id).addEventListener("click", click);
  for (const input of byId("tool").querySelectorAll("input")) {
    input.addEventListener("change", () => {
      model.tool = input.value;
      byId("marks").classList.toggle("draws", input.value === "bbox");
    });
  }
  for (const input of byId("layers").querySelectorAll("input")) {
    input.addEventListener("change", () => byId("frame").classList.toggle(`no-${input.value}`, !input.checked));
  }
}

function reset() {
  remember();
  Object.assign(model, { objects: structuredClone(state.answered), active: 0 });
  stage.tell();
}

async function start() {
  themes();
  takes();
  keys();
  buttons();
  new ResizeObserver(drawMask).observe(byId("frame"));
  const options = state.options = await server.options();
  byId("models").textContent = [options["reasoner-name"], options.segmenter].filter(Boolean).join(" · ");
  byId("limits").textContent = `JPEG, PNG, WebP, BMP or TIFF, up to ${options["upload-bytes"] >> 20} MiB; it stays with the program that serves this page`;
  byId("asker").hidden = options.reasoner === "none";
  byId("alone").hidden = options.reasoner !== "none";
  if (options.reasoner === "recorded") {
    byId("question-label").textContent = "A recorded reply, whatever is asked";
    byId("ask").textContent = "Show the reply";
  }
}

start().catch(complain);
