// The page for editors. All texts stay in this tab: they are sent to this server only, to be classified or corrected.

const $ = (id) => document.getElementById(id);

// A new element: its attributes, then its children. Functions are handlers of events.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function say(message, isError = false) {
  $("status").textContent = message;
  $("status").classList.toggle("error", isError);
}

const percent = (share) => (share > 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// --- Requests -------------------------------------------------------------------------------------------------------------

let asking = null;

// Asks for a token, once for all requests that wait for it.
function askForToken(reason) {
  asking ??= new Promise((resolve) => {
    $("token-error").textContent = reason;
    $("token").value = "";
    $("token-dialog").showModal();
    $("token-dialog").addEventListener("close", () => {
      asking = null;
      resolve($("token").value.trim());
    }, { once: true });
  });
  return asking;
}

// Sends a request to the server; its answer has the status 200. Otherwise throws an error with the server's message.
async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const headers = { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("The server cannot be reached. Is it running?");
    }
    if (response.ok) return response;
    const fault = await response.json().catch(() => null);
    const message = fault?.error?.message ?? `The server answered with the status ${response.status}.`;
    if (response.status !== 401) throw new Error(message);
    const given = await askForToken(token ? message : "");
    if (!given) throw new Error(message);
    sessionStorage.setItem("token", given);
  }
}

const post = (path, body, type = "application/json") =>
  request(path, { method: "POST", headers: { "content-type": type }, body });

// Sends work to the server, and shows why it failed if it does.
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(capital(error.message), true);
    return null;
  }
}

// --- Views ----------------------------------------------------------------------------------------------------------------

const tabs = ["article", "queue", "live"];

function show(view) {
  for (const name of tabs) {
    const isShown = name === view;
    $(name).hidden = !isShown;
    $(`tab-${name}`).setAttribute("aria-selected", isShown);
    $(`tab-${name}`).tabIndex = isShown ? 0 : -1;
  }
  watchLive(view === "live");
}

for (const [at, name] of tabs.entries()) {
  const tab = $(`tab-${name}`);
  tab.addEventListener("click", () => show(name));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const other = tabs[(at + step + tabs.length) % tabs.length];
    show(other);
    $(`tab-${other}`).focus();
  });
}

// --- The model ------------------------------------------------------------------------------------------------------------

let model = null;
const labelsOf = (kind) => model?.[kind] ?? [];
const nameOf = (kind, code) => labelsOf(kind).find((label) => label.code === code)?.name ?? code;

async function loadModel() {
  model = await (await request("v1/model")).json();
  $("model").textContent = `Model ${model.version}`;
  const help = {
    disabled: "This server does not record corrections: it needs --corrections-log.",
    without_text: "The identifier and the labels are recorded; the text is not.",
    with_text: "The labels are recorded together with the text.",
  };
  $("correction-help").textContent = help[model.corrections];
  $("save").disabled = model.corrections === "disabled";
}

// --- An article and its labels --------------------------------------------------------------------------------------------

// The article that is shown, and its answer.
let current = null;

const looksLikeHtml = (text) => /^\s*<(!doctype|html|head|body|article|div|p|h1)\b/i.test(text) || /<\/(p|div|article)>/i.test(text);

async function classify(article) {
  say("Classifying …");
  const response = await post("v1/classify?explain=true", JSON.stringify(article));
  const answer = await response.json();
  current = { article, answer };
  say(`Classified as ${answer.topics[0] ? `${answer.topics[0].name}, ${answer.topics[0].decision}` : "no topic"}.`);
  showAnswer();
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  leaveQueue();
  const body = $("body").value;
  const format = $("format").value || (looksLikeHtml(body) ? "html" : "text");
  const id = $("id").value.trim() || `page-${Date.now()}`;
  $("id").value = id;
  attempt(() => classify({ id, headline: $("headline").value, body, format }));
});

$("body").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
});

// Another text is another article.
$("body").addEventListener("input", () => {
  if (!inQueue) $("id").value = "";
});

