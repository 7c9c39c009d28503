#!/usr/bin/env python3
"""Other people's numbers for the tests in this folder and in src/optimizer/parity.rs.

    pip install cma==4.5.0 cmaes==0.13.1 numpy==2.4.6 scipy==1.17.1
    python reference.py parity | functions | mixed | best | regret
"""
import math, sys, warnings
import cma, cmaes
import numpy as np
from scipy.optimize import minimize

warnings.filterwarnings("ignore")
M64 = (1 << 64) - 1


class SplitMix64:
    """state += 0x9E3779B97F4A7C15; standard finaliser; u = (z>>11) * 2^-53;
    normal = sqrt(-2 ln(1-u1)) * cos(2 pi u2), two uniforms per normal."""
    def __init__(self, seed): self.s = seed & M64
    def next(self):
        self.s = (self.s + 0x9E3779B97F4A7C15) & M64
        z = self.s
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
        return z ^ (z >> 31)
    def u(self): return (self.next() >> 11) * (2.0 ** -53)
    def n(self):
        a = self.u(); b = self.u()
        return math.sqrt(-2.0 * math.log(1.0 - a)) * math.cos(2.0 * math.pi * b)


class ML1:
    T, K, C, R = 5, 4, 8, 2
    CH = np.array([0.25, 0.25, 0.5, 0.2, 0.25])
    BQ, BP, JIT = 6.0, 2.0, 0.1

    def __init__(self, seed, d):
        T, K, C, R = self.T, self.K, self.C, self.R
        g = SplitMix64(seed); self.d = d; self.seed = seed
        self.kstar = np.array([int(4 * g.u()) for _ in range(C)])
        self.O = np.array([[0.1 + 0.8 * g.u() for _ in range(K)] for _ in range(d)])
        self.alpha = np.array([1.0 + 1.5 * g.u() for _ in range(T)])
        self.nu = np.array([[g.n() for _ in range(d)] for _ in range(T)])
        self.h = np.array([[10.0 ** (1.5 * g.u() - 1.0) for _ in range(d)] for _ in range(T)])
        self.v = np.array([[[g.n() for _ in range(d)] for _ in range(R)] for _ in range(T)])
        self.B = np.array([[[0.2 + 0.8 * g.u() for _ in range(K)] for _ in range(C)] for _ in range(T)])
        self.E = np.array([[[0.3 * g.u() for _ in range(K)] for _ in range(K)] for _ in range(C)])
        self.tau = np.array([[g.u() for _ in range(K)] for _ in range(C)])
        for j in range(C):
            self.B[:, j, self.kstar[j]] = 0.0
            self.E[j, self.kstar[j], self.kstar[(j + 1) % C]] = 0.0
        self.grp = np.array([i * C // d for i in range(d)])

    def parts(self, x, c):
        o = self.O[np.arange(self.d), c[self.grp]]
        O = np.clip(o[None, :] + self.JIT * self.nu, 0.0, 1.0)          # T x d
        dl = x[None, :] - O
        vd = (self.v @ dl[:, :, None])[:, :, 0]                          # T x R
        q = ((self.h * dl ** 2).sum(1) + (vd ** 2).sum(1)) / self.d
        j = np.arange(self.C)
        p = (self.B[:, j, c].sum(1) + self.E[j, c, np.roll(c, -1)].sum()) / self.C
        s = 1.0 / (1.0 + np.exp(-(self.alpha - self.BQ * q - self.BP * p)))
        acc = self.CH + (1 - self.CH) * s
        return acc, s, dl, vd

    def acc(self, x, c): return self.parts(np.asarray(x, float), np.asarray(c, int))[0]
    def true(self, x, c): return float(np.exp(np.log(self.acc(x, c)).mean()))
    def time(self, c): return float(0.5 + self.tau[np.arange(self.C), np.asarray(c, int)].mean())

    def noisy(self, x, c, n, rng):
        a = self.acc(x, c)
        k = rng.binomial(n, a)
        return float(np.exp(np.log((k + 0.5) / (n + 1.0)).mean()))

    def grad(self, x, c):
        a, s, dl, vd = self.parts(x, c)
        F = math.exp(np.log(a).mean())
        dq = 2.0 / self.d * (self.h * dl + np.einsum("trd,tr->td", self.v, vd))
        w = F / self.T / a * (1 - self.CH) * s * (1 - s) * (-self.BQ)
        return F, (w[:, None] * dq).sum(0)

    def optimum(self):
        def best_x(c, x0):
            r = minimize(lambda x: tuple(-z for z in self.grad(x, c)), x0, jac=True, method="L-BFGS-B",
                         bounds=[(0, 1)] * self.d, options={"maxiter": 500})
            return -r.fun, r.x
        c = self.kstar.copy()
        F, x = best_x(c, self.O[np.arange(self.d), c[self.grp]])
        better = True
        while better:
            better = False
            for j in range(self.C):
                for k in range(self.K):
                    if k == c[j]: continue
                    c2 = c.copy(); c2[j] = k
                    F2, x2 = best_x(c2, np.where(self.grp == j, self.O[:, k], x))
                    if F2 > F + 1e-9: F, x, c, better = F2, x2, c2, True
        return F, x, c


def parity():
    """State of cmaes.CatCMA after eight generations of given samples and costs."""
    K = [3, 4]
    o = cmaes.CatCMA(mean=0.5 * np.ones(3), sigma=0.3, cat_num=np.array(K), population_size=6, seed=1)
    for g in range(8):
        told = []
        for i in range(6):
            x = np.array([0.5 + 0.3 * math.sin(1 + 7 * g + 3 * i + 1.7 * j) for j in range(3)])
            c = np.zeros((2, 4), bool)
            for n in range(2):
                c[n, (g * g + i * (n + 2) + n) % K[n]] = True
            told.append(((x, c), float((i * 5 + g) % 6)))
        o.tell(told)
    for name in ("_mean", "_sigma", "_C", "_q", "_Delta"):
        print(name, [float(v) for v in np.ravel(getattr(o, name))])


def sphere(x): return float((x ** 2).sum())
def ellipsoid(x): return float((10 ** (6 * np.arange(len(x)) / (len(x) - 1)) * x ** 2).sum())
def rosenbrock(x): return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def functions():
    """Evaluations of pycma to f <= 1e-8 at d = 10, 25 seeds, with and without negative weights."""
    for f in (sphere, ellipsoid, rosenbrock):
        for active in (False, True):
            counts = []
            for s in range(25):
                g = SplitMix64(7000 + s)
                x0 = np.array([-5 + 10 * g.u() for _ in range(10)])
                es = cma.CMAEvolutionStrategy(x0, 3.0, {"ftarget": 1e-8, "maxfevals": 100_000, "seed": s + 1,
                                                        "verbose": -9, "verb_log": 0, "CMA_active": active})
                while not es.stop():
                    X = es.ask()
                    es.tell(X, [f(np.array(x)) for x in X])
                if es.result.fbest <= 1e-8:
                    counts.append(es.countevals)
            print(f.__name__, "active" if active else "positive", len(counts), "of 25", np.percentile(counts, [25, 50, 75]))


def mixed():
    """Evaluations of cmaes.CatCMAwM to f <= 1e-8 on five reals and some integers, 15 seeds."""
    wide, far = [list(range(-10, 11))] * 5, np.array([7, -3, 0, 10, -10])
    bits, pattern = [[0, 1]] * 10, np.array([1, 0] * 5)
    cases = [("ellipsoid with integers", wide, lambda x, z: ellipsoid(np.concatenate([x - 1.234, z - far]))),
             ("sphere with integers", wide, lambda x, z: 100 * sphere(x - 1.234) + sphere(z - far)),
             ("sphere with bits", bits, lambda x, z: sphere(x - 1.234) + sphere(z - pattern))]
    for name, z_space, f in cases:
        counts = []
        for s in range(15):
            o = cmaes.CatCMAwM(x_space=[[-5, 5]] * 5, z_space=z_space, population_size=20, seed=s + 1)
            for generation in range(1, 1001):
                told = [(q, f(q.x, q.z)) for q in (o.ask() for _ in range(20))]
                if min(v for _, v in told) <= 1e-8:
                    counts.append(20 * generation)
                    break
                o.tell(told)
        print(name, len(counts), "of 15", np.median(counts))


def best():
    """F at the optimum of the ML1 instances."""
    for d, n in ((24, 11), (96, 5)):
        print(d, [round(ML1(1000 + s, d).optimum()[0], 8) for s in range(n)])


def regret():
    """Regret of cmaes.CatCMA's recommendation on noisy ML1, twice its default population, several noise streams."""
    for d, budget, instances, streams in ((24, 500, 11, 8), (24, 2000, 11, 2), (96, 500, 5, 8)):
        out = []
        for s in range(instances):
            landscape = ML1(1000 + s, d)
            top = landscape.optimum()[0]
            for r in range(streams):
                out.append(top - recommended(landscape, d, budget, s + 1000 * r))
        print(d, budget, len(out), "runs", np.round(np.percentile(out, [25, 50, 75]), 4), "mean", round(float(np.mean(out)), 4))


def recommended(landscape, d, budget, seed):
    rng = np.random.default_rng(100000 + seed)
    population = 2 * (4 + math.floor(3 * math.log(d + 8)))
    o = cmaes.CatCMA(mean=0.5 * np.ones(d), sigma=0.3, bounds=np.array([[0.0, 1.0]] * d), cat_num=np.array([4] * 8),
                     seed=seed + 1, population_size=population)
    for _ in range(budget // population):
        o.tell([(q, -landscape.noisy(q[0], q[1].argmax(1), 100, rng)) for q in (o.ask() for _ in range(population))])
    return landscape.true(np.clip(o._mean, 0, 1), o._q.argmax(1))


if __name__ == "__main__":
    {f.__name__: f for f in (parity, functions, mixed, best, regret)}[sys.argv[1]]()
