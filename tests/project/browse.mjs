// Opens pages in Chromium, at the width of a desktop and of a phone, and prints what it saw as JSON.
// node browse.mjs CHROMIUM FOLDER-FOR-SCREENSHOTS URL...
// Without a folder ("") it takes no pictures; with one, in light and dark.
import { chromium } from "playwright-core";

const [executablePath, folder, ...urls] = process.argv.slice(2);
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
    // A request to another machine fails, and is reported.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
const page = await browser.newPage();
const seen = [];
let now;
page.on("console", (message) => message.type() === "error" && now.errors.push(message.text()));
page.on("pageerror", (error) => now.errors.push(String(error)));
page.on("requestfailed", (request) => {
  const reason = request.failure().errorText;
  // Leaving a page aborts its pending requests.
  if (reason !== "net::ERR_ABORTED") now.errors.push(`${request.url()}: ${reason}`);
});
page.on("request", (request) => now.requests.push(request.url()));
for (const url of urls) {
  now = { url, errors: [], requests: [], overflow: {} };
  seen.push(now);
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(url, { waitUntil: "load" });
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
  for (const url of urls.filter((each) => each.startsWith("http:"))) {
    const name = new URL(url).pathname.slice(1).replace(".html", "");
    for (const width of [1280, 390]) {
      await visitor.setViewportSize({ width, height: 900 });
      await visitor.goto(url, { waitUntil: "load" });
      await visitor.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    }
  }
}
await browser.close();
console.log(JSON.stringify(seen));
