"""Makes the parquet files that tests/sources.rs reads, and what pyarrow reads back from them.

    pip install pyarrow==26.0.1
    python make.py

The content is made up here. `rows.json` holds `to_pylist()` of each file, so that the expectation is pyarrow's.
"""

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent


def everything() -> pa.Table:
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    return pa.table(
        {
            "question": pa.array(["Wie heißt das?", "", None, 'a "b",\nc']),
            "answer": pa.array([0, 3, None, -9007199254740993], pa.int64()),
            "small": pa.array([1, -2, 3, None], pa.int32()),
            "huge": pa.array([18446744073709551615, 0, 1, None], pa.uint64()),
            "share": pa.array([0.1, None, -1e300, 2.5], pa.float64()),
            "single": pa.array([0.1, 1.5, None, -2.0], pa.float32()),
            "right": pa.array([True, False, None, True]),
            "choices": pa.array([["a", "b"], [], None, ["ö", None]], pa.list_(pa.string())),
            "targets": pa.array(
                [
                    {"choices": ["yes", "no"], "labels": [1, 0]},
                    {"choices": [], "labels": None},
                    None,
                    {"choices": None, "labels": [0]},
                ],
                pa.struct([("choices", pa.list_(pa.string())), ("labels", pa.list_(pa.int64()))]),
            ),
            "dialogue": pa.array(
                [
                    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
                    [],
                    None,
                    [{"role": "user", "content": None}, None],
                ],
                pa.list_(message),
            ),
            "nested": pa.array([[[1], [2, 3]], [[]], None, [None]], pa.list_(pa.list_(pa.int64()))),
            "bytes": pa.array([b"text", "ü".encode(), None, b""], pa.binary()),
            "nothing": pa.nulls(4),
        }
    )


def readable(value):
    """JSON's form: bytes as text, the nearest double of a float as it is."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    return value


def main() -> None:
    table = everything()
    files = {}
    for compression in ["none", "snappy", "zstd"]:
        name = f"everything-{compression}.parquet"
        pq.write_table(table, HERE / name, compression=compression, row_group_size=3)
        files[name] = table
    files["nonfinite.parquet"] = pa.table({"x": [float("nan"), float("inf"), -float("inf"), 1.0]})
    # Two chunks of lists, as the hub's converter writes large ones.
    files["many.parquet"] = pa.table(
        {
            "id": pa.array(range(300), pa.int64()),
            "subject": pa.array([f"subject {i % 3}" for i in range(300)]).dictionary_encode().cast(pa.string()),
            "choices": pa.array([[str(i), str(i + 1)] for i in range(300)]),
        }
    )
    pq.write_table(files["nonfinite.parquet"], HERE / "nonfinite.parquet")
    pq.write_table(files["many.parquet"], HERE / "many.parquet", row_group_size=100)
    for name, column in {
        "timestamp": pa.array([0], pa.timestamp("us")),
        "date": pa.array([0], pa.date32()),
        "decimal": pa.array([1], pa.decimal128(9, 2)),
        "dictionary": pa.array(["a"]).dictionary_encode(),
        "byte": pa.array([1], pa.int8()),
        "latin": pa.array([b"\xff"], pa.binary()),
        "fixed": pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
        "inner": pa.array([[{"when": 0}]], pa.list_(pa.struct([("when", pa.timestamp("us"))]))),
    }.items():
        pq.write_table(pa.table({"text": ["a"], "odd": column}), HERE / f"unreadable-{name}.parquet")
    pq.write_table(everything().slice(0, 0), HERE / "empty.parquet")
    rows = {name: readable(table.to_pylist()) for name, table in files.items()}
    lines = [f"{json.dumps(name)}:{json.dumps(rows[name], ensure_ascii=False)}" for name in rows]
    (HERE / "rows.json").write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
