"""Laws of mergekit's random masks, which no other program can repeat element by element: laws.json.

    pip install mergekit==0.1.5 torch==2.15.0 && python make_laws.py

The tensor has element i = s (k + 1) / 65536 with k = 40503 i mod 65536 and s = -1 for odd k, else 1: every magnitude of
1/65536, 2/65536, ... 1 once, spread evenly over each row. Over DRAWS masks of it, in float32, mean and standard
deviation (over draws) of

    keep_rate     share of elements that are not zero
    l1_ratio      sum of magnitudes after, over before
    scale         kept element over the original one (the same for all of a draw)
    kept_deciles  share kept of each tenth of the magnitudes, smallest first. DELLA ranks within rows (within the
                  whole of a vector), so do these: an element of rank r = 0, 1, ... of n is in tenth 10 r / n, rounded
                  down.

One draw's mean is within a few `std` of `mean`; that of n draws within a few `std` / sqrt(n).
"""

import importlib.metadata
import json
from pathlib import Path

import torch
from mergekit.sparsify import RescaleNorm, SparsificationMethod, sparsify

assert importlib.metadata.version("mergekit") == "0.1.5"
assert torch.__version__.startswith("2.15.0"), torch.__version__
DRAWS = 100
SHAPES = {"matrix": [256, 256], "vector": [65536]}
RANDOM = [("dare", density, None, rescale) for density in (0.1, 0.5, 0.9) for rescale in (True, False)]
RANKED = [
    ("della", density, epsilon, rescale)
    for density, epsilon in ((0.5, 0.15), (0.5, 0.45), (0.3, 0.2), (0.8, 0.1), (0.2, 0.0))
    for rescale in (True, False)
]


def tensor(shape):
    k = torch.arange(65536) * 40503 % 65536
    sign = 1 - 2 * (k % 2)
    return (sign * (k + 1) / 65536).float().reshape(shape)


def deciles(values):
    """Tenth of each element's rank by magnitude within its row."""
    rows = values.abs() if values.ndim > 1 else values.abs().unsqueeze(0)
    ranks = rows.argsort(dim=1).argsort(dim=1)
    return (ranks * 10 // rows.shape[1]).reshape(values.shape)


def draw(values, tenths, method, density, epsilon, rescale):
    kind = {"dare": SparsificationMethod.random, "della": SparsificationMethod.della_magprune}[method]
    norm = RescaleNorm.l1 if rescale else None
    kept = sparsify(values, density=density, method=kind, epsilon=epsilon or 0.0, rescale_norm=norm)
    mask = kept != 0
    factors = (kept[mask] / values[mask]).double()
    assert factors.max() - factors.min() < 1e-5
    counts = torch.bincount(tenths[mask], minlength=10) / torch.bincount(tenths.flatten(), minlength=10)
    l1 = kept.double().abs().sum() / values.double().abs().sum()
    return [mask.double().mean().item(), l1.item(), factors.mean().item(), *counts.tolist()]


def law(shape, method, density, epsilon, rescale):
    values = tensor(SHAPES[shape])
    tenths = deciles(values)
    torch.manual_seed(0)
    draws = torch.tensor(
        [draw(values, tenths, method, density, epsilon, rescale) for _ in range(DRAWS)], dtype=torch.float64
    )
    means = [round(value, 7) for value in draws.mean(dim=0).tolist()]
    stds = [round(value, 7) for value in draws.std(dim=0).tolist()]
    settings = {"shape": shape, "method": method, "density": density, "epsilon": epsilon, "rescale": rescale}
    statistics = {name: {"mean": means[i], "std": stds[i]} for i, name in enumerate(("keep_rate", "l1_ratio", "scale"))}
    return settings | statistics | {"kept_deciles": {"mean": means[3:], "std": stds[3:]}}


def main():
    torch.set_num_threads(1)
    settings = [("matrix", *setting) for setting in RANDOM + RANKED]
    settings += [("vector", "della", 0.5, 0.15, True), ("vector", "della", 0.3, 0.2, False)]
    laws = [law(*setting) for setting in settings]
    lines = ",\n".join(json.dumps(entry) for entry in laws)
    text = f'{{"draws": {DRAWS}, "shapes": {json.dumps(SHAPES)}, "laws": [\n{lines}\n]}}\n'
    Path(__file__).with_name("laws.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
