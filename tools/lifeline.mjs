// Ends Node as soon as its standard input closes. That happens when the process that started Node
// ends, even by a kill. A thread of its own notices it while Prism is busy.
import { Worker, isMainThread } from "node:worker_threads";

const wait = `
  const { Socket } = require("node:net");
  // Not readSync: Node cannot exit while a thread is in it.
  new Socket({ fd: 0, readable: true, writable: false })
    .on("error", () => {})
    .on("close", () => process.kill(process.pid, "SIGKILL"))
    .resume();
`;
if (isMainThread) {
  new Worker(wait, { eval: true, execArgv: [] }).unref();
}
