// Reads an AsyncAPI document as the AsyncAPI project's parser understands it; prints what it found as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, path] = process.argv.slice(2);
const { Parser } = createRequire(`${folder}/`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"), { source: path });
const channels = document?.channels().all() ?? [];
console.log(
  JSON.stringify({
    version: document?.version() ?? null,
    diagnostics: diagnostics.map(({ severity, code, message, path: at }) => ({ severity, code, message, at: at.join(".") })),
    channels: channels.map((one) => ({
      address: one.address(),
      operations: one.operations().all().map((operation) => operation.action()),
      messages: one.messages().all().map((message) => message.id()),
    })),
  }),
);
