"""What every Python service answers; see ../README.md."""

import http.client
import threading
import time
import urllib.parse

own = threading.local()


def call(downstream, number):
    """GET by the calling thread's own connection, which it keeps."""
    if not hasattr(own, "connection"):
        own.connection = http.client.HTTPConnection(urllib.parse.urlsplit(downstream).netloc)
    own.connection.request("GET", f"/bytes/3?id={number}")
    own.connection.getresponse().read()


def answer(target, body, downstream):
    """Status and body of the answer to `target`."""
    parts = urllib.parse.urlsplit(target).path.split("/")
    number = int(parts[2]) if len(parts) > 2 else 0
    if parts[1] in ("bytes", "chunked"):
        return 200, b"x" * number
    if parts[1] == "status":
        return number, b""
    if parts[1] == "sleep":
        time.sleep(number / 1000)
        return 200, b"slept"
    if parts[1] == "echo":
        return 200, str(len(body)).encode()
    if parts[1] == "call":
        call(downstream, number)
        return 200, b"done"
    return 404, b""
