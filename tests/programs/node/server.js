// A service by node:http, or with HTTP2 set by node:http2; see ../README.md.
'use strict';
const http = require('node:http');
const http2 = require('node:http2');
const [host, port, downstream] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });

function call(id, response) {
  http.get(`${downstream}/bytes/3?id=${id}`, { agent }, (answer) => {
    answer.resume().on('end', () => response.end('done'));
  }).on('error', (error) => {
    response.statusCode = 502;
    response.end(error.message);
  });
}

function chunked(size, response) {
  for (let left = size; left > 0; left -= 4096) {
    response.write('c'.repeat(Math.min(left, 4096)));
  }
  response.end();
}

const create = process.env.HTTP2 ? http2.createServer : http.createServer;
const server = create((request, response) => {
  const [, kind, text] = new URL(request.url, 'http://localhost').pathname.split('/');
  const number = Number(text);
  let received = 0;
  request.on('data', (chunk) => { received += chunk.length; });
  request.on('end', () => {
    switch (kind) {
      case 'bytes':
        response.setHeader('Content-Length', number);
        response.end(request.method === 'HEAD' ? undefined : 'x'.repeat(number));
        break;
      case 'chunked': chunked(number, response); break;
      case 'status': response.statusCode = number; response.end(); break;
      case 'sleep': setTimeout(() => response.end('slept'), number + 1); break;
      case 'echo': response.end(String(received)); break;
      case 'call': call(number, response); break;
      default: response.statusCode = 404; response.end();
    }
  });
});
server.keepAliveTimeout = 60000;
server.listen({ host, port: Number(port) });
