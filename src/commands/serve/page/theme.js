// Colours: as the system has them, light or dark.

const button = () => document.getElementById("theme");

function theme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  button().textContent = name;
  button().setAttribute("aria-label", `Colours: ${name}; switch`);
}

// Some browsers refuse to keep anything.
function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem("segzero-theme");
    localStorage.setItem("segzero-theme", value);
  } catch { /* then it is not kept */ }
  return null;
}

export function themes() {
  const all = ["system", "light", "dark"];
  theme(all.includes(stored()) ? stored() : "system");
  button().addEventListener("click", () => {
    const next = all[(all.indexOf(button().textContent) + 1) % all.length];
    theme(next);
    stored(next);
  });
}
