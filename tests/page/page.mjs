// Uses the page as an editor does: node page.mjs URL TOKEN POOL FOLDER. Screenshots go to FOLDER.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import puppeteer from "puppeteer-core";

const SCREEN = { width: 1280, height: 1000 };
const TELEPHONE = { width: 360, height: 740 };

const [url, token, pool, folder] = process.argv.slice(2);
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu"],
  timeout: 60_000,
});
const page = await browser.newPage();
await page.setViewport(SCREEN);
const faults = [];
const elsewhere = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.on("request", (request) => {
  if (!request.url().startsWith(url)) elsewhere.push(request.url());
});

const text = (selector) => page.$eval(selector, (found) => found.textContent);
const until = (what, condition, ...args) =>
  page.waitForFunction(condition, { timeout: 20_000 }, ...args).catch((error) => {
    throw new Error(`not within twenty seconds: ${what}: ${error}`);
  });
const status = (part) => until(part, (wanted) => document.getElementById("messages").textContent.includes(wanted), part);
const alertShown = (part) => until(part, (wanted) => document.querySelector("[role=alert]").textContent.includes(wanted), part);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
async function press(key, ...modifiers) {
  for (const modifier of modifiers) await page.keyboard.down(modifier);
  await page.keyboard.press(key);
  for (const modifier of modifiers) await page.keyboard.up(modifier);
}

// Requests to the server pass through here. `intercept` may answer or delay them.
let intercept = null;
// The corrections that the page has sent.
const sent = [];
await page.setRequestInterception(true);
page.on("request", async (request) => {
  if (request.url().endsWith("/v1/corrections")) sent.push(JSON.parse(request.postData()));
  const answer = await intercept?.(request);
  if (answer) await request.respond({ contentType: "application/json", ...answer });
  else await request.continue();
});

