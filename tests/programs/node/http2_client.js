// A client by node:http2, by prior knowledge; see ../README.md.
'use strict';
const fs = require('node:fs');
const http2 = require('node:http2');
const [base, plan] = process.argv.slice(2);

function send(session, [, method, target, size]) {
  return new Promise((resolve, reject) => {
    const body = size === '-' ? undefined : Buffer.alloc(Number(size), 'b');
    const stream = session.request({ ':method': method, ':path': target }, { endStream: !body });
    let status;
    let received = 0;
    stream.on('response', (headers) => { status = headers[':status']; });
    stream.on('data', (chunk) => { received += chunk.length; });
    stream.on('end', () => resolve(`${target}\t${status}\t${received}`));
    stream.on('error', reject);
    if (body) stream.end(body);
  });
}

async function run(requests) {
  const session = http2.connect(base);
  for (const fields of requests) console.log(await send(session, fields));
  session.close();
}

const connections = new Map();
for (const line of fs.readFileSync(plan, 'ascii').trim().split('\n')) {
  const fields = line.split('\t');
  if (!connections.has(fields[0])) connections.set(fields[0], []);
  connections.get(fields[0]).push(fields);
}
Promise.all([...connections.values()].map(run)).catch((error) => {
  console.error(error);
  process.exit(1);
});
