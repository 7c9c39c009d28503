"""Runs the starter kit's main.py as it is, and writes down how long the methods of a submission take.

Called as: driver.py MEASURED.json MODULE CLASS main.py ARGUMENTS...
"""

import importlib
import json
import os
import platform
import resource
import runpy
import signal
import sys
import threading
import time

measured = {"load_and_merge": 0.0, "multiple_choice": [], "generation": []}


def device():
    """The accelerator torch would use, if there is one."""
    import torch

    return torch.cuda if torch.cuda.is_available() else None


def timed(method, note):
    """The method, and how long it takes until the accelerator is idle again."""

    def call(self, *arguments, **options):
        start = time.perf_counter()
        result = method(self, *arguments, **options)
        if device() is not None:
            device().synchronize()
        note(time.perf_counter() - start)
        return result

    return call


def note_merge(seconds):
    measured["load_and_merge"] += seconds


def processor():
    """The processor's name."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} threads"
    return platform.processor() or platform.machine()


def versions():
    """Of Python and the libraries that a submission rests on."""
    import torch
    import transformers

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def end_with_parent():
    """Standard input ends when the process that has its other end is gone, whatever ended that: then so does all here,
    which is a process group of its own."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main():
    threading.Thread(target=end_with_parent, daemon=True).start()
    target, module, name, program = sys.argv[1:5]
    sys.argv = sys.argv[4:]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    submission = getattr(importlib.import_module(module), name)
    submission.merge = timed(submission.merge, note_merge)
    choice, text = submission.predict_multiple_choice, submission.generate
    submission.predict_multiple_choice = timed(choice, measured["multiple_choice"].append)
    submission.generate = timed(text, measured["generation"].append)
    runpy.run_path(program, run_name="__main__")
    cuda = device()
    # Linux counts in units of 1024 bytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    measured["peak_bytes"] = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measured["device_bytes"] = cuda.max_memory_allocated() if cuda else None
    where = cuda.get_device_name() if cuda else processor()
    measured["machine"] = {"device": where, "versions": versions()}
    with open(target, "w", encoding="utf-8") as file:
        json.dump(measured, file)


if __name__ == "__main__":
    main()