function showAnswer() {
  const { answer } = current;
  $("result").hidden = false;
  $("reading").hidden = false;
  const narrower = (topic) => answer.subtopics.filter((label) => label.broader === topic.code);
  $("topics").replaceChildren(
    ...answer.topics.flatMap((topic) => [labelRow(topic), ...narrower(topic).map((label) => labelRow(label, "narrower"))]),
  );
  $("regions").replaceChildren(...answer.regions.map((region) => labelRow(region)));
  for (const list of [$("topics"), $("regions")]) {
    if (!list.children.length) list.append(element("li", { class: "help" }, "None"));
  }
  $("notes").replaceChildren(...answer.notes.map((note) => element("li", {}, note)));
  showText();
  showMap(answer.regions);
  startCorrection();
  $("topics").querySelector("button")?.click();
}

// A label: name, bar, confidence and decision. Its evidence is marked while the pointer or the focus is on it, and after a
// click until another label is chosen.
function labelRow(label, className) {
  const bar = element("span");
  bar.style.width = `${100 * label.confidence}%`;
  const role = label.role && element("small", {}, label.role.toLowerCase());
  const button = element(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      mouseenter: () => mark(label.code),
      mouseleave: () => mark(pinned),
      focus: () => mark(label.code),
      blur: () => mark(pinned),
      click: () => pin(button, label.code),
    },
    element("span", {}, label.name, role),
    element("span", { class: "bar", "aria-hidden": "true" }, bar),
    element("span", { class: "number" }, percent(label.confidence)),
    element("span", { class: `decision ${label.decision}` }, label.decision),
  );
  return element("li", { class: className, "data-code": label.code }, button);
}

let pinned = null;

function pin(button, code) {
  for (const other of document.querySelectorAll(".labels button")) other.setAttribute("aria-pressed", other === button);
  pinned = code;
  mark(code);
}

function mark(code) {
  for (const passage of $("text").querySelectorAll("mark")) {
    const weight = passage.evidence.get(code);
    passage.classList.toggle("on", weight !== undefined);
    passage.classList.toggle("against", weight < 0);
    passage.title = weight === undefined ? "" : `${weight > 0 ? "for" : "against"} the label: ${weight.toFixed(2)}`;
  }
}

$("show-removed").addEventListener("change", (event) => $("text").classList.toggle("all", event.target.checked));

const blocks = /^<\/?(p|div|h[1-6]|li|ul|ol|br|tr|table|section|article|header|footer|figure|blockquote)\b/i;

// The text of a slice of HTML: white space is a blank, tags are line breaks or nothing, and references are characters.
function readable(slice, isHtml) {
  if (!isHtml) return slice;
  const lines = slice.replace(/\s+/g, " ").replace(/<!--.*?-->|<[^>]*>?/g, (tag) => (blocks.test(tag) ? "\n" : ""));
  const text = lines.replace(/\s*\n\s*/g, "\n\n");
  const decoder = document.createElement("textarea");
  decoder.innerHTML = text;
  return decoder.value;
}

// Shows the fields with their evidence and with what was left out. Offsets are bytes of UTF-8.
function showText() {
  const { article, answer } = current;
  const parts = ["headline", "body"].filter((name) => article[name]?.trim()).map((name) => {
    const field = name.toUpperCase();
    const ofField = (all) => all.filter((one) => one.field === field);
    const evidence = [...answer.topics, ...answer.subtopics, ...answer.regions].flatMap((label) =>
      ofField(label.evidence ?? []).map((one) => ({ ...one, code: label.code })),
    );
    const content = passages(article[name], article.format === "html", evidence, ofField(answer.removed ?? []));
    return name === "headline" ? element("h3", {}, ...content) : element("div", {}, ...content);
  });
  $("text").replaceChildren(...parts);
}

function passages(text, isHtml, evidence, removed) {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  const ends = [...evidence, ...removed].flatMap(({ start, end }) => [start, end]);
  const cuts = [...new Set([0, ...ends, bytes.length])].sort((a, b) => a - b);
  const within = (at) => (range) => range.start <= at && at < range.end;
  return cuts.slice(0, -1).map((start, i) => {
    const slice = readable(decoder.decode(bytes.subarray(start, cuts[i + 1])), isHtml);
    const out = removed.find(within(start));
    if (out) return element("span", { class: "removed", title: `left out: ${out.reason}` }, slice);
    const here = evidence.filter(within(start));
    if (!here.length) return document.createTextNode(slice);
    const passage = element("mark", {}, slice);
    passage.evidence = new Map(here.map(({ code, weight }) => [code, weight]));
    return passage;
  });
}

