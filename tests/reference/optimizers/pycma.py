#!/usr/bin/env python3
"""Evaluations that pycma needs to reach f <= 1e-8, per seed, for `cargo bench --bench optimizers -- --table noise-free`.

    pip install cma==4.5.0 numpy==2.4.6
    python pycma.py [FUNCTION DIMENSION SEEDS]...        adds the cells asked for to pycma.json; none: all
    python pycma.py rates                                prints the learning rates at each dimension

Start uniform in [low, high]^d from SplitMix64(7000 + s), sigma 0.3 (high - low), no bounds, pycma's defaults (active, popsize 4 + 3 ln d),
at most 10000 d evaluations. Rastrigin restarts (BIPOP) from the same stream. Evaluations are whole generations; null = not reached.
"""
import json, math, os, sys, warnings
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
import cma

warnings.filterwarnings("ignore")
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pycma.json")


def uniforms(seed):
    """SplitMix64: 53-bit uniforms."""
    mask = (1 << 64) - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield ((z ^ (z >> 31)) >> 11) * 2.0 ** -53


def sphere(X): return (X ** 2).sum(1)


def ellipsoid(X):
    d = X.shape[1]
    return (10 ** (6 * np.arange(d) / (d - 1)) * X ** 2).sum(1)


def rosenbrock(X): return (100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(1)


def rastrigin(X): return 10 * X.shape[1] + (X ** 2 - 10 * np.cos(2 * np.pi * X)).sum(1)


def ackley(X):
    return -20 * np.exp(-0.2 * np.sqrt((X ** 2).mean(1))) - np.exp(np.cos(2 * np.pi * X).mean(1)) + 20 + math.e


FUNCTIONS = {"sphere": (sphere, 5.0), "ellipsoid": (ellipsoid, 5.0), "rosenbrock": (rosenbrock, 5.0),
             "ackley": (ackley, 32.768), "rastrigin": (rastrigin, 5.12)}
RASTRIGIN_CAP = {10: 300_000, 20: 600_000, 40: 1_000_000}
ALL = [(name, d, 25) for d in (10, 20, 40) for name in ("sphere", "ackley", "ellipsoid", "rosenbrock")]
ALL += [("rastrigin", 10, 25), ("rastrigin", 20, 5), ("rastrigin", 40, 2)]


def run(name, d, s):
    f, high = FUNCTIONS[name]
    stream = uniforms(7000 + s)
    start = lambda: np.array([-high + 2 * high * next(stream) for _ in range(d)])
    cap = RASTRIGIN_CAP[d] if name == "rastrigin" else 10_000 * d
    options = {"ftarget": 1e-8, "maxfevals": cap, "seed": s + 1, "verbose": -9, "verb_log": 0}
    if name == "rastrigin":
        _, es = cma.fmin2(None, start, 0.6 * high, options, restarts=20, bipop=True,
                          parallel_objective=lambda X: list(f(np.array(X))))
        best, evaluations = min(es.result.fbest, es.best.f), es.result.evaluations
    else:
        es = cma.CMAEvolutionStrategy(start(), 0.6 * high, options)
        while not es.stop():
            X = es.ask()
            es.tell(X, list(f(np.array(X))))
        best, evaluations = es.result.fbest, es.countevals
    return {"reached": bool(best <= 1e-8), "evaluations": int(evaluations)}


def cell(name, d, seeds):
    runs = [run(name, d, s) for s in range(seeds)]
    good = [r["evaluations"] for r in runs if r["reached"]]
    total = sum(r["evaluations"] for r in runs)
    row = {"function": name, "dimension": d, "seeds": seeds, "success_rate": len(good) / seeds,
           "median": float(np.median(good)) if good else None, "ert": total / len(good) if good else None,
           "evaluations": [r["evaluations"] if r["reached"] else None for r in runs]}
    print({k: v for k, v in row.items() if k != "evaluations"}, flush=True)
    rows = json.load(open(OUT)) if os.path.exists(OUT) else []
    rows = [r for r in rows if (r["function"], r["dimension"]) != (name, d)] + [row]
    with open(OUT, "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


def rates():
    for d in (10, 20, 40):
        es = cma.CMAEvolutionStrategy(d * [0.1], 1, {"verbose": -9, "seed": 1})
        es.tell(X := es.ask(), list(sphere(np.array(X))))
        w = es.sp.weights
        print(d, {"popsize": es.popsize, "mu_eff": w.mueff, "mu_eff_minus": w.mueffminus, "c1": es.sp.c1, "cmu": es.sp.cmu, "cc": es.sp.cc,
                  "cs": es.adapt_sigma.cs, "damps": es.adapt_sigma.damps, "weights": list(map(float, w))})


if __name__ == "__main__":
    if sys.argv[1:] == ["rates"]:
        rates()
    else:
        asked = sys.argv[1:]
        for name, d, seeds in list(zip(asked[::3], map(int, asked[1::3]), map(int, asked[2::3]))) or ALL:
            cell(name, d, seeds)
