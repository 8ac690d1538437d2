// Ends Node as soon as its standard input closes. That happens when the process that started Node
// ends, even by a kill. A thread of its own notices it while Prism is busy.
import { Worker, isMainThread } from "node:worker_threads";

const wait = `
  const { readSync } = require("node:fs");
  try {
    while (readSync(0, Buffer.alloc(1)));
  } catch {}
  process.kill(process.pid, "SIGKILL");
`;
if (isMainThread) {
  new Worker(wait, { eval: true, execArgv: [] }).unref();
}