let world = null;

async function showMap(regions) {
  world ??= fetch("world.svg").then((response) => response.text());
  const svg = new DOMParser().parseFromString(await world, "image/svg+xml").documentElement;
  for (const region of [...regions].reverse()) {
    const shape = svg.getElementById(region.code);
    if (!shape) continue;
    shape.setAttribute("class", region.role.toLowerCase());
    const title = document.createElementNS(svg.namespaceURI, "title");
    title.textContent = `${region.name}: ${region.role.toLowerCase()}, ${percent(region.confidence)}`;
    shape.append(title);
  }
  $("map").replaceChildren(svg);
  const named = regions.map((region) => `${region.name} (${region.role.toLowerCase()})`).join(", ");
  $("map").setAttribute("aria-label", `Map of the countries: ${named || "none"}`);
}

// --- Corrections ----------------------------------------------------------------------------------------------------------

const kinds = ["topics", "subtopics", "regions"];
let fixed = { topics: [], subtopics: [], regions: [] };

// Begins with the labels that an editor would see: those that are not ABSTAIN.
function startCorrection() {
  const { answer } = current;
  const sure = (labels) => labels.filter((label) => label.decision !== "ABSTAIN");
  fixed = {
    topics: sure(answer.topics).map((label) => label.code),
    subtopics: sure(answer.subtopics).map((label) => label.code),
    regions: sure(answer.regions)
      .filter((label) => label.role === "ABOUT" && labelsOf("regions").some(({ code }) => code === label.code))
      .map((label) => label.code),
  };
  kinds.forEach(showFix);
}

// The chosen labels of a kind, each a button that removes it, and a field to add one by its name.
function showFix(kind) {
  const box = $(`fix-${kind}`);
  const legend = box.querySelector("legend");
  const remove = (code) => {
    fixed[kind] = fixed[kind].filter((other) => other !== code);
    if (kind === "topics") {
      fixed.subtopics = fixed.subtopics.filter((narrower) => topicOf(narrower) !== code);
      showFix("subtopics");
    }
    showFix(kind);
    $(`add-${kind}`)?.focus();
  };
  const chips = fixed[kind].map((code) =>
    element("li", {}, element("button", { type: "button", "aria-label": `Remove ${nameOf(kind, code)}`, click: () => remove(code) }, nameOf(kind, code))),
  );
  const open = labelsOf(kind).filter(
    ({ code, broader }) => !fixed[kind].includes(code) && (kind !== "subtopics" || fixed.topics.includes(broader)),
  );
  const list = element("datalist", { id: `choices-${kind}` }, ...open.map(({ name, code }) => element("option", { value: name }, code)));
  const add = element("input", {
    id: `add-${kind}`,
    list: list.id,
    autocomplete: "off",
    "aria-label": `Add: ${legend.textContent}`,
    placeholder: "Add by name or code",
    change: () => {
      const given = add.value.trim().toLowerCase();
      const label = open.find(({ name, code }) => name.toLowerCase() === given || code.toLowerCase() === given);
      if (!label) {
        if (given) say(`There is no label "${add.value}" to add here.`, true);
        return;
      }
      fixed[kind].push(label.code);
      if (kind === "topics") showFix("subtopics");
      showFix(kind);
      $(`add-${kind}`).focus();
    },
  });
  box.replaceChildren(legend, element("ul", { class: "chips" }, ...chips), add, list);
}

const topicOf = (subtopic) => labelsOf("subtopics").find(({ code }) => code === subtopic)?.broader;

$("author").value = localStorage.getItem("author") ?? "";

$("correct").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(save);
});

async function save() {
  const { article } = current;
  const author = $("author").value.trim();
  localStorage.setItem("author", author);
  if (!fixed.topics.length) throw new Error("Choose at least one topic.");
  const keepsText = model.corrections === "with_text";
  const correction = { ...(keepsText ? article : { id: article.id }), ...fixed, author };
  await post("v1/corrections", JSON.stringify(correction));
  say(`The labels of ${article.id} are recorded.`);
  if (inQueue) finish("labelled");
}

