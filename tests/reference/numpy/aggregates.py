"""Means, variances and intervals of real-valued items, written with numpy's own functions into aggregates.json.

    pip install numpy==2.4.6
    python tests/reference/numpy/aggregates.py
"""

import json
from pathlib import Path

import numpy as np

Z = 1.959963984540054


def main() -> None:
    random = np.random.default_rng(5)
    shapes = [(2.0, 5.0, 40), (8.0, 3.0, 25), (1.0, 1.0, 60)]
    tasks = [np.round(random.beta(a, b, n), 3) for a, b, n in shapes]
    weights = np.array([3.0, 1.0, 2.0])
    share = weights / weights.sum()
    means = np.array([task.mean() for task in tasks])
    errors = np.array([task.var(ddof=1) / len(task) for task in tasks])

    arithmetic = np.average(means, weights=weights)
    half = Z * np.sqrt((share**2 * errors).sum())
    log_errors = errors / means**2
    geometric = np.exp(np.average(np.log(means), weights=weights))
    log_half = Z * np.sqrt((share**2 * log_errors).sum())
    # Tasks 0 and 1 open (weights 3 and 1), task 2 hidden: open / 3 + 2 hidden / 3, by the delta method on the log scale.
    open_share = weights[:2] / weights[:2].sum()
    groups = np.array([np.exp(np.average(np.log(means[:2]), weights=weights[:2])), means[2]])
    group_errors = np.array([(open_share**2 * log_errors[:2]).sum(), log_errors[2]])
    parts = np.array([1 / 3, 2 / 3]) * groups
    mixed = parts.sum()
    mixed_half = Z * np.sqrt(((parts / mixed) ** 2 * group_errors).sum())

    def ends(value: float, low: float, high: float) -> dict:
        return {"value": value, "low": low, "high": high}

    result = {
        "tasks": [task.tolist() for task in tasks],
        "weights": weights.tolist(),
        "arithmetic_mean": ends(arithmetic, arithmetic - half, arithmetic + half),
        "geometric_mean": ends(geometric, geometric * np.exp(-log_half), geometric * np.exp(log_half)),
        "open_and_hidden": ends(mixed, mixed * np.exp(-mixed_half), mixed * np.exp(mixed_half)),
    }
    Path(__file__).with_name("aggregates.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
