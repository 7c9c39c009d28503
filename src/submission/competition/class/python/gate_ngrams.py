def fnv1a(data):
    """64-bit FNV-1a."""
    hash = 0xCBF29CE484222325
    for byte in data:
        hash = (hash ^ byte) * 0x100000001B3 % 2**64
    return hash


def features(text, choices):
    """Words, pairs of words and three-byte windows, hashed and counted: ln(1 + count), of length 1."""
    text = text.encode().lower()
    words = re.findall(rb"[a-z0-9\x80-\xff]+", text)
    grams = [b"w" + word for word in words]
    grams += [b"b" + a + b" " + b for a, b in zip(words, words[1:])]
    grams += [b"c" + text[i : i + 3] for i in range(len(text) - 2)]
    counts = numpy.zeros(RECIPE["router"]["gate"]["features"]["ngrams"]["buckets"])
    for gram in grams:
        hash = fnv1a(gram)
        counts[(hash ^ hash >> 32) % len(counts)] += 1
    x = numpy.log1p(counts)
    return x / (numpy.linalg.norm(x) or 1.0)
