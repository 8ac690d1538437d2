// Serves each contract in the arguments with Prism, each on its own port, from one process. Answers
// generated from schemas (`Prefer: dynamic=true`) are the same in each run but vary between
// requests. With Prism's own --seed every request gets the same answer.
const { createRequire } = require("node:module");

const {
  createSingleProcessPrism,
} = require("@stoplight/prism-cli/dist/util/createServer.js");
// Prism has its own copy.
const requireAsPrism = createRequire(require.resolve("@stoplight/prism-http"));
const { JSONSchemaFaker } = requireAsPrism("json-schema-faker");
const random = requireAsPrism("seedrandom")("contract");

async function serve(contracts) {
  for (const document of contracts) {
    await createSingleProcessPrism({
      document,
      host: "127.0.0.1",
      port: 0,
      verboseLevel: "start",
    });
  }
  // Set last, because starting a server resets them. Arrays are not empty; optional fields are
  // sometimes missing.
  JSONSchemaFaker.option({
    random,
    alwaysFakeOptionals: false,
    fixedProbabilities: false,
    minItems: 1,
    maxItems: 3,
  });
}

serve(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
