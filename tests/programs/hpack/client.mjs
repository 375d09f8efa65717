// Sends the header lists that it reads as JSON as requests, one after the other.
import http2 from "node:http2";
import { readFileSync } from "node:fs";

const latin = (text) => Buffer.from(text, "utf8").toString("latin1");
const session = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
for (const list of JSON.parse(readFileSync(0, "utf8"))) {
  const headers = {};
  for (const [name, value] of list) headers[name] = latin(value);
  headers[http2.sensitiveHeaders] = ["authorization"];
  await new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: true });
    stream.on("close", resolve);
    stream.on("error", reject);
    stream.resume();
  });
}
session.close();
