// The live view: counts of what streams through the server.

import { $, capital, element, percent, request, say } from "./common.js";

const INTERVAL = 2000;
const HISTORY = 60;
// Identifies the current opening of the view; null while it is hidden.
let watch = null;
let first = null;
let last = null;
let history = [];

// Watches while the view is shown; `nameOf` names topics.
export async function watchLive(isShown, nameOf) {
  const mine = isShown ? {} : null;
  watch = mine;
  [first, last, history] = [null, null, []];
  while (isShown && watch === mine) {
    try {
      const text = await request("v1/metrics");
      if (watch === mine) showLive(samples(text), nameOf);
    } catch (error) {
      if (watch === mine) say(capital(error.message), true);
      // Without a token, the user is not asked again until the view is opened again.
      if (error.status === 401) return;
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

// The samples of the Prometheus text format: name, labels and value.
function samples(text) {
  return text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => {
    const [, name, labels = "", value] = line.match(/^([a-z_]+)(?:\{(.*)\})? (\S+)/) ?? [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, given]) => [key, given]);
    return { name, labels: Object.fromEntries(pairs), value: Number(value) };
  });
}

function showLive(now, nameOf) {
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
      element("td", {}, nameOf(code)),
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
