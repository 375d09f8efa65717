"""Moves given bytes over one TCP connection on loopback, by given calls.

Arguments: a file with what the client sends, one with what the server sends. Standard input has
one step a line, as JSON: {"way": 0 or 1, "write": [[bytes of each part], ...], "read": [[bytes of
each part], ...]}, or "sendfile": bytes in place of "write". Way 0 is from the client to the server. A step makes the writes, then repeats the
reads in turn until all has arrived. A line "pause" is answered by "paused". The connection is made by the first step.
"""

import json
import os
import socket
import sys


def connect():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return [(client, server), (server, client)]


def main():
    streams = [open(path, "rb").read() for path in sys.argv[1:3]]
    sent = [0, 0]
    ends = []
    for line in sys.stdin:
        if line.strip() == "pause":
            print("paused", flush=True)
            continue
        ends = ends or connect()
        step = json.loads(line)
        way = step["way"]
        source, target = ends[way]
        total = 0
        if "sendfile" in step:
            with open(sys.argv[1 + way], "rb") as file:
                total = os.sendfile(source.fileno(), file.fileno(), sent[way], step["sendfile"])
            if total != step["sendfile"]:
                raise SystemExit(f"only {total} bytes of the file were sent")
            sent[way] += total
        for sizes in step.get("write", []):
            parts = []
            for size in sizes:
                parts.append(streams[way][sent[way] : sent[way] + size])
                sent[way] += size
            moved = os.writev(source.fileno(), parts)
            if moved != sum(sizes):
                raise SystemExit(f"only {moved} of {sizes} were sent")
            total += moved
        number = 0
        while total > 0:
            sizes = step["read"][number % len(step["read"])]
            number += 1
            buffers = [bytearray(size) for size in sizes]
            moved = os.readv(target.fileno(), buffers)
            if moved == 0:
                raise SystemExit("the connection ended")
            total -= moved


main()
