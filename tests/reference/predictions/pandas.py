"""What pandas writes for predictions: pandas.csv from texts.json, and checks that it reads the same back.

Run with pandas 2.2.1 on Python 3.11 (pandas 3.1.1 writes the same bytes):

    python tests/reference/predictions/pandas.py
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
# This file's own folder would be taken for the package.
sys.path = [entry for entry in sys.path if entry and Path(entry).resolve() != HERE]

import pandas  # noqa: E402

TEXTS = [
    "0",
    "3",
    "12",
    "",
    "plain",
    " leading and trailing ",
    "a,b",
    'a "quoted" word',
    '"',
    "two\nlines",
    "\n",
    "a\r\nb",
    "tab\there",
    "it's",
    "#comment",
    "a;b|c",
    "back\\slash",
    "Zoë, naïve \u2014 \u65e5\u672c\u8a9e \U0001f600",
    "line\u2028separator",
    "None",
    "NaN",
    "1.5",
    "=1+1",
]


def frame(texts):
    ids = list(range(len(texts)))
    return pandas.DataFrame({"id": ids, "prediction": texts, "dummy_field": 0})


def main():
    print(pandas.__version__, sys.version)
    written = HERE / "pandas.csv"
    frame(TEXTS).to_csv(written, index=False)
    again = pandas.read_csv(written, keep_default_na=False, dtype={"prediction": str})
    assert again["prediction"].tolist() == TEXTS
    (HERE / "texts.json").write_text(json.dumps(TEXTS, indent=1) + "\n")
    alone = HERE / "alone.csv"
    frame(["a\rb"]).to_csv(alone, index=False)
    # What `write` does otherwise, and why.
    assert alone.read_bytes() == b"id,prediction,dummy_field\n0,a\rb,0\n"
    assert len(pandas.read_csv(alone)) == 2
    alone.unlink()


if __name__ == "__main__":
    main()
