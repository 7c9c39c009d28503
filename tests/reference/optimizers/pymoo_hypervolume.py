#!/usr/bin/env python3
"""Hypervolumes of random points, and fronts and crowding distances of the same, for tests/hypervolume.rs.

    pip install pymoo==0.6.2 numpy==2.4.6
    python pymoo_hypervolume.py        writes pymoo_hypervolume.json

Points are multiples of 1/64, so that they print exactly; the small grids have ties and duplicates.
"""
import json, os
import numpy as np
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pymoo_hypervolume.json")
rng = np.random.default_rng(6)
cases = []
for objectives in (2, 3):
    for count, grid in ((1, 64), (5, 64), (20, 8), (40, 64)):
        points = rng.integers(0, grid + 1, (count, objectives)) / grid
        if count == 40:  # on a sphere, mostly a single front; rounded to the grid
            direction = np.abs(rng.normal(size=(count, objectives)))
            points = np.round(direction / np.linalg.norm(direction, axis=1, keepdims=True) * 64) / 64
        reference = [0.875] * objectives if count == 20 else [1.125] * objectives
        fronts = NonDominatedSorting().do(points)
        cases.append({
            "points": points.tolist(), "reference": reference,
            "hypervolume": float(HV(ref_point=np.array(reference))(points)),
            "fronts": [sorted(int(i) for i in front) for front in fronts],
        })
with open(OUT, "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
