"""Calls mergekit's own merge methods on small tensors; src/engine/merge/method_tests.rs compares with methods.json.

    pip install mergekit==0.1.5 torch==2.15.0 && python methods.py

methods.json has the tensors (row-major float32, "large" ones by a formula that the Rust test repeats) and one entry per
case with what mergekit makes of it (of large tensors, every 97th element), or "error": true where it raises.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import torch
from mergekit import merge_methods
from mergekit.merge_methods.base import TensorGroup

assert importlib.metadata.version("mergekit") == "0.1.5"
assert torch.__version__.split("+")[0] == "2.15.0"
HERE = Path(__file__).resolve().parent
SHAPES = {"matrix": (7, 5), "vector": (9,), "large": (31, 100)}
STRIDE = 97


def large(model: int, scale: float) -> np.ndarray:
    """Numbers of about even spread on a base's -0.05..0.05, the experts' differences being `scale` times that of 1."""
    n = np.arange(31 * 100, dtype=np.int64)
    unit = lambda a: ((n * a + n * n % 911 * 37) % 2003) / 1001.0 - 1.0
    base = unit(1103) * 0.05
    return (base if model == 0 else base + unit(523 + 271 * model) * scale).astype(np.float32)


def sets() -> dict:
    """Name -> (shape name, base, experts)."""
    random = np.random.default_rng(20261121)
    found = {}
    for name in ("matrix", "vector"):
        shape = SHAPES[name]
        base = random.standard_normal(shape)
        experts = [base + 0.4 * random.standard_normal(shape) for _ in range(3)]
        far = [random.standard_normal(shape) for _ in range(3)]
        if name == "vector":
            found["vector_near"] = (name, base, experts)
            found["vector_one_zero"] = (name, base, [far[0], base * 0, far[1]])
            continue
        found[f"{name}_near"] = (name, base, experts)
        found[f"{name}_far"] = (name, base, far)
        found[f"{name}_equal"] = (name, base, [experts[0]] * 3)
        found[f"{name}_zero"] = (name, base * 0, [base * 0] * 3)
        found[f"{name}_one_zero"] = (name, base, [far[0], base * 0, far[1]])
        # Rounded so that base + d and base - d are exact and d and -d cancel.
        base, d = np.round(base * 64) / 64, np.round(far[0] * 64) / 64
        found[f"{name}_antipodal"] = (name, base, [base + d, base - d])
        found[f"{name}_opposite"] = (name, base, [d, -d])
        found[f"{name}_cancelled"] = (name, base, [d, -d, 2 * d, -2 * d])
        sparse = [base + d * (random.random(shape) < 0.5) for d in far]
        found[f"{name}_sparse"] = (name, base, sparse)
    for scale in (0.02, 0.0005):
        models = [large(model, scale) for model in range(4)]
        found[f"large_{scale}"] = ("large", models[0], models[1:])
    return {key: (s, b.astype(np.float32), [e.astype(np.float32) for e in es]) for key, (s, b, es) in found.items()}


def cases(experts: int) -> list:
    """(method, with base, number of experts, parameters)."""
    found = [("karcher", False, experts, {}), ("karcher", True, experts, {"max_iter": 50, "tol": 1e-7})]
    found += [("karcher", False, experts, {"max_iter": 1})]
    for pair in ([1.0, 3.0], [1.0, -1.0]):
        for base in (False, True):
            for row_wise, flatten in ((False, True), (False, False), (True, False)):
                parameters = {"weight": pair, "nuslerp_row_wise": row_wise, "nuslerp_flatten": flatten}
                found.append(("nuslerp", base, 2, parameters))
    for base in (False, True):
        if experts == 4:
            found.append(("multislerp", base, 4, {"weight": [0.25] * 4}))
            continue
        if experts == 2:
            # Opposite vectors of equal weight: mergekit's linear interpolation.
            found.append(("multislerp", base, 2, {"weight": [1.0, 1.0]}))
        for weights, normalize in (([0.2, 0.5, 0.3], True), ([0.4, 1.0, 0.3], False), ([1.0, 1.0, 1.0], True)):
            parameters = {"weight": weights[:experts], "normalize_weights": normalize}
            found.append(("multislerp", base, experts, parameters))
    found += [("multislerp", True, 1, {"weight": [0.3]}), ("multislerp", False, 2, {"weight": [1.0, 2.0]})]
    found += [("sce", True, experts, {"select_topk": topk}) for topk in (1.0, 0.7, 0.35, 0.01, 0.0)]
    found += [("sce", True, 1, {"select_topk": 1.0})]
    found += [("ram", True, experts, {"epsilon": epsilon}) for epsilon in (1e-5, 0.3)]
    for r, alpha, epsilon in ((0.1, 0.2, 1e-5), (0.5, 0.8, 0.3), (1.0, 5.0, 0.6)):
        found.append(("ramplus_tl", True, experts, {"r": r, "alpha": alpha, "epsilon": epsilon}))
    found += [("ram", True, 1, {}), ("ramplus_tl", True, 1, {"epsilon": 0.3})]
    found += [("model_stock", True, n, {"filter_wise": wise}) for n in (2, experts) for wise in (False, True)]
    found += [("nearswap", True, 1, {"t": t}) for t in (0.0, 1e-4, 0.2, 10.0)]
    found += [("arcee_fusion", True, 1, {})]
    return found


# Cases in which mergekit's result is rounding noise: it divides by a sine or a cosine's distance from 1 that only
# rounding keeps from 0, raises for tensors that no expert changed, or gives NaN.
def noise(name: str, method: str, with_base: bool, parameters: dict) -> bool:
    opposite = name.endswith("antipodal") and with_base or name.endswith("opposite") and not with_base
    unchanged = name.endswith("zero") and not name.endswith("one_zero")
    return method == "nuslerp" and opposite or method == "multislerp" and unchanged


def merge(shape: tuple, method: str, base, experts: list, parameters: dict, dtype: torch.dtype):
    tensors = [torch.from_numpy(t.copy()).reshape(shape) for t in ([] if base is None else [base]) + experts]
    group = TensorGroup.from_tensors(tensors, base_index=None if base is None else 0)
    try:
        (merged,) = merge_methods.get(method)((group,), parameters=parameters, dtype=dtype, out_dtype=torch.float32)
    except ValueError as error:
        assert "weighted sum of the input tensors is zero" in str(error), error
        return None
    return merged.reshape(-1).numpy()


def numbers(tensor: np.ndarray) -> list:
    """The shortest decimals that are read back as the same float32."""
    return [float(str(x)) for x in tensor.reshape(-1)]


tensors, results, seen = {}, [], set()
for name, (shape, base, experts) in sets().items():
    if shape != "large":
        tensors[name] = {"base": numbers(base), "experts": [numbers(e) for e in experts]}
    for method, with_base, count, parameters in cases(len(experts)):
        key = json.dumps([name, method, with_base, count, parameters])
        if name.endswith("cancelled") and method != "multislerp":
            continue
        if key in seen or noise(name, method, with_base, parameters):
            continue
        # Of special tensors, the first case of each method with and without base suffices.
        brief = json.dumps([name, method, with_base, parameters.get("filter_wise"), parameters.get("nuslerp_flatten")])
        if not name.endswith("near") and shape != "large" and brief in seen:
            continue
        seen |= {key, brief}
        # The divergence of such small updates is but rounding in float32, and what is above the threshold with it.
        double = name == "large_0.0005" and method == "arcee_fusion"
        dtype = torch.float64 if double else torch.float32
        merged = merge(SHAPES[shape], method, base if with_base else None, experts[:count], parameters, dtype)
        case = {"set": name, "method": method, "base": with_base, "experts": count, "parameters": parameters}
        if merged is None:
            results.append(case | {"error": True})
            continue
        if not np.isfinite(merged).all():
            print("not finite, left out:", key)
            continue
        expected = merged if shape != "large" else merged[::STRIDE]
        results.append(case | {"scale": float(str(np.abs(merged).max())), "expected": numbers(expected)})

text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in results)
head = json.dumps(tensors, separators=(",", ":"))
(HERE / "methods.json").write_text('{"tensors":' + head + ',\n"cases":[\n' + text + "\n]}\n")
print(len(results), "cases,", (HERE / "methods.json").stat().st_size, "bytes")
