// Uses the page as an editor does: node page.mjs URL TOKEN POOL FOLDER. Screenshots go to FOLDER.
import assert from "node:assert/strict";
import path from "node:path";
import puppeteer from "puppeteer-core";

const [url, token, pool, folder] = process.argv.slice(2);
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu"],
  timeout: 60_000,
});
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 1000 });
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
const status = (part) => until(part, (wanted) => document.getElementById("status").textContent.includes(wanted), part);

try {
  await page.goto(url);
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
  const countries = await page.$$eval("#regions li", (rows) => rows.map((row) => row.dataset.code));
  assert.deepEqual(countries.slice(0, 2).sort(), ["KE", "TZ"]);
  assert.match(await page.$eval("#map #KE", (shape) => shape.getAttribute("class")), /about/);
  assert.ok((await page.$$("#text mark.on")).length > 0, "the evidence of the best topic is marked");
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
  await status("no label");
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
  await page.keyboard.down("Alt");
  await page.keyboard.press("KeyN");
  await page.keyboard.up("Alt");
  await until("the next article", () => document.getElementById("queue-count").textContent.startsWith("1 of"));
  await status("Classified as");
  if (!(await page.$$("#fix-topics .chips button")).length) {
    await page.type("#add-topics", "politics");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.down("Alt");
  await page.keyboard.press("KeyS");
  await page.keyboard.up("Alt");
  await until("the labels are recorded", () => document.getElementById("queue-count").textContent.startsWith("2 of"));

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
          const [a, b] = [luminance(getComputedStyle(node).color), luminance(background(node))];
          const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          return contrast < 4.5 ? [`${where}: ${node.tagName} ${node.id} ${node.className} ${contrast.toFixed(2)}`] : [];
        });
      }, `${theme} ${view}`)));
    }
  }
  return found;
}
