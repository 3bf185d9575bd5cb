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
