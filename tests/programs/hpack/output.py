"""The form of the test data: text, one block after the other.

    # the encoder
    block HEX
    NAME<tab>VALUE      one line a field, with \\xNN for octets that are not printable ASCII
"""


def text(octets):
    """Octets as text that has no tab and no line end."""
    return "".join(chr(o) if 32 <= o < 127 and o != 92 else f"\\x{o:02x}" for o in octets)


def write(encoder, sequence):
    """Prints a sequence of blocks, each its bytes and its fields."""
    print(f"# {encoder}")
    for wire, fields in sequence:
        print(f"block {wire.hex()}")
        for name, value in fields:
            print(f"{text(name)}\t{text(value)}")
