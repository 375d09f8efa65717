"""A WSGI service by wsgiref with a thread for each connection; see ../README.md."""

import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from answers import answer

DOWNSTREAM = sys.argv[3] if len(sys.argv) > 3 else ""


class Handler(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status, answered = answer(environ["PATH_INFO"], body, DOWNSTREAM)
    headers = [] if status in (204, 304) else [("Content-Length", str(len(answered)))]
    start_response(f"{status} Answer", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answered]


server = Threaded((sys.argv[1], int(sys.argv[2])), Handler)
server.set_app(application)
server.serve_forever()
