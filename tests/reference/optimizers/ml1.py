#!/usr/bin/env python3
"""Regrets of cmaes 0.13.1's CatCMA on ML1 with plain evaluations, seed by seed, for paired tests.

    pip install numpy==2.* cmaes==0.13.1
    python tests/reference/optimizers/ml1.py > tests/reference/optimizers/ml1.json

Instance 1000 + s, noise numpy PCG64(100000 + s), optimizer seed s + 1, x0 = 0.5, sigma 0.3, whole generations. `value` is
the noise-free F of the recommended point (mean clipped, most probable genes): the regret is the instance's best F minus it.
"""
import json
import math
import os
import sys
import warnings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import cmaes
import numpy as np

warnings.filterwarnings("ignore")
TASKS, CHOICES, GENES, RANK = 5, 4, 8, 2
CHANCE = np.array([0.25, 0.25, 0.5, 0.2, 0.25])
MASK = (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed):
        self.state = seed & MASK

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53

    def normal(self):
        a, b = self.uniform(), self.uniform()
        return math.sqrt(-2.0 * math.log(1.0 - a)) * math.cos(2.0 * math.pi * b)


def drawn(draw, *shape):
    if not shape:
        return draw()
    return [drawn(draw, *shape[1:]) for _ in range(shape[0])]


class Ml1:
    def __init__(self, seed, d):
        g = SplitMix64(seed)
        u, n = g.uniform, g.normal
        self.kstar = [int(4 * u()) for _ in range(GENES)]
        self.o = np.array(drawn(lambda: 0.1 + 0.8 * u(), d, CHOICES))
        self.alpha = np.array(drawn(lambda: 1.0 + 1.5 * u(), TASKS))
        self.nu = np.array(drawn(n, TASKS, d))
        self.h = np.array(drawn(lambda: 10.0 ** (1.5 * u() - 1.0), TASKS, d))
        self.v = np.array(drawn(n, TASKS, RANK, d))
        self.b = np.array(drawn(lambda: 0.2 + 0.8 * u(), TASKS, GENES, CHOICES))
        self.e = np.array(drawn(lambda: 0.3 * u(), GENES, CHOICES, CHOICES))
        for gene, k in enumerate(self.kstar):
            self.b[:, gene, k] = 0.0
            self.e[gene, k, self.kstar[(gene + 1) % GENES]] = 0.0
        self.d, self.group = d, np.arange(d) * GENES // d

    def accuracies(self, x, c):
        target = np.clip(self.o[np.arange(self.d), c[self.group]] + 0.1 * self.nu, 0.0, 1.0)
        delta = x - target
        along = np.einsum("tri,ti->tr", self.v, delta)
        q = ((self.h * delta**2).sum(1) + (along**2).sum(1)) / self.d
        genes = np.arange(GENES)
        p = (self.b[:, genes, c].sum(1) + self.e[genes, c, np.roll(c, -1)].sum()) / GENES
        return CHANCE + (1 - CHANCE) / (1.0 + np.exp(-(self.alpha - 6.0 * q - 2.0 * p)))

    def value(self, x, c):
        return float(np.exp(np.log(self.accuracies(x, c)).mean()))


def run(d, budget, s, population):
    landscape, noise = Ml1(1000 + s, d), np.random.default_rng(100000 + s)
    optimizer = cmaes.CatCMA(
        mean=np.full(d, 0.5), sigma=0.3, bounds=np.array([[0.0, 1.0]] * d), cat_num=np.array([4] * GENES), seed=s + 1,
        population_size=population,
    )
    left = budget
    while left >= optimizer.population_size:
        told = []
        for _ in range(optimizer.population_size):
            x, c = optimizer.ask()
            right = noise.binomial(100, landscape.accuracies(np.clip(x, 0, 1), c.argmax(1)))
            told.append(((x, c), -float(np.exp(np.log((right + 0.5) / 101.0).mean()))))
        optimizer.tell(told)
        left -= len(told)
    return landscape.value(np.clip(optimizer._mean, 0, 1), optimizer._q.argmax(1))


def main():
    cells = []
    for d, budget in [(24, 500), (24, 2000), (96, 500)]:
        twice = 2 * (4 + int(3 * math.log(d + GENES)))
        for name, population in [("catcma", None), ("catcma_pop2x", twice)]:
            values = [round(run(d, budget, s, population), 8) for s in range(25)]
            cells.append({"optimizer": name, "dimension": d, "budget": budget, "value": values})
            print(name, d, budget, file=sys.stderr, flush=True)
    lines = ",\n".join("  " + json.dumps(cell) for cell in cells)
    print("[\n" + lines + "\n]")


main()
