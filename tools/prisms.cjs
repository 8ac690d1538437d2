// Serves each of the contracts named as arguments with Prism, on a port of its own, from one
// process. What Prism makes up from schemas (`Prefer: dynamic=true`) is the same in each run and yet
// varies, unlike with Prism's own --seed, which gives every request the same answer.
const { createRequire } = require("node:module");

const {
  createSingleProcessPrism,
} = require("@stoplight/prism-cli/dist/util/createServer.js");
// Prism has a copy of its own.
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
  // Starting a server resets these. Arrays hold something; optional fields are missing at times.
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
