#!/usr/bin/env python3
"""Encodes the header lists with Python's hpack. Needs `pip install hpack`."""

import hpack

from fields import limit, lists
from output import write

encoder = hpack.Encoder()
sequence = []
for number, block in enumerate(lists()):
    if (size := limit(number)) is not None:
        encoder.header_table_size = size
    fields = [
        hpack.NeverIndexedHeaderTuple(name.encode(), value.encode())
        if name == "authorization"
        else (name.encode(), value.encode())
        for name, value in block
    ]
    wire = encoder.encode(fields, huffman=number % 4 != 3)
    sequence.append((wire, [(name.encode(), value.encode()) for name, value in block]))
write(f"Python hpack {hpack.__version__}", sequence)
