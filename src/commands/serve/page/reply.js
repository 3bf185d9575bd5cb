// A reply on the page, while it is written.

const byId = (id) => document.getElementById(id);

// What was written so far, by its tags. What may become a tag waits until it is one or is not.
export function write(text, isWhole) {
  const parts = { think: "", answer: "" };
  let kind = "think";
  const shown = isWhole ? text : text.replace(/<\/?[a-z]{0,6}$/, "");
  for (const piece of shown.split(/(<\/?(?:think|answer)>)/)) {
    const tag = piece.match(/^<(\/?)(think|answer)>$/);
    if (tag) kind = tag[2] === "answer" && !tag[1] ? "answer" : "think";
    else parts[kind] += piece;
  }
  grow(byId("thinking"), parts.think.trim());
  grow(byId("answer"), parts.answer.trim());
  byId("written").hidden = !parts.answer.trim();
}

// Adds what is new, so that screen readers read that alone.
function grow(node, text) {
  const before = node.textContent;
  if (text.startsWith(before)) {
    if (text.length > before.length) node.append(text.slice(before.length));
  } else node.textContent = text;
}
