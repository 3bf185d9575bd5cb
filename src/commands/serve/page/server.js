// Requests to the program that served this page.

// What the server refused, with its advice.
export class Refused extends Error {
  constructor(status, { error, hint }) {
    super(error || `the server answered ${status}`);
    this.status = status;
    this.hint = hint;
  }
}

async function ask(path, init) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...init });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { error: "The server cannot be reached.", hint: "Is segzero still running?" });
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Refused(response.status, said);
}

const json = (body, signal) => ({
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
});

export const options = async () => (await ask("api/options")).json();

export async function upload(file) {
  const headers = { "Content-Type": file.type.startsWith("image/") ? file.type : "application/octet-stream" };
  return (await ask("api/images", { method: "POST", headers, body: file })).json();
}

export const picture = (id) => `api/images/${id}`;

export const mask = async (id, objects) => (await ask(`api/images/${id}/mask`, json({ objects }))).json();

export const png = async ({ size, counts }) => (await ask("api/png", json({ size, counts }))).blob();

// Calls `heard` with every event of the answer to a question.
export async function question(id, words, signal, heard) {
  const response = await ask(`api/images/${id}/ask`, json(words, signal));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) heard(JSON.parse(line));
  }
}
