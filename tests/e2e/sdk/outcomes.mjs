// What the OpenAI Node SDK gives or raises, for each scenario at each base address, as JSON on standard output.
// Arguments: folder of the installed package, then JSON [[name, base, scenario], ...].
import { createRequire } from "node:module";

const [folder, cases] = process.argv.slice(2);
const OpenAI = createRequire(`${folder}/package.json`)("openai").default;
const ask = { model: "small", messages: [{ role: "user", content: "I feel lost 🙂" }] };

const operations = {
  chat: (client) => client.chat.completions.create(ask),
  stream: async (client) => {
    const events = [];
    for await (const event of await client.chat.completions.create({ ...ask, stream: true })) events.push(event);
    return events;
  },
  responses: async (client) => {
    const events = [];
    const stream = await client.responses.create({ model: "small", input: "I feel lost", stream: true });
    for await (const event of stream) events.push(event);
    return events;
  },
  embeddings: (client) => client.embeddings.create({ model: "small", input: ["a"], encoding_format: "float" }),
  file: async (client) => Buffer.from(await (await client.files.content("file-1")).arrayBuffer()).toString("base64"),
};

const outcomes = [];
for (const [name, base, scenario] of JSON.parse(cases)) {
  const timeout = scenario === "hang" && name === "chat" ? 400 : 10_000;
  const client = new OpenAI({ baseURL: `${base}/${scenario}/v1`, apiKey: "k", maxRetries: 0, timeout });
  try {
    outcomes.push(["value", await operations[name](client)]);
  } catch (error) {
    outcomes.push([error.constructor.name, error.status ?? null, error.code ?? null, error.error ?? null]);
  }
}
process.stdout.write(JSON.stringify(outcomes), () => process.exit(0));
