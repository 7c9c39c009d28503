"""Reads every table of a run folder with polars and with pandas, prints shapes, and stops where the two differ.

    pip install polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1
    python tests/reference/read_parquet.py results/<name>
"""

import json
import sys
from pathlib import Path

import pandas as pd
import polars as pl

FIXED = """trial name generation kind split rung docs outcome reason geometric_mean geometric_mean_low geometric_mean_high
objective objective_low objective_high companion items
seconds_per_item relative_time merge_seconds score_seconds peak_bytes flops_per_item weight_bytes recipe seed elapsed_seconds started_at""".split()
TIMES = """relative_time relative_time_low relative_time_high seconds_per_item seconds_per_item_low seconds_per_item_high
seconds_per_token seconds_per_token_low seconds_per_token_high load_seconds resident_bytes rounds""".split()
FRONT = ["trial", "name", "member"] + [
    f"objective_{split}{end}" for split in ("search", "selection", "holdout") for end in ("", "_low", "_high")
] + TIMES + ["flops_per_item", "weight_bytes", "recipe"]
ITEMS = "trial split rung task doc score chosen margin".split()


def same(path: Path) -> pl.DataFrame:
    """The file as polars reads it, once pandas has read the same."""
    a, b = pl.read_parquet(path), pd.read_parquet(path)
    assert a.shape == b.shape and a.columns == list(b.columns), path
    for column in a.columns:
        left = a[column].to_list()
        right = [None if pd.isna(x) else x for x in b[column]]
        # pandas turns whole numbers with gaps into floats
        assert all(x == y or (x is not None and float(x) == y) for x, y in zip(left, right, strict=True)), (path, column)
    print(f"{path}: {a.shape}")
    return a


def positions(text: str) -> list[int]:
    """The documents that a task's part of the column `docs` names: `0-2,7` are 0, 1, 2 and 7."""
    ends = [[int(end) for end in span.split("-")] for span in text.split(",") if span]
    return [doc for span in ends for doc in range(span[0], span[-1] + 1)]


def main(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    trials = pl.concat([same(path) for path in sorted(run.glob("trials/*.parquet"))])
    items = pl.concat([same(path) for path in sorted(run.glob("items/*.parquet"))])
    columns = FIXED + [f"accuracy.{task['name']}" for task in manifest["tasks"]]
    columns += [f"{metric}.{task['name']}" for task in manifest["tasks"] for metric in task["others"]]
    columns += [f"gene.{gene['name']}" for gene in manifest["genes"]]
    assert sorted(trials.columns) == sorted(columns), set(trials.columns) ^ set(columns)
    assert items.columns == ITEMS, items.columns

    parts = trials.filter(pl.col("docs").is_not_null() & (pl.col("outcome") == "feasible"))
    names = [task["name"] for task in manifest["tasks"]]
    for row in parts.select("trial", "split", "rung", "docs").iter_rows(named=True):
        own = items.filter(**{key: row[key] for key in ("trial", "split", "rung")})
        for name, text in zip(names, row["docs"].split(";"), strict=True):
            assert own.filter(task=name)["doc"].to_list() == positions(text), row

    scored = trials.filter(pl.col("outcome") == "feasible")
    assert scored["items"].sum() == items.height
    for task in (task["name"] for task in manifest["tasks"]):
        share = items.filter(task=task).group_by("trial", "split", "rung").agg(pl.col("score").mean())
        both = scored.join(share, on=["trial", "split", "rung"], validate="1:1")
        assert (both[f"accuracy.{task}"] - both["score"]).abs().max() < 1e-12, task

    assert pl.read_parquet(f"{run}/trials/*.parquet").shape == trials.shape
    began = trials.select(pl.from_epoch("started_at", time_unit="us")).to_series()
    print(f"trials {trials.shape}, items {items.shape}, {began.min()} to {began.max()}")
    if (run / "front.parquet").exists():
        front = same(run / "front.parquet")
        assert front.columns == FRONT, front.columns
        assert front["relative_time"].is_sorted()
        print(front.select("trial", "name", "member", "objective_selection", "relative_time"))
    if (run / "timings.parquet").exists():
        assert same(run / "timings.parquet").columns == ["trial"] + TIMES


if __name__ == "__main__":
    main(Path(sys.argv[1]))
