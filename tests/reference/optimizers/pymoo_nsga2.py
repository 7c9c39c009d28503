#!/usr/bin/env python3
"""Hypervolume that pymoo's NSGA-II reaches, for `cargo bench --bench optimizers -- --table fronts`.

    pip install pymoo==0.6.2 numpy==2.4.6
    python pymoo_nsga2.py        writes pymoo_nsga2.json: minutes per problem

Population 100, 250 generations, pymoo's defaults, seeds 1, 2, ...; reference point 1.1 in every objective.
"""
import json, os
import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.indicators.hv import HV
from pymoo.optimize import minimize
from pymoo.problems import get_problem

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pymoo_nsga2.json")
rows = []
for name, seeds in (("zdt1", 11), ("zdt2", 5), ("zdt3", 5), ("zdt6", 5), ("dtlz2", 3)):
    problem = get_problem("dtlz2", n_var=12, n_obj=3) if name == "dtlz2" else get_problem(name)
    indicator = HV(ref_point=np.array([1.1] * problem.n_obj))
    runs = [minimize(problem, NSGA2(pop_size=100), ("n_gen", 250), seed=s + 1) for s in range(seeds)]
    q1, median, q3 = (round(float(q), 5) for q in np.percentile([indicator(run.F) for run in runs], [25, 50, 75]))
    rows.append({"problem": name, "dimension": int(problem.n_var), "seeds": seeds, "q1": q1, "median": median, "q3": q3})
with open(OUT, "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
