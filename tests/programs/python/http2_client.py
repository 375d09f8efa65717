"""A client by httpx, HTTP/2 by prior knowledge; see ../README.md."""

import asyncio
import collections
import sys

import httpx

connections = collections.defaultdict(list)
with open(sys.argv[2], encoding="ascii") as plan:
    for line in plan:
        fields = line.rstrip("\n").split("\t")
        connections[fields[0]].append(fields)


async def run(plan):
    async with httpx.AsyncClient(http1=False, http2=True, timeout=60) as client:
        for _, method, target, size, _ in plan:
            content = None if size == "-" else b"b" * int(size)
            answer = await client.request(method, sys.argv[1] + target, content=content)
            print(f"{target}\t{answer.status_code}\t{len(answer.content)}\n", end="", flush=True)


async def main():
    await asyncio.gather(*(run(plan) for plan in connections.values()))


asyncio.run(main())
