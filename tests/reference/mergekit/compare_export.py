"""Runs a run's best.yaml through mergekit and compares the tensors with the exported checkpoint.

    python tests/reference/mergekit/compare_export.py RUN/best.yaml EXPORTED

Pinned: mergekit 0.1.5, torch 2.15.0. For the deterministic methods: largest difference relative to the tensor's largest
element below 1e-5.
"""

import pathlib
import subprocess
import sys
import tempfile

from safetensors.torch import load_file

recipe, exported = sys.argv[1], pathlib.Path(sys.argv[2])
with tempfile.TemporaryDirectory() as folder:
    program = pathlib.Path(sys.executable).with_name("mergekit-yaml")
    subprocess.run([program, recipe, folder, "--allow-crimes"], check=True, capture_output=True)
    theirs = {}
    for file in pathlib.Path(folder).glob("*.safetensors"):
        theirs |= load_file(file)
ours = load_file(exported / "model.safetensors")
assert set(ours) == set(theirs) - {"lm_head.weight"} or set(ours) == set(theirs), set(ours) ^ set(theirs)
worst = 0.0
for name, tensor in ours.items():
    scale = tensor.abs().max().item() or 1.0
    worst = max(worst, (tensor.double() - theirs[name].double()).abs().max().item() / scale)
print(f"{len(ours)} tensors, largest relative difference {worst:.2e}")
assert worst < 1e-5
