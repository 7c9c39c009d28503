"""Words of a mask, from the definition of ChaCha (Bernstein 2008) with 8 rounds: the constants of merge's mask test."""

import hashlib
import struct


def quarter(x, a, b, c, d):
    for target, source, other, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[target] = (x[target] + x[source]) & 0xFFFFFFFF
        mixed = x[other] ^ x[target]
        x[other] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF


def block(key, counter):
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key)]
    start += [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
    x = list(start)
    for _ in range(4):
        for columns in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(x, *columns)
        for diagonals in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(x, *diagonals)
    return [(a + b) & 0xFFFFFFFF for a, b in zip(x, start)]


def word(seed, model, tensor, element):
    texts = b"".join(struct.pack("<Q", len(text)) + text.encode() for text in (model, tensor))
    key = hashlib.sha256(struct.pack("<Q", seed) + texts).digest()
    return block(key, element // 16)[element % 16]


for element in (0, 1, 15, 16, 1000, 2**36 + 5):
    print(element, word(42, "models/a", "model.norm.weight", element))
