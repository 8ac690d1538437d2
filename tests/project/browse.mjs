// Opens pages in Chromium, at the width of a desktop and of a phone, and prints what it saw as JSON.
// node browse.mjs CHROMIUM FOLDER-FOR-SCREENSHOTS OPENED URL...
// It opens the pages whose URL matches OPENED, and shows the articles of others in the page before.
// Without a folder ("") it takes no pictures; with one, in light and dark.
import { chromium } from "playwright-core";

const [executablePath, folder, pattern, ...urls] = process.argv.slice(2);
const opened = new RegExp(pattern);
const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // To optimise code that runs once takes longer than to run it.
    "--js-flags=--no-opt,--max-lazy",
    // A request to another machine fails, and is reported.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
const page = await browser.newPage();
const seen = [];
let now;
page.on("console", (message) => {
  const said = `${message.location().url}: ${message.text()}`;
  if (message.type() === "error") now.errors.push(said);
});
page.on("pageerror", (error) => now.errors.push(String(error)));
page.on("requestfailed", (request) => {
  const reason = request.failure().errorText;
  // Leaving a page aborts its pending requests.
  if (reason !== "net::ERR_ABORTED") now.errors.push(`${request.url()}: ${reason}`);
});
page.on("request", (request) => now.requests.push(request.url()));
// A new article in an open page costs a fraction of an opened page, and has the same layout.
const show = async (url) => {
  const parsed = new DOMParser().parseFromString(await (await fetch(url)).text(), "text/html");
  document.querySelector("article").replaceWith(parsed.querySelector("article"));
  await Promise.allSettled(Array.from(document.images, (image) => image.decode()));
};
for (const url of urls) {
  now = { url, errors: [], requests: [], overflow: {} };
  seen.push(now);
  await page.setViewportSize({ width: 1280, height: 900 });
  if (opened.test(url)) await page.goto(url, { waitUntil: "load" });
  else await page.evaluate(show, url);
  // Playwright looks into shadow roots, where Swagger UI is; innerText does not.
  now.text = (await page.locator("article, article .swagger-ui").allInnerTexts()).join("\n");
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 900 });
    now.overflow[width] = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
  }
}
for (const colorScheme of folder ? ["light", "dark"] : []) {
  const context = await browser.newContext({ colorScheme });
  const visitor = await context.newPage();
  for (const url of urls) {
    const name = url.split("/").at(-1).replace(".html", "");
    for (const width of [1280, 390]) {
      await visitor.setViewportSize({ width, height: 900 });
      await visitor.goto(url, { waitUntil: "load" });
      await visitor.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    }
  }
}
await browser.close();
console.log(JSON.stringify(seen));
