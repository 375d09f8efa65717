"""A WebSocket client by websockets: BASE PATH COUNT SIZE END; see ../README.md.

It sends COUNT messages of SIZE bytes, waits for each one's echo, and then closes (END `close`) or
resets the connection (END `reset`). It prints how many messages and bytes it sent and received.
"""

import asyncio
import socket
import struct
import sys

import websockets

base, path, count, size, end = sys.argv[1:]


async def main():
    received = received_bytes = 0
    url = base.replace("http://", "ws://") + path
    async with websockets.connect(url, compression=None, max_size=None) as connection:
        for number in range(int(count)):
            message = b"m" * int(size)
            await connection.send(message if number % 2 else message.decode())
            answer = await connection.recv()
            received += 1
            received_bytes += len(answer)
        print(f"{count}\t{int(count) * int(size)}\t{received}\t{received_bytes}", flush=True)
        if end == "reset":
            peer = connection.transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.transport.abort()


asyncio.run(main())
