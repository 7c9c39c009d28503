"""Document gates by numpy: n-grams, nearest centroids and ridge regressions, written into gates.json.

    pip install numpy==2.4.6
    python tests/reference/routing/gates.py

Reads the prompts of three quickstart tasks' search splits. `ngrams` and the decisions are what a loader of an exported router
has to do; they follow the documentation of src/engine/evaluate/routing/text.rs, not its code.
"""

import json
import re
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[3]
TASKS = ["arithmetic", "logic", "strings"]
DOCS, BUCKETS, PENALTY = 40, 24, 0.1


def fnv1a(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def ngrams(prompt: str, buckets: int) -> np.ndarray:
    text = prompt.encode().lower()
    words = re.findall(rb"[a-z0-9\x80-\xff]+", text)
    grams = [b"w" + word for word in words]
    grams += [b"b" + a + b" " + b for a, b in zip(words, words[1:])]
    grams += [b"c" + text[i : i + 3] for i in range(len(text) - 2)]
    counts = np.zeros(buckets)
    for gram in grams:
        h = fnv1a(gram)
        counts[(h ^ h >> 32) % buckets] += 1
    x = np.log1p(counts)
    return x / (np.linalg.norm(x) or 1.0)


def ridge(x: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    deviation = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(deviation > 0, deviation, np.inf)
    y = (labels[:, None] == np.arange(classes)).astype(float)
    gram = z.T @ z + PENALTY * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, z.T @ (y - y.mean(axis=0)))
    weights = weights / np.where(deviation > 0, deviation, np.inf)[:, None]
    return weights.T, y.mean(axis=0) - x.mean(axis=0) @ weights


def main() -> None:
    prompts, labels = [], []
    for label, task in enumerate(TASKS):
        lines = (REPOSITORY / "datasets" / task / "search.jsonl").read_text().splitlines()[:DOCS]
        rows = [json.loads(line) for line in lines]
        prompts += [row["question"] for row in rows]
        labels += [label] * len(rows)
    odd = ["", "  ", "É Ünï", "It's 3 + 4 = 7?", "a\nb\tc", "数を数える", "ÀB"]
    x, labels = np.array([ngrams(prompt, BUCKETS) for prompt in prompts]), np.array(labels)
    means = np.array([x[labels == task].mean(axis=0) for task in range(len(TASKS))])
    weights, bias = ridge(x, labels, len(TASKS))
    nearest = ((x[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    greatest = (x @ weights.T + bias).argmax(axis=1)
    result = {
        "buckets": BUCKETS,
        "prompts": prompts,
        "labels": labels.tolist(),
        "odd": [{"prompt": text, "ngrams": ngrams(text, BUCKETS).round(12).tolist()} for text in odd],
        "means": means.round(12).tolist(),
        "nearest": nearest.tolist(),
        "weights": weights.round(9).tolist(),
        "bias": bias.round(9).tolist(),
        "greatest": greatest.tolist(),
    }
    out = Path(__file__).with_name("gates.json")
    out.write_text(json.dumps(result, ensure_ascii=False, indent=None) + "\n")


if __name__ == "__main__":
    main()
