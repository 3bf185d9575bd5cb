"use strict";
// Texts of the data reach the document through `textContent` and `setAttribute` only.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const number = (value) => value.toLocaleString("en-US");

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function shape(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// Pages from disk may have no storage.
function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem("segzero-theme");
    localStorage.setItem("segzero-theme", value);
  } catch { /* then it lasts as long as the page */ }
  return null;
}

function theme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  byId("theme").textContent = name;
  byId("theme").setAttribute("aria-label", `Colours: ${name}; switch`);
}

function startTheme() {
  const themes = ["system", "light", "dark"];
  theme(themes.includes(stored()) ? stored() : "system");
  byId("theme").addEventListener("click", () => {
    const next = themes[(themes.indexOf(byId("theme").textContent) + 1) % themes.length];
    theme(next);
    stored(next);
  });
}

// Of the pages' galleries: a page's `show` shows `PAGE` of what is in `state.found`, those of `state.page`.
function pager(pages) {
  const nav = byId("pager");
  nav.hidden = pages < 2;
  const step = (label, by) => {
    const button = element("button", { type: "button" }, label);
    button.disabled = state.page + by < 0 || state.page + by >= pages;
    button.addEventListener("click", () => { turn(by); byId("gallery").scrollIntoView(); });
    return button;
  };
  nav.replaceChildren(step("‹ Back", -1), element("span", {}, `page ${state.page + 1} of ${pages}`), step("Next ›", 1));
}

function turn(by) {
  state.page += by;
  show();
}

// Arrow keys among what a selector finds in the cards; at the ends of a page, to the next.
function walk(event, selector) {
  const cards = () => [...byId("cards").querySelectorAll(selector)];
  const nodes = cards();
  const at = nodes.indexOf(document.activeElement);
  if (at < 0) return;
  const top = nodes[0].getBoundingClientRect().top;
  const columns = nodes.filter((node) => Math.abs(node.getBoundingClientRect().top - top) < 2).length;
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: nodes.length - 1 - at }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  const to = at + by;
  if (nodes[to]) nodes[to].focus();
  else if (to >= nodes.length && (state.page + 1) * PAGE < state.found.length) {
    turn(1);
    cards()[0].focus();
  } else if (to < 0 && state.page > 0) {
    turn(-1);
    cards().pop().focus();
  }
}
