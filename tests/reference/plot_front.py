"""Plots the Pareto front of a run folder.

    pip install polars matplotlib
    python tests/reference/plot_front.py results/<name> front.png
"""

import sys

import matplotlib.pyplot as plt
import polars as pl

run = sys.argv[1]
trials = pl.read_parquet(f"{run}/trials/*.parquet").filter(split="search", outcome="feasible")
front = pl.read_parquet(f"{run}/front.parquet").filter("member")
plt.scatter(trials["relative_time"], trials["objective"], s=8, label="trials")
plt.step(front["relative_time"], front["objective_search"], where="post", label="Pareto front")
plt.xlabel("time per document (base model = 1)")
plt.ylabel("objective (search)")
plt.legend()
plt.savefig(sys.argv[2])
