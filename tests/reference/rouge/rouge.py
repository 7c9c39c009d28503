"""ROUGE by the package rouge_score, without stemmer.

    python -m pip install -r requirements.txt
    python rouge.py DATASETS > rouge.json
    python rouge.py --pairs FILE --prediction FIELD --reference FIELD [--first-lines N] > pairs.json

Writes one JSON list of `{prediction, reference, rouge1, rouge2, rougeL, rougeLsum}` (F measures).

DATASETS holds `user_oriented_instructions.jsonl` (github.com/yizhongw/self-instruct) and `oasst_seed_dialogues.jsonl`
(github.com/LAION-AI/Open-Assistant), both Apache-2.0, with one `{input, target}` a line. The pairs are an answer against
another answer to the same question, against its question, and against its own first sentences one a line; then the nasty
cases below.

With --pairs, the pairs are two columns of a CSV file or of a JSON-lines file, of which --first-lines N cuts the prediction to
its first N lines. The test `rouge_of_any_pairs` reads the result from the environment's ROUGE_PAIRS.
"""

import argparse
import csv
import importlib.metadata
import json
import pathlib
import random
import re
import sys

from rouge_score.rouge_scorer import RougeScorer

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
LONGEST = 700  # characters of a text in rouge.json

NASTY = [
    ("", ""), ("", "a"), ("a", ""), ("...", "!!!"), ("\n\n\n", "a\nb"), ("a", "a"), ("a\n\nb", "b\n\na"), (" \n ", "a"),
    ("the the the the", "the"), ("the", "the the the the"), ("a a b b", "b b a a"), ("a b c d\ne f g h", "e f g h\na b c d"),
    ("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5"), ("police killed the gunman", "the gunman kill police"),
    ("a b a b a b", "b a b a b a"), ("x a x b x c", "a\nb\nc"), ("a b c\na b c\na b c", "a b c"), ("a b c", "a b c\na b c\na b c"),
    ("naïve café", "naive cafe"), ("na\u00efve", "nai\u0308ve"), ("\u212a \u0130", "k i"), ("STRASSE", "straße"), ("ΑΣ Σ", "ας σ"),
    ("東京 is 2020 オリンピック", "東京 was 2020"), ("한국어 text", "text 한국어"), ("１２３ 123", "123"), ("²³ x2", "x2 23"),
    ("don't can't", "don t can t"), ("e-mail e_mail", "e mail"), ("3.14 and 1,000", "3 14 and 1000"), ("a\r\nb\rc", "a\nb\nc"),
    ("a\u2028b\u0085c\u000bd", "a b c d"), ("a\x00b", "a b"), ("ſ ﬁ ǆ Ǆ", "s fi dz"), ("A" * 300, "a" * 300), ("a", "b"),
    ("\u200ba\u200b", "a"), ("🙂 ok 🙂", "ok"), ("i\u0307", "\u0130"),
]


def sentences(text):
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if sentence]


def real_pairs(datasets):
    read = lambda name: [json.loads(line) for line in (datasets / name).read_text(encoding="utf-8").splitlines()]
    answers = read("oasst_seed_dialogues.jsonl")
    for earlier, later in zip(answers, answers[1:]):
        if earlier["input"] == later["input"]:
            yield earlier["target"], later["target"]
    tasks = [task for task in read("user_oriented_instructions.jsonl") + answers if len(task["target"]) > 150]
    for task in tasks[:220]:
        parts = sentences(task["target"])
        yield task["input"][-LONGEST:], task["target"]
        if len(parts) > 2:
            yield "\n".join(parts[:2] + parts[-1:]), "\n".join(parts[1:])
            yield "\n".join(reversed(parts)), task["target"]


def shuffled_letters():
    """Few different words on several lines, where the subsequence found decides the union."""
    draw = random.Random(5)
    text = lambda: "\n".join(" ".join(draw.choices("abcd", k=draw.randint(1, 9))) for _ in range(draw.randint(1, 4)))
    return [(text(), text()) for _ in range(80)]


def column_pairs(arguments):
    with open(arguments.pairs, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file)) if arguments.pairs.endswith(".csv") else [json.loads(line) for line in file]
    for row in rows:
        prediction = row[arguments.prediction]
        if arguments.first_lines:
            prediction = "\n".join(prediction.split("\n")[:arguments.first_lines])
        yield prediction, row[arguments.reference]


def scored(pairs):
    scorer = RougeScorer(TYPES, use_stemmer=False)
    for prediction, reference in pairs:
        scores = scorer.score(reference, prediction)
        yield {"prediction": prediction, "reference": reference, **{name: float(scores[name].fmeasure) for name in TYPES}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="?", type=pathlib.Path)
    parser.add_argument("--pairs")
    parser.add_argument("--prediction")
    parser.add_argument("--reference")
    parser.add_argument("--first-lines", type=int)
    arguments = parser.parse_args()
    assert importlib.metadata.version("rouge_score") == "0.1.2"
    if arguments.pairs:
        pairs = column_pairs(arguments)
    else:
        real = [(a[:LONGEST], b[:LONGEST]) for a, b in real_pairs(arguments.datasets)]
        pairs = random.Random(1).sample(real, 240) + NASTY + shuffled_letters()
    lines = ",\n".join(json.dumps(pair, ensure_ascii=False) for pair in scored(pairs))
    sys.stdout.write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