try {
  // A token is used if it is confirmed; after a cancel, the page does not ask again by itself.
  await page.goto(url);
  await page.waitForSelector("dialog[open]");
  await page.type("#token", token);
  await page.keyboard.press("Escape");
  await until("the reason is an alert", () => document.querySelector("[role=alert]").textContent);
  assert.equal(await page.evaluate(() => sessionStorage.getItem("token")), null);
  await page.click("#tab-live");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await pause(2_500);
  assert.equal(await page.$("dialog[open]"), null);
  await page.reload();
  await page.waitForSelector("dialog[open]");
  await page.type("#token", token);
  await page.keyboard.press("Enter");
  await until("the model is shown", () => document.getElementById("model").textContent.startsWith("Model"));

  // Paste HTML, and read the labels.
  const article = `<html><head><script>track()</script></head><body><nav>Home | Sport</nav><article>
    <h1>Kenya and Tanzania agree on a shared fishing fleet</h1>
    <p>NAIROBI (Harbour Wire) - Parliament passed the law on fishing in Lake Victoria by two votes on Tuesday. The governments of
    Kenya and Tanzania said that ministers of both countries would sign the treaty after the election.</p></article></body></html>`;
  await page.$eval("#body", (field, value) => { field.value = value; }, article);
  await page.click("#classify");
  await status("Classified as");
  assert.equal(await text("#topics li button span"), "politics");
  const countries = await page.$$eval("#regions > li", (rows) => rows.map((row) => row.dataset.code));
  assert.deepEqual(countries.slice(0, 2).sort(), ["KE", "TZ"]);
  assert.match(await page.$eval("#map #KE", (shape) => shape.getAttribute("class")), /about/);
  assert.ok((await page.$$("#text mark.on")).length > 0, "the evidence of the best topic is marked");
  assert.match(await text("#topics li .spoken"), /For: /, "and listed for screen readers");
  // Other evidence, while the pointer is on another label.
  const marked = () => page.$$eval("#text mark.on", (marks) => marks.map((mark) => mark.textContent).join("|"));
  const before = await marked();
  await page.hover("#regions li button");
  assert.notEqual(await marked(), before);
  assert.match(await marked(), /Kenya|Nairobi|NAIROBI|Tanzania/);
  assert.ok(!(await page.$eval("#text", (shown) => shown.innerText)).includes("track()"), "what was left out is hidden");
  await page.click("#show-removed");
  assert.ok((await page.$eval("#text", (shown) => shown.innerText)).includes("track()"));
  await page.screenshot({ path: path.join(folder, "article-light.png"), fullPage: true });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await page.screenshot({ path: path.join(folder, "article-dark.png"), fullPage: true });
  // On a telephone, no name is behind a bar.
  await page.setViewport(TELEPHONE);
  const behind = await page.$$eval(".labels button", (labels) => labels.map((label) => {
    const words = document.createRange();
    words.selectNodeContents(label.firstElementChild);
    const [name, bar] = [words, label.querySelector(".bar")].map((part) => part.getBoundingClientRect());
    return bar.width < 50 || (name.bottom > bar.top && name.right > bar.left);
  }));
  assert.ok(behind.length > 2 && !behind.includes(true), JSON.stringify(behind));
  await page.screenshot({ path: path.join(folder, "article-telephone.png"), fullPage: true });
  await page.setViewport(SCREEN);

  // Correct the labels, by keyboard.
  await page.$$eval("#fix-regions .chips button", (chips) => chips.length).then(async (chips) => {
    for (let i = 0; i < chips; i++) await page.click("#fix-regions .chips button");
  });
  for (const country of ["Kenya", "TZ"]) {
    await page.type("#add-regions", country);
    await page.keyboard.press("Tab");
  }
  await page.type("#add-regions", "Atlantis");
  await page.keyboard.press("Tab");
  await alertShown("no label");
  await page.type("#author", "Ada");
  await page.keyboard.press("Enter");
  await status("recorded");

  // The queue.
  await page.focus("#tab-article");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.$eval("#queue", (view) => view.hidden), false);
  await (await page.$("#pool")).uploadFile(pool);
  await status("are in the queue");
  assert.equal((await page.$$("#queue-table tbody tr")).length, 60);
  await page.screenshot({ path: path.join(folder, "queue-dark.png") });
  await page.click("#next");
  await status("Classified as");
  await press("KeyN", "Alt");
  await until("the next article", () => document.getElementById("queue-count").textContent.startsWith("1 of"));
  await status("Classified as");
  if (!(await page.$$("#fix-topics .chips button")).length) {
    await page.type("#add-topics", "politics");
    await page.keyboard.press("Tab");
  }
  // While the correction and the next article are on their way, the shortcut does nothing.
  const id = () => page.$eval("#id", (field) => field.value);
  const [known, shown] = [sent.length, await id()];
  intercept = () => pause(300);
  for (let i = 0; i < 3; i++) await press("KeyS", "Alt");
  await until("the labels are recorded", () => document.getElementById("queue-count").textContent.startsWith("2 of"));
  await press("KeyS", "Alt");
  await until("the next article", (done) => document.getElementById("id").value !== done, shown);
  intercept = null;
  assert.deepEqual(sent.slice(known).map((row) => row.id), [shown], "one correction, of the article that was shown");
  // AltGr writes characters.
  await press("KeyS", "Control", "Alt");
  const isFree = await page.evaluate(() => document.body.dispatchEvent(new KeyboardEvent("keydown", {
    code: "KeyS", altKey: true, modifierAltGraph: true, bubbles: true, cancelable: true,
  })));
  await pause(100);
  assert.deepEqual([isFree, sent.length], [true, known + 1]);

  // Rows without ids have those of their places. From here on, no correction reaches the server.
  const rows = Array.from({ length: 51 }, (_, i) =>
    JSON.stringify({ headline: `Row ${i + 1}`, body: `The parliament passed budget ${i + 1} after a debate.` }));
  rows.push('{"id": "blank", "body": " "}', '{"guid": "g1", "title": "Own", "body": "The cup final went to penalties."}');
  const places = path.join(folder, "places.jsonl");
  fs.writeFileSync(places, rows.join("\n"));
  await page.click("#tab-queue");
  await (await page.$("#pool")).uploadFile(places);
  await status("52 articles are in the queue; 1 set aside, the first, blank, because the article has no text");
  const state = (title) => page.$$eval("#queue-table tr", (all, wanted) =>
    all.find((row) => row.querySelector("button")?.textContent === wanted).lastChild.textContent, title);
  assert.match(await state("blank"), /set aside: the article has no text/);
  const open = async (title) => {
    await page.click("#tab-queue");
    await page.$$eval("#queue-table button", (all, wanted) => all.find((one) => one.textContent === wanted).click(), title);
  };
  for (const [title, expected] of [["Row 1", "places.jsonl:1"], ["Row 51", "places.jsonl:51"], ["Own", "g1"]]) {
    await open(title);
    await until(expected, (wanted) => document.getElementById("id").value === wanted, expected);
  }
  // An article that cannot be classified is set aside; one that does not reach the server is not.
  const fail = (code) => (request) => request.url().includes("explain=true") && {
    status: code === "INTERNAL" ? 500 : 503, body: JSON.stringify({ error: { code, message: `it is ${code}` } }),
  };
  intercept = fail("UNAVAILABLE");
  await open("Row 2");
  await alertShown("It is UNAVAILABLE");
  assert.equal(await state("Row 2"), "");
  intercept = fail("INTERNAL");
  await page.click("#next");
  await alertShown("It is INTERNAL");
  const states = await page.$$eval("#queue-table tr", (all) => all.map((row) => row.lastChild.textContent));
  assert.equal(states.filter((one) => one === "set aside: it is INTERNAL").length, 1);
  intercept = null;
  await page.click("#next");
  await status("Classified as");
  await until("another article", () => !document.getElementById("article").hidden);
  // A batch that ends early keeps the queue, and the rest can follow.
  let batches = 0;
  intercept = (request) => request.url().includes("max_labels") && ++batches === 2 && {
    body: '{"id": "1", "topics": []}\n{"error": {"code": "UNAVAILABLE", "message": "the server is full"}}\n{"id": ',
  };
  await page.click("#tab-queue");
  await (await page.$("#pool")).uploadFile(places);
  await alertShown("51 articles are in the queue. The rest failed: the server is full");
  await page.click("#rest");
  await status("52 articles are in the queue");
  // A second file replaces the first.
  intercept = () => pause(100);
  await (await page.$("#pool")).uploadFile(places);
  await (await page.$("#pool")).uploadFile(pool);
  await status("60 articles are in the queue.");
  assert.equal((await page.$$("#queue-table tbody tr")).length, 60);
  intercept = null;

  // A typed id stays when the article is pasted; one that the page filled in does not.
  await page.click("#tab-article");
  const paste = (selector, value) => page.$eval(selector, (field, given) => {
    field.select();
    document.execCommand("insertText", false, given);
  }, value);
  await paste("#id", "typed");
  await paste("#body", "The parliament passed the budget after a long debate.");
  assert.equal(await id(), "typed");
  await paste("#id", "");
  await page.click("#classify");
  await until("an id", () => document.getElementById("id").value.startsWith("page-"));
  await status("Classified as");
  await paste("#body", "The home side won the cup final on penalties.");
  assert.equal(await id(), "");

  // The live view counts what streams through.
  await page.click("#tab-live");
  await until("the rates are shown", () => document.querySelectorAll("#rates dd").length > 0);
  await page.evaluate((body, given) => fetch("v1/classify", {
    method: "POST", body,
    headers: { "content-type": "application/json", authorization: `Bearer ${given}` },
  }), JSON.stringify({ body: "The parliament passed the budget after a long debate." }), token);
  await until("the article is counted", () => document.querySelectorAll("#live-table tbody tr").length > 0);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  await page.screenshot({ path: path.join(folder, "live-light.png") });

  // On a telephone nothing is beside the screen.
  await page.setViewport(TELEPHONE);
  for (const view of ["article", "queue", "live"]) {
    await page.click(`#tab-${view}`);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= TELEPHONE.width, `${view} is too wide`);
  }
  await page.setViewport(SCREEN);

  assert.ok(await page.$("#history text"), "the contrast of the chart is checked too");
  assert.deepEqual(await contrastFaults(), []);
  assert.deepEqual([faults, elsewhere], [[], []], "no errors, and no requests to other servers");
} finally {
  await browser.close();
}

// Texts of the page whose contrast to their background is below 4.5, in both themes.
async function contrastFaults() {
  const found = [];
  for (const theme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    for (const view of ["article", "queue", "live"]) {
      await page.click(`#tab-${view}`);
      found.push(...(await page.evaluate((where) => {
        const rgb = (color) => color.match(/[\d.]+/g).map(Number);
        const luminance = (color) => {
          const [r, g, b] = rgb(color).slice(0, 3).map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const background = (node) => {
          for (let at = node; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (rgb(color)[3] !== 0) return color;
          }
          return "rgb(255, 255, 255)";
        };
        return [...document.querySelectorAll("body *")].filter((node) =>
          node.checkVisibility() && !node.disabled && !node.closest(":disabled") &&
          [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.textContent.trim()),
        ).flatMap((node) => {
          const style = getComputedStyle(node);
          const [a, b] = [luminance(node instanceof SVGElement ? style.fill : style.color), luminance(background(node))];
          const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          return contrast < 4.5 ? [`${where}: ${node.tagName} ${node.id} ${node.className} ${contrast.toFixed(2)}`] : [];
        });
      }, `${theme} ${view}`)));
    }
  }
  return found;
}
