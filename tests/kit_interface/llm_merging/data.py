"""Rows as the two generations of the kit read them."""

import json

import pandas as pd


class CsvRows:
    """HEAD: pandas decides what a cell is; rows without choices lack the key."""

    def __init__(self, path):
        self.rows = pd.read_csv(path).to_dict("records")
        for row in self.rows:
            choices = row["answer_choices"]
            if not choices or choices != choices:
                row.pop("answer_choices")

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class JsonRows(CsvRows):
    """Entry points: a JSON object on each line, choices as a list, no `eval_type`."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as lines:
            self.rows = [json.loads(line) for line in lines]


def batches(rows, size=1):
    """A list for each key; rows that lack a key leave no gap in its list."""
    for start in range(0, len(rows), size):
        batch = {}
        for index in range(start, min(start + size, len(rows))):
            for key, value in rows[index].items():
                batch.setdefault(key, []).append(value)
        yield batch


def unbatched(batch):
    """One dictionary per row, by zipping the values: a text is zipped letter by letter."""
    return [dict(zip(batch, values)) for values in zip(*batch.values())]
