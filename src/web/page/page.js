// The page for editors. All texts stay in this tab: they are sent to this server only, to be classified or corrected.

import { $, attempt, capital, element, percent, post, request, say } from "./common.js";
import { watchLive } from "./live.js";
import { articleOf, byTurns, idOf, isOfArticle, parseObject } from "./rows.js";

let isBusy = false;

// Does some work on the article. Meanwhile other such work is ignored: it would be about the article that is being replaced.
async function act(work) {
  if (isBusy) return;
  isBusy = true;
  await attempt(work);
  isBusy = false;
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
  watchLive(view === "live", (topic) => nameOf("topics", topic));
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
  model = JSON.parse(await request("v1/model"));
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

// The answer to an article or a row, which is JSON.
async function classify(json) {
  say("Classifying …");
  const answer = JSON.parse(await post("v1/classify?explain=true", json));
  // Editors choose among the labels of the model that answered.
  if (model?.version !== answer.model_version) await loadModel();
  return answer;
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(async () => {
    const body = $("body").value;
    const format = $("format").value || (looksLikeHtml(body) ? "html" : "text");
    if (!$("id").value.trim()) fillId(`page-${Date.now()}`);
    const article = { id: $("id").value.trim(), headline: $("headline").value, body, format };
    const answer = await classify(JSON.stringify(article));
    leaveQueue();
    showAnswer(article, answer);
  });
});

$("body").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
});

// The id that the page filled in.
let filledId = "";

function fillId(id) {
  filledId = id;
  $("id").value = id;
}

// Another text is another article. An id that the user typed stays.
$("body").addEventListener("input", () => {
  if (!inQueue && $("id").value === filledId) fillId("");
});

function showAnswer(article, answer) {
  current = { article, answer };
  say(`Classified as ${answer.topics[0] ? `${answer.topics[0].name}, ${answer.topics[0].decision}` : "no topic"}.`);
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
  attempt(() => showMap(answer.regions));
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
  return element("li", { class: className, "data-code": label.code }, button, evidenceList(label));
}

// What the marks in the text show, for screen readers.
function evidenceList({ name, evidence = [] }) {
  const passages = evidence.map(({ term, weight }) => element("li", {}, `${weight > 0 ? "For" : "Against"}: ${term}`));
  return passages.length ? element("ul", { class: "spoken", "aria-label": `Passages for and against ${name}` }, ...passages) : null;
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
  world ??= await request("world.svg");
  // Another article may be shown by now.
  if (regions !== current.answer.regions) return;
  const svg = new DOMParser().parseFromString(world, "image/svg+xml").documentElement;
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
  act(save);
});

async function save() {
  const { article } = current;
  const entry = inQueue;
  const author = $("author").value.trim();
  localStorage.setItem("author", author);
  if (!fixed.topics.length) throw new Error("Choose at least one topic.");
  const keepsText = model.corrections === "with_text";
  const correction = { ...(keepsText ? article : { id: article.id }), ...fixed, author };
  say("Saving …");
  await post("v1/corrections", JSON.stringify(correction));
  say(`The labels of ${article.id} are recorded.`);
  if (entry) await finish(entry, "labelled");
}

document.addEventListener("keydown", (event) => {
  // AltGr writes characters: some systems report it as Ctrl+Alt.
  const isShortcut = event.altKey && !event.ctrlKey && !event.metaKey && !event.repeat && !event.getModifierState("AltGraph");
  const button = $({ KeyS: "save", KeyN: "skip" }[event.code]);
  if (!isShortcut || !button?.checkVisibility()) return;
  event.preventDefault();
  // A disabled button ignores it.
  button.click();
});

// --- The queue ------------------------------------------------------------------------------------------------------------

// The lines of a file: id, title, the line itself, best topic, and what became of it, in the order in which they are offered.
let queue = [];
// The entry that is shown, with its labels.
let inQueue = null;
// The file: its lines with their places, and how many of them are in the queue.
let pool = null;
const BATCH = 50;
const SHOWN = 200;

// Another file replaces the queue.
async function openPool(file) {
  const lines = (await file.text()).split("\n").map((line, i) => ({ line, place: `${file.name}:${i + 1}` }));
  pool = { lines: lines.filter(({ line }) => line.trim()), rated: 0 };
  queue = [];
  leaveQueue();
  show("queue");
  await ratePool(pool);
}