document.addEventListener("keydown", (event) => {
  if (!event.altKey || $("correction").closest("[hidden]")) return;
  if (event.code === "KeyS") $("correct").requestSubmit();
  if (event.code === "KeyN" && inQueue) $("skip").click();
});

// --- The queue ------------------------------------------------------------------------------------------------------------

// Articles of a file with their best topics, in the order in which they are offered.
let queue = [];
let inQueue = null;
const BATCH = 50;
const SHOWN = 200;

async function openPool(file) {
  show("queue");
  const lines = (await file.text()).split("\n").filter((line) => line.trim());
  $("progress").hidden = false;
  $("progress").max = lines.length;
  const rated = [];
  for (let at = 0; at < lines.length; at += BATCH) {
    const batch = lines.slice(at, at + BATCH);
    const response = await post("v1/classify?max_labels=1", batch.join("\n"), "application/x-ndjson");
    const answers = (await response.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
    answers.slice(0, batch.length).forEach((answer, i) => {
      if (answer.topics) rated.push({ row: JSON.parse(batch[i]), id: answer.id, best: answer.topics[0], state: "" });
    });
    $("progress").value = at + batch.length;
    say(`${at + batch.length} of ${lines.length} articles are classified.`);
  }
  $("progress").hidden = true;
  queue = byTurns(rated);
  say(`${queue.length} articles are in the queue${queue.length < lines.length ? `; ${lines.length - queue.length} lines are no articles` : ""}.`);
  showQueue();
}

// The least certain articles first, topics by turns: many that are alike teach little more than one of them.
function byTurns(rated) {
  const confidence = ({ best }) => best?.confidence ?? 0;
  const groups = Map.groupBy ? Map.groupBy(rated, ({ best }) => best?.code) : new Map([["", rated]]);
  const ranked = [...groups.values()].flatMap((group) =>
    group.sort((a, b) => confidence(a) - confidence(b)).map((entry, turn) => ({ entry, turn })),
  );
  return ranked.sort((a, b) => a.turn - b.turn || confidence(a.entry) - confidence(b.entry)).map(({ entry }) => entry);
}

function showQueue() {
  const open = queue.filter((entry) => !entry.state);
  $("next").hidden = !open.length;
  $("queue-table").hidden = !queue.length;
  $("queue-count").textContent = queue.length ? `${queue.length - open.length} of ${queue.length} done` : "";
  const rows = queue.slice(0, SHOWN).map((entry) =>
    element(
      "tr",
      { "aria-current": entry === inQueue && "true" },
      element("td", {}, element("button", { type: "button", click: () => attempt(() => take(entry)) }, title(entry))),
      element("td", {}, entry.best?.name ?? "none"),
      element("td", { class: "number" }, entry.best ? percent(entry.best.confidence) : ""),
      element("td", {}, entry.state),
    ),
  );
  $("queue-table").querySelector("tbody").replaceChildren(...rows);
}

// The headline of a queued article, or the beginning of its text.
function title({ row, id }) {
  const text = (row.headline || row.title || row.body || row.text || id).toString();
  return readable(text, row.format === "html").trim().slice(0, 80);
}

async function take(entry) {
  const { row } = entry;
  const article = {
    id: entry.id,
    headline: row.headline ?? row.title ?? "",
    body: row.body ?? row.text ?? row.content ?? "",
    format: row.format ?? "text",
  };
  inQueue = entry;
  $("headline").value = article.headline;
  $("body").value = article.body;
  $("id").value = article.id;
  $("skip").hidden = false;
  show("article");
  await classify(article);
  $("add-topics").focus();
}

function finish(state) {
  inQueue.state = state;
  const next = queue.find((entry) => !entry.state);
  leaveQueue();
  showQueue();
  if (next) return attempt(() => take(next));
  show("queue");
  say("The queue is done. Train with the corrections to see what they are worth.");
}

function leaveQueue() {
  inQueue = null;
  $("skip").hidden = true;
}

$("skip").addEventListener("click", () => finish("skipped"));
$("next").addEventListener("click", () => attempt(() => take(queue.find((entry) => !entry.state))));

// --- Files ----------------------------------------------------------------------------------------------------------------

async function openFiles(files) {
  const [file] = files;
  if (!file) return;
  if (/\.(jsonl|ndjson)$/i.test(file.name)) return attempt(() => openPool(file));
  const text = await file.text();
  leaveQueue();
  show("article");
  $("headline").value = "";
  $("body").value = text;
  $("id").value = file.name;
  $("format").value = /\.x?html?$/i.test(file.name) ? "html" : "";
  $("form").requestSubmit();
}

$("file").addEventListener("change", (event) => openFiles(event.target.files));
$("pool").addEventListener("change", (event) => event.target.files[0] && attempt(() => openPool(event.target.files[0])));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("drop");
});
document.addEventListener("dragleave", () => document.body.classList.remove("drop"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("drop");
  openFiles(event.dataTransfer.files);
});

