"""A service by hypercorn: HTTP/1.1, HTTP/2 by prior knowledge or upgrade; see ../README.md."""

import asyncio
import struct
import sys

from answers import answer
from hypercorn.asyncio import serve
from hypercorn.config import Config

DOWNSTREAM = sys.argv[3] if len(sys.argv) > 3 else ""


async def whole_body(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def respond(send, status, headers, *parts):
    headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def events(send, count):
    """Server-sent events, one a second."""
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(count):
        await asyncio.sleep(1)
        event = b"data: %03d\n\n" % number
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def envelope(flags, message):
    """The framing that gRPC, gRPC-Web and Connect have in common."""
    return struct.pack(">BI", flags, len(message)) + message


def messages(body):
    while body:
        _, length = struct.unpack_from(">BI", body)
        yield body[5 : 5 + length]
        body = body[5 + length :]


async def call(path, content_type, body, send):
    """gRPC-Web and Connect: each message is answered by one like it; `Fail` is not found."""
    failing = path.endswith("/Fail")
    headers = {"content-type": content_type}
    if content_type.startswith("application/grpc-web"):
        status = b"grpc-status: 5\r\ngrpc-message: not%20here\r\n" if failing else b"grpc-status: 0\r\n"
        echo = [] if failing else [envelope(0, message) for message in messages(body)]
        await respond(send, 200, headers, *echo, envelope(0x80, status))
    elif content_type.startswith("application/connect+"):
        end = b'{"error":{"code":"not_found"}}' if failing else b"{}"
        echo = [] if failing else [envelope(0, message) for message in messages(body)]
        await respond(send, 200, headers, *echo, envelope(2, end))
    elif failing:
        error = b'{"code":"not_found","message":"not here"}'
        await respond(send, 404, {"content-type": "application/json"}, error)
    else:
        await respond(send, 200, headers, body)


async def echo_websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        data = {key: message[key] for key in ("bytes", "text") if message.get(key) is not None}
        await send({"type": "websocket.send", **data})


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await echo_websocket(receive, send)
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path.startswith("/events/"):
        await events(send, int(path.split("/")[2]))
        return
    body = await whole_body(receive)
    if path.startswith("/programs.Streams/"):
        content_type = dict(scope["headers"])[b"content-type"].decode()
        await call(path, content_type, body, send)
        return
    status, answered = await asyncio.to_thread(answer, path, body, DOWNSTREAM)
    headers = {} if status in (204, 304) else {"content-length": str(len(answered))}
    if path.startswith("/chunked/"):
        headers = {}
    await respond(send, status, headers, *([] if scope["method"] == "HEAD" else [answered]))


config = Config()
config.bind = [f"{sys.argv[1]}:{sys.argv[2]}"]
config.loglevel = "ERROR"
config.keep_alive_timeout = 60
asyncio.run(serve(application, config))
