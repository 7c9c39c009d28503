import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy


def rotated(x, bits):
    return (x << bits) | (x >> (32 - bits))


def quarter_rounds(a, b, c, d):
    for first, second in ((16, 12), (8, 7)):
        a = a + b
        d = rotated(d ^ a, first)
        c = c + d
        b = rotated(b ^ c, second)
    return a, b, c, d


def chacha8(key, first, count):
    """Words of `count` blocks of ChaCha with 8 rounds (RFC 8439, but the counter of 64 bits and no nonce)."""
    counter = numpy.arange(first, first + count, dtype=numpy.uint64)
    start = numpy.zeros((16, count), numpy.uint32)
    start[:12] = numpy.frombuffer(b"expand 32-byte k" + key, "<u4")[:, None]
    start[12], start[13] = counter & numpy.uint64(0xFFFFFFFF), counter >> numpy.uint64(32)
    a, b, c, d = start[:4], start[4:8], start[8:12], start[12:]
    for _ in range(4):
        a, b, c, d = quarter_rounds(a, b, c, d)
        b, c, d = (numpy.roll(x, -turn, axis=0) for x, turn in ((b, 1), (c, 2), (d, 3)))
        a, b, c, d = quarter_rounds(a, b, c, d)
        b, c, d = (numpy.roll(x, turn, axis=0) for x, turn in ((b, 1), (c, 2), (d, 3)))
    return (numpy.concatenate((a, b, c, d)) + start).T.ravel()


def random_mask(group, name, number, thresholds):
    """For each element whether its random word is below its threshold."""
    model = RECIPE["models"][group["inputs"][number]]["digest"]
    key = hashlib.sha256(group["seed"].to_bytes(8, "little"))
    for text in (model.encode(), name.encode()):
        key.update(len(text).to_bytes(8, "little") + text)
    mask = numpy.empty(thresholds.shape, bool)

    def draw(start):
        part = slice(start, min(start + (1 << 18), mask.size))
        words = chacha8(key.digest(), start // 16, -(-(part.stop - start) // 16))
        mask[part] = words[: part.stop - start] < thresholds[part]

    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(0, mask.size, 1 << 18)))
    return mask


def threshold(probability):
    """Its share of 2^32, rounded half up; the largest word is never kept."""
    share = probability * 2.0**32
    whole = numpy.floor(share)
    return numpy.minimum(whole + (share - whole >= 0.5), 2.0**32 - 1).astype(numpy.uint32)
