"""A service by http.server; the first argument is `threads` or `forks`; see ../README.md."""

import http.server
import socketserver
import sys

from answers import answer

DOWNSTREAM = sys.argv[4] if len(sys.argv) > 4 else ""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def handle_any(self):
        status, body = answer(self.path, self.body(), DOWNSTREAM)
        self.send_response(status)
        if self.path.startswith("/chunked/"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 4096):
                part = body[at : at + 4096]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any


class Forking(socketserver.ForkingMixIn, http.server.HTTPServer):
    max_children = 64


class Threading(http.server.ThreadingHTTPServer):
    request_queue_size = 128


kind = {"threads": Threading, "forks": Forking}[sys.argv[1]]
kind((sys.argv[2], int(sys.argv[3])), Handler).serve_forever()
