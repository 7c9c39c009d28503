"""The buckets of T5's relative position bias, asked of transformers.

    pip install torch==2.15.0 transformers==5.23.0 && python relative_buckets.py

Writes relative_buckets.json beside itself: for each setting the distances (key position - query position) at which the
bucket changes, from -FARTHEST to FARTHEST, as [first distance, bucket].
"""

import importlib.metadata
import itertools
import json
import pathlib

import torch
from transformers.models.t5.modeling_t5 import T5Attention

assert importlib.metadata.version("transformers") == "5.23.0"
FARTHEST = 1500
SETTINGS = [(32, 128, True), (32, 128, False), (8, 20, True), (12, 50, False), (64, 1000, True)]

distances = torch.arange(-FARTHEST, FARTHEST + 1)
settings = []
for buckets, max_distance, bidirectional in SETTINGS:
    rows = T5Attention._relative_position_bucket(distances, bidirectional, buckets, max_distance)
    runs = itertools.groupby(zip(distances.tolist(), rows.tolist()), key=lambda pair: pair[1])
    settings.append({
        "buckets": buckets,
        "max_distance": max_distance,
        "bidirectional": bidirectional,
        "runs": [next(run) for _, run in runs],
    })
lines = ",\n".join(json.dumps(setting) for setting in settings)
text = f'{{"farthest": {FARTHEST}, "settings": [\n{lines}\n]}}\n'
pathlib.Path(__file__).with_name("relative_buckets.json").write_text(text)
