"""Writes nasty CSV texts and what Python's csv module reads of them, for tests/sources.rs.

    python make.py       (Python 3.11; the standard library only)

Each case has the text, the rows, and the line on which each row begins, which is counted here by joining the physical lines
(`splitlines` at \\n, \\r\\n and \\r) that csv.reader consumed.
"""

import csv
import io
import json
import random
from pathlib import Path

HERE = Path(__file__).parent


def consumed(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Every record with the number of its first line."""
    lines = io.StringIO(text, newline="").readlines()  # "" keeps \r\n; \r alone is told apart below
    pieces = [piece for line in lines for piece in line.splitlines(keepends=True)]
    counter = iter(pieces)
    taken = 0

    def feed():
        nonlocal taken
        for piece in counter:
            taken += 1
            yield piece

    found, before = [], 0
    for record in csv.reader(feed(), delimiter=delimiter):
        if record:
            found.append((before + 1, record))
        before = taken
    return found


def text_of(rows, **options) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **options).writerows(rows)
    return out.getvalue()


def main() -> None:
    generator = random.Random(7)
    header = ["id", "text", "ö,ü"]
    parts = ["a", "b c", '"', '""', ",", "\n", "\r\n", "", " ", "'", "é", "\t", ";", "\\", "None"]
    cases = []
    for number in range(60):
        rows = [header] + [
            ["".join(generator.choices(parts, k=generator.randint(0, 5))) for _ in header]
            for _ in range(generator.randint(1, 5))
        ]
        delimiter = "\t" if number % 5 == 4 else ","
        end = ["\n", "\r\n"][number % 2]
        quoting = csv.QUOTE_ALL if number % 3 else csv.QUOTE_MINIMAL
        text = text_of(rows, delimiter=delimiter, lineterminator=end, quoting=quoting)
        if number % 7 == 3:
            text = end + text.replace(end, end + end, 1) + end  # blank lines
        if number % 7 == 5:
            text = text.removesuffix(end)
        cases.append({"delimiter": delimiter, "text": text})
    cases.append({"delimiter": ",", "text": 'a,b\n1,5" pipe\n2,x"y"\n3,"q" tail\n'})
    cases.append({"delimiter": ",", "text": "a,b\r1,2\r3,4\r"})
    for case in cases:
        records = consumed(case["text"], case["delimiter"])
        case["header"] = records[0][1]
        case["rows"] = [{"line": line, "values": values} for line, values in records[1:]]
    text = json.dumps(cases, ensure_ascii=True, separators=(",", ":"))
    (HERE / "cases.json").write_text(text.replace('},{"delimiter"', '},\n{"delimiter"') + "\n")


if __name__ == "__main__":
    main()