// Adds the remaining lines to the queue, up to an error, or until another file is opened.
async function ratePool(opened) {
  const { lines } = opened;
  let error = null;
  while (!error && opened.rated < lines.length) {
    showProgress(false);
    const batch = lines.slice(opened.rated, opened.rated + BATCH);
    const outcome = await rate(batch);
    if (pool !== opened) return;
    queue.push(...outcome.answers.map((answer, i) => queued(batch[i], answer, i + 1)));
    opened.rated += outcome.answers.length;
    error = outcome.error;
    say(`${opened.rated} of ${lines.length} lines are classified.`);
  }
  queue = byTurns(queue);
  showProgress(true);
  showQueue();
  const aside = queue.filter(({ state }) => state.startsWith(ASIDE));
  const [one] = aside;
  const reason = one ? `; ${aside.length} set aside, the first, ${one.id}, because ${one.state.slice(ASIDE.length)}` : "";
  const counts = `${queue.length - aside.length} articles are in the queue${reason}.`;
  say(error ? `${counts} The rest failed: ${error}` : counts, error !== null);
}

function showProgress(hasStopped) {
  $("progress").hidden = hasStopped;
  $("progress").max = pool.lines.length;
  $("progress").value = pool.rated;
  $("rest").hidden = !hasStopped || pool.rated === pool.lines.length;
}

// The answers to the first of some lines, and the error that ended them.
async function rate(batch) {
  try {
    const text = await post("v1/classify?max_labels=1", batch.map(({ line }) => line).join("\n"), "application/x-ndjson");
    // What follows the last line break is cut off.
    const all = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    // An error without an id ends the answers, and so does a lack of capacity.
    const ended = all.findIndex(({ id, error }) => error && !(id && isOfArticle(error.code)));
    const answers = ended < 0 ? all : all.slice(0, ended);
    return { answers, error: all[ended]?.error.message ?? (answers.length ? null : "The server ended its answer early.") };
  } catch (error) {
    return { answers: [], error: error.message };
  }
}

const ASIDE = "set aside: ";

// The entry of a line, which is that number of its batch. One without an article is set aside.
function queued({ line, place }, answer, number) {
  const row = parseObject(line);
  const id = idOf(row, answer.id, number, place);
  const reason = answer.error?.message ?? (row ? null : "it is not a JSON object");
  return { id, title: (row && titleOf(row)) || id, line, best: answer.topics?.[0], state: reason ? ASIDE + reason : "" };
}

// The headline, or the beginning of the text.
function titleOf(row) {
  const { headline, body, format } = articleOf(row);
  return readable(headline || body.slice(0, 1000), format === "html").trim().slice(0, 80);
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
      element("td", {}, element("button", { type: "button", click: () => act(() => take(entry)) }, entry.title)),
      element("td", {}, entry.best?.name ?? "none"),
      element("td", { class: "number" }, entry.best ? percent(entry.best.confidence) : ""),
      element("td", {}, entry.state),
    ),
  );
  $("queue-table").querySelector("tbody").replaceChildren(...rows);
}

// Shows an article of the queue. The row is sent as it was read.
async function take(entry) {
  let answer;
  try {
    answer = await classify(entry.line);
  } catch (error) {
    if (isOfArticle(error.code)) entry.state = ASIDE + error.message;
    showQueue();
    show("queue");
    throw error;
  }
  const article = { id: entry.id, ...articleOf(parseObject(entry.line) ?? {}) };
  inQueue = entry;
  showQueue();
  $("headline").value = article.headline;
  $("body").value = article.body;
  fillId(article.id);
  $("skip").hidden = false;
  show("article");
  showAnswer(article, answer);
  $("add-topics").focus();
}

const nextInQueue = () => queue.find((entry) => !entry.state);

async function finish(entry, state) {
  entry.state = state;
  leaveQueue();
  const next = nextInQueue();
  if (next) return take(next);
  show("queue");
  say("The queue is done. Train with the corrections to see what they are worth.");
}

function leaveQueue() {
  inQueue = null;
  $("skip").hidden = true;
  showQueue();
}

$("skip").addEventListener("click", () => act(() => finish(inQueue, "skipped")));
$("next").addEventListener("click", () => act(() => take(nextInQueue())));
$("rest").addEventListener("click", () => attempt(() => ratePool(pool)));

// --- Files ----------------------------------------------------------------------------------------------------------------

async function openFiles(files) {
  const [file] = files;
  if (!file) return;
  if (/\.(jsonl|ndjson)$/i.test(file.name)) return openPool(file);
  const text = await file.text();
  leaveQueue();
  show("article");
  $("headline").value = "";
  $("body").value = text;
  fillId(file.name);
  $("format").value = /\.x?html?$/i.test(file.name) ? "html" : "";
  $("form").requestSubmit();
}

// Passes a chosen file on, and forgets it: the same file can be chosen again.
function onChosen(input, open) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) attempt(() => open(files));
  });
}

onChosen($("file"), openFiles);
onChosen($("pool"), ([file]) => openPool(file));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("drop");
});
document.addEventListener("dragleave", () => document.body.classList.remove("drop"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("drop");
  const files = [...event.dataTransfer.files];
  attempt(() => openFiles(files));
});

attempt(loadModel);
