"""The header lists that every generator encodes, so that their outputs can be compared.

Requests and responses of a gRPC service, of a browser and of an API: names and values that come
again, that change every time, that are long, empty, not ASCII, and never to be indexed.
"""

BROWSER = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate"),
]


def lists():
    """One header list a block."""
    blocks = []
    for number in range(60):
        path = "/shop.v1.Basket/Add" if number % 3 else f"/items/{number * 7919}?page={number}"
        block = [
            (":method", "POST" if number % 3 else "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "shop.example:8080"),
        ]
        if number % 3 == 0:
            block += BROWSER
            block.append(("cookie", f"session={'%08x' % (number * 2654435761 % 2**32)}"))
        else:
            block += [
                ("content-type", "application/grpc+proto"),
                ("te", "trailers"),
                ("grpc-timeout", f"{1000 - number}m"),
                ("user-agent", "grpc-test/1.0"),
            ]
        trace = f"00-{number + 1:032x}-{number * 31 + 1:016x}-01"
        block.append(("traceparent", trace))
        if number % 5 == 0:
            block.append(("x-empty", ""))
            block.append(("x-text", "grün ✓"))
        if number % 11 == 0:
            block.append(("x-long", "long value, " * number + "end"))
        if number % 7 == 0:
            block.append(("authorization", f"Bearer {number}"))
        blocks.append(block)
    return blocks


def limit(number):
    """The table's size limit from this block on, where it changes there."""
    return {10: 256, 20: 0, 25: 4096, 35: 65536, 45: 1024, 50: 60}.get(number)
