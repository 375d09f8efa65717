#!/usr/bin/env python3
"""Prints the header lists as lines, for the generator in C."""

from fields import limit, lists
from output import text

for number, block in enumerate(lists()):
    if (size := limit(number)) is not None:
        print(f"limit {size}")
    for name, value in block:
        print(f"field {text(name.encode())}\t{text(value.encode())}")
    print("end")
