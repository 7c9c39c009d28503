"""McNemar's exact test, Holm's correction and sign-flip tests by statsmodels and scipy, written into paired_tests.json.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.14.6
    python tests/reference/optimizers/paired_tests.py
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


def sign_flips(tasks: list[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Every swap of the two models' answers to a document, of the difference of geometric means."""
    sizes = np.cumsum([len(first) for first, _ in tasks])[:-1]

    def difference(first: np.ndarray, second: np.ndarray) -> float:
        mean = lambda scores: np.prod([task.mean() for task in np.split(scores, sizes)]) ** (1 / len(tasks))
        return mean(first) - mean(second)

    first, second = (np.concatenate([task[side] for task in tasks]) for side in (0, 1))
    p = {}
    for tail in ("greater", "two-sided"):
        result = permutation_test(
            (first, second), difference, permutation_type="samples", alternative=tail, n_resamples=np.inf, vectorized=False
        )
        p[tail] = float(result.pvalue)
    return {
        "first": [task[0].tolist() for task in tasks],
        "second": [task[1].tolist() for task in tasks],
        "difference": float(difference(first, second)),
        **p,
    }


def main() -> None:
    random = np.random.default_rng(6)
    counts = [(0, 0), (1, 0), (0, 6), (8, 2), (3, 3), (25, 11), (140, 190), (1030, 960), (4000, 4300)]
    tables = [[[7, b], [c, 9]] for b, c in counts]
    holm_input = [random.uniform(0, 0.08, 9).round(4).tolist(), [0.01, 0.01, 0.01, 0.5], [0.04, 0.2, 0.0005, 0.012, 0.9, 0.013]]
    binary = [(random.integers(0, 2, n).astype(float), random.integers(0, 2, n).astype(float)) for n in (7, 5)]
    better = [(np.array([1.0] * 6 + [0.0]), np.array([0.0, 0, 0, 1, 1, 1, 0])), (np.array([1.0, 1, 1, 0]), np.array([1.0, 0, 0, 1]))]
    texts = [(random.uniform(0.4, 1, n).round(2), random.uniform(0.2, 0.9, n).round(2)) for n in (6, 5)]
    result = {
        "mcnemar": [
            {"only_first": b, "only_second": c, "p": float(mcnemar(table, exact=True).pvalue) if b + c else 1.0}
            for (b, c), table in zip(counts, tables)
        ],
        "holm": [
            {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in holm_input
        ],
        "sign_flip": [sign_flips(tasks) for tasks in (binary, better, texts)],
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
