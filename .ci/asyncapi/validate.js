// Validates an AsyncAPI document: node validate.js FILE. Exit code 1 with what is wrong. The parser leaves examples alone:
// those are held against their schemas by services/evmesh/tests/contract.rs.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const file = process.argv[2];
const diagnostics = await new Parser().validate(readFileSync(file, "utf8"), { source: file });
// 0 is an error, 1 a warning; the others are advice, such as tags for a catalogue.
const wrong = diagnostics.filter(({ severity }) => severity <= 1);
for (const { range, path, message } of wrong) {
  console.error(`${file}:${range.start.line + 1}: ${message} (${path.join(".")})`);
}
process.exit(wrong.length === 0 ? 0 : 1);
