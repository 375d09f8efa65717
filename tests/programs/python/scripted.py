"""HTTP/1.1 to the byte: a service that sends exactly what it is told; see ../README.md.

`HOST PORT`. The path says what is sent, and when. Every connection has its own thread.
"""

import socket
import struct
import sys
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def head(stream):
    """Path and headers of the next request."""
    first = stream.readline()
    if not first:
        return None, {}
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return first.split()[1].decode(), headers


def serve(connection):
    stream = connection.makefile("rb")
    while True:
        path, headers = head(stream)
        if path is None:
            return
        kind = path.split("?")[0].strip("/")
        length = int(headers.get(b"content-length", 0))
        if kind == "early":
            # The whole answer before the body.
            connection.sendall(OK)
            stream.read(length)
            continue
        if kind == "hints":
            for _ in range(2):
                connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        if headers.get(b"expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        stream.read(length)
        if kind == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            break
        if kind == "close":
            break
        if kind == "half":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            break
        if kind == "until-close":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(10):
                connection.sendall(b"x" * 1000)
            break
        if kind == "reasonless":
            connection.sendall(b"HTTP/1.1 299\nContent-Length: 2\n\nok")
            continue
        connection.sendall(OK)
    stream.close()
    connection.close()


listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
