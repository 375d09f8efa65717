#!/usr/bin/env python3
"""Records the header blocks that an HTTP/2 client sends: `record.py NAME COMMAND...`.

The command gets the header lists as JSON on its input and a port as its last argument. It sends
one request after the other; before the answer to each the table's size limit is changed as the
lists say for the next one. What the blocks mean is what Python's hpack reads.
Needs `pip install h2`.
"""

import json
import socket
import subprocess
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
from hpack import Decoder

from fields import limit, lists
from output import write


def frames(data):
    """Type, flags, stream and payload of each whole frame, and what is left."""
    found = []
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        if len(data) < 9 + length:
            break
        found.append((data[3], data[4], data[9 : 9 + length]))
        data = data[9 + length :]
    return found, data


class Blocks:
    """Finds header blocks in what a client sends."""

    def __init__(self):
        self.rest = b""
        self.block = b""
        self.blocks = []

    def feed(self, data):
        found, self.rest = frames(self.rest + data)
        for kind, flags, payload in found:
            if kind == 1:
                padding = payload[0] if flags & 8 else 0
                start = (1 if flags & 8 else 0) + (5 if flags & 32 else 0)
                self.block = payload[start : len(payload) - padding]
            elif kind == 9:
                self.block += payload
            else:
                continue
            if flags & 4:
                self.blocks.append(self.block)


def begin(connection, client, blocks):
    """Begins HTTP/2, with prior knowledge or by an upgrade."""
    data = b""
    while len(data) < 24 or (b"PRI" not in data[:3] and b"\r\n\r\n" not in data):
        data += client.recv(65536)
    if data.startswith(b"PRI"):
        connection.initiate_connection()
        client.sendall(connection.data_to_send())
    else:
        head, data = data.split(b"\r\n\r\n", 1)
        settings = next(
            line.split(b":", 1)[1].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"http2-settings:")
        )
        client.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        connection.initiate_upgrade_connection(settings)
        answer(connection, 1, 0)
        client.sendall(connection.data_to_send())
        while len(data) < 24:
            data += client.recv(65536)
    blocks.feed(data[24:])
    return data


def answer(connection, stream, number):
    """Answers a request, and changes the limit for the one that follows."""
    if (size := limit(number + 1)) is not None:
        connection.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: size})
    connection.send_headers(stream, [(":status", "204")], end_stream=True)


def serve(listener):
    """Serves one connection; gives the header blocks that the client sent."""
    client, _ = listener.accept()
    config = h2.config.H2Configuration(client_side=False, header_encoding=None)
    connection = h2.connection.H2Connection(config=config)
    blocks = Blocks()
    data = begin(connection, client, blocks)
    while data:
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                answer(connection, event.stream_id, len(blocks.blocks) - 1)
        client.sendall(connection.data_to_send())
        try:
            data = client.recv(65536)
        except ConnectionError:
            break
        blocks.feed(data)
    return blocks.blocks


def main():
    name, *command = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0))
    port = str(listener.getsockname()[1])
    given = json.dumps([block for block in lists()])
    client = subprocess.Popen([*command, port], stdin=subprocess.PIPE, text=True)
    client.stdin.write(given)
    client.stdin.close()
    blocks = serve(listener)
    if client.wait() != 0:
        sys.exit("the client failed")
    decoder = Decoder()
    decoder.max_allowed_table_size = 1 << 20
    write(name, [(block, decoder.decode(block, raw=True)) for block in blocks])


main()