// --- The live view --------------------------------------------------------------------------------------------------------

const INTERVAL = 2000;
const HISTORY = 60;
let timer = null;
let first = null;
let last = null;
let history = [];

function watchLive(isShown) {
  clearInterval(timer);
  timer = null;
  if (!isShown) return;
  [first, last, history] = [null, null, []];
  const look = () => attempt(async () => showLive(samples(await (await request("v1/metrics")).text())));
  look();
  timer = setInterval(look, INTERVAL);
}

// The samples of the Prometheus text format: name, labels and value.
function samples(text) {
  return text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => {
    const [, name, labels = "", value] = line.match(/^([a-z_]+)(?:\{(.*)\})? (\S+)/) ?? [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, given]) => [key, given]);
    return { name, labels: Object.fromEntries(pairs), value: Number(value) };
  });
}

function showLive(now) {
  const at = performance.now();
  const sum = (all, name, labels = {}) =>
    (all ?? []).filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((total, one) => total + one.value, 0);
  first ??= now;
  const answered = sum(now, "dateline_articles_total");
  if (last) {
    history = [...history, (1000 * (answered - last.answered)) / (at - last.at)].slice(-HISTORY);
  }
  last = { answered, at };
  const rates = [
    ["Articles per second", (history.at(-1) ?? 0).toFixed(1)],
    ["Articles since the server started", answered.toLocaleString("en")],
    ["With an error", (answered - sum(now, "dateline_articles_total", { outcome: "classified" })).toLocaleString("en")],
    ["Open streams", sum(now, "dateline_streams_open")],
    ["In process", sum(now, "dateline_articles_in_flight")],
  ];
  $("rates").replaceChildren(...rates.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, String(value)))));
  showHistory();
  const since = (labels) => sum(now, "dateline_topics_total", labels) - sum(first, "dateline_topics_total", labels);
  const codes = [...new Set(now.filter((one) => one.name === "dateline_topics_total").map((one) => one.labels.code))];
  const total = since({});
  const rows = codes.map((code) => ({ code, count: since({ code }) })).filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  $("live-table").querySelector("tbody").replaceChildren(...rows.map(({ code, count }) => {
    const bar = element("span");
    bar.style.width = `${(100 * count) / total}%`;
    return element(
      "tr",
      {},
      element("td", {}, nameOf("topics", code)),
      element("td", { class: "number" }, count.toLocaleString("en")),
      element("td", {}, element("div", { class: "bar", title: percent(count / total) }, bar)),
      ...["AUTO", "REVIEW", "ABSTAIN"].map((decision) => element("td", { class: "number" }, since({ code, decision }).toLocaleString("en"))),
    );
  }));
}

// The articles per second of the last two minutes.
function showHistory() {
  const most = Math.max(1, ...history);
  const points = history.map((rate, i) => `${40 + (i * 600) / (HISTORY - 1)},${(90 - (80 * rate) / most).toFixed(1)}`).join(" ");
  const svg = new DOMParser().parseFromString(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 110" role="img" aria-label="Articles per second in the last two minutes">
      <line x1="40" y1="90" x2="640" y2="90"/><line x1="40" y1="10" x2="640" y2="10"/>
      <text x="0" y="94">0</text><text x="0" y="14">${most.toFixed(0)}</text><text x="40" y="106">articles per second, the last two minutes</text>
      <polyline points="${points}"/></svg>`,
    "image/svg+xml",
  );
  $("history").replaceChildren(svg.documentElement);
}

attempt(loadModel);
