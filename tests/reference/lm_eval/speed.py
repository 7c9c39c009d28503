"""Documents per second of the program and of lm-eval's `hf` backend, on the same CPUs, one after the other.

    python speed.py PROGRAM MODEL TASK... [--repeats 5] [--threads 2] [--docs N] [--batch N] [--precision f32 --precision bf16]
                    [--python PYTHON] [--json]

PROGRAM is a built `merge-search`, run as `PROGRAM eval MODEL --task TASK --split search --json` (and `--precision bf16`);
its own `seconds` and `docs` count. lm-eval runs in one process per precision that loads MODEL once (score.py --serve);
what is timed is `HFLM.loglikelihood`, with tokenization. Everything runs on the first N CPUs. lm-eval's batch size is the
fastest of 1, 4, 8, 16, 32 on documents of median length, unless --batch gives it. Runs alternate, and so does who is
first. Printed are medians, and the ratio program/lm-eval of the medians, with the least and greatest ratio of neighbouring
runs. --docs measures on the first N documents only. With --json `load_before` tells whether the machine was quiet.

The peer's PYTHON is --python, or the environment's MERGE_SEARCH_PYTHON, or the one that runs this script (which itself
needs no package). Where it lacks the packages of requirements.txt, one line `skipped: …` is printed (with --json
`{"skipped": …}`) and the exit code is 0.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
DTYPES = {"f32": "float32", "bf16": "bfloat16"}
VERSIONS = """
import importlib.metadata as metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


class Failed(Exception):
    """One line on what did not run."""


def pins():
    lines = (HERE / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    return {name: pinned[name] for name in ("lm-eval", "transformers", "torch", "tokenizers", "psutil")}


def missing(python):
    """Why lm-eval cannot be measured with this Python, or None."""
    wanted = pins()
    try:
        answer = subprocess.run([python, "-c", VERSIONS, *wanted], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{python} does not run: {error}"
    found = json.loads(answer.stdout)
    wrong = [f"{name} {version} (found {found[name] or 'none'})" for name, version in wanted.items() if found[name] != version]
    if wrong:
        return f"{python} lacks {', '.join(wrong)}; python -m pip install -r {HERE / 'requirements.txt'}"
    return None


class Peer:
    """lm-eval with one model in one precision, waiting for questions."""

    def __init__(self, python, model, precision, threads):
        command = [python, str(HERE / "score.py"), model, "--serve", "--dtype", DTYPES[precision], "--threads", str(threads)]
        # a file, because nobody empties a pipe while the child is asked
        self.messages = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.messages, text=True,
                                      env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        self.precision = precision
        self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            self.child.wait()
            self.messages.seek(0)
            raise Failed(f"lm-eval in {self.precision} ended: {last_line(self.messages.read())}")
        return json.loads(line)

    def ask(self, **question):
        print(json.dumps({"split": "search", **question}), file=self.child.stdin, flush=True)
        return self.answer()

    def close(self):
        self.child.communicate()


def last_line(text):
    return (text.strip().splitlines() or ["no message"])[-1]


def ours(program, model, task, precision, threads):
    command = [program, "eval", model, "--task", str(task), "--split", "search", "--json"]
    command += ["--precision", precision] if precision != "f32" else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
    except OSError as error:
        raise Failed(f"{program} does not run: {error}") from error
    if done.returncode:
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}: {last_line(done.stderr)}")
    return json.loads(done.stdout)


def shortened(task, docs, folder):
    """A copy of the task folder whose search split has its first `docs` documents."""
    copy = pathlib.Path(folder, task.name)
    shutil.copytree(task, copy)
    file = copy / tomllib.loads((copy / "task.toml").read_text(encoding="utf-8"))["splits"]["search"]
    lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    file.write_text("\n".join(lines[:docs]) + "\n", encoding="utf-8")
    return copy


def measure(arguments, peer, task, precision):
    """One row of the table."""
    scanned = {} if arguments.batch else peer.ask(task=str(task))
    batch = arguments.batch or int(max(scanned, key=scanned.get))
    run = {"ours": lambda: ours(arguments.program, arguments.model, task, precision, arguments.threads),
           "peer": lambda: peer.ask(task=str(task), batch=batch)}
    rates, answers = {"ours": [], "peer": []}, {}
    for repeat in range(arguments.repeats):
        for side in sorted(run, reverse=repeat % 2 == 1):
            answers[side] = run[side]()
            rates[side].append(answers[side]["docs"] / answers[side]["seconds"])
    if answers["ours"]["docs"] != answers["peer"]["docs"]:
        raise Failed(f"{task}: the program scored {answers['ours']['docs']} documents, lm-eval {answers['peer']['docs']}")
    ratios = [a / b for a, b in zip(rates["ours"], rates["peer"])]
    medians = {side: statistics.median(values) for side, values in rates.items()}
    return {"task": task.name, "precision": precision, "docs": answers["peer"]["docs"], "sequences": answers["peer"]["sequences"],
            "tokens": answers["peer"]["tokens"], "docs_per_second": medians["ours"], "peer_docs_per_second": medians["peer"],
            "peer_batch": batch, "ratio": medians["ours"] / medians["peer"], "ratio_least": min(ratios), "ratio_greatest": max(ratios),
            "runs": rates["ours"], "peer_runs": rates["peer"], "peer_batches": scanned}


def rows(arguments, python):
    with tempfile.TemporaryDirectory() as folder:
        tasks = [shortened(task, arguments.docs, folder) if arguments.docs else task for task in arguments.tasks]
        for precision in arguments.precision or DTYPES:
            peer = Peer(python, arguments.model, precision, arguments.threads)
            for task in tasks:
                row = measure(arguments, peer, task, precision)
                print(described(row), file=sys.stderr if arguments.json else sys.stdout, flush=True)
                yield row
            peer.close()


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


HEADER = f"{'task':<18}{'precision':>10}{'docs':>6}{'docs/s':>10}{'lm-eval':>10}{'batch':>7}{'ratio':>8}  range"


def described(row):
    return (f"{row['task']:<18}{row['precision']:>10}{row['docs']:>6}{row['docs_per_second']:>10.2f}{row['peer_docs_per_second']:>10.2f}"
            f"{row['peer_batch']:>7}{row['ratio']:>8.2f}  {row['ratio_least']:.2f}–{row['ratio_greatest']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("tasks", nargs="+", type=lambda text: pathlib.Path(text).resolve(), metavar="TASK")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--docs", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--precision", action="append", choices=DTYPES)
    parser.add_argument("--python", default=os.environ.get("MERGE_SEARCH_PYTHON", sys.executable))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    reason = missing(arguments.python)
    if reason:
        print(json.dumps({"skipped": reason}) if arguments.json else f"skipped: {reason}")
        return
    cpus = sorted(os.sched_getaffinity(0))[:arguments.threads]
    os.sched_setaffinity(0, cpus)
    load, _, _ = os.getloadavg()
    print(HEADER, file=sys.stderr if arguments.json else sys.stdout)
    try:
        table = list(rows(arguments, arguments.python))
    except Failed as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps({"model": pathlib.Path(arguments.model).name, "threads": len(cpus), "repeats": arguments.repeats,
                          "machine": platform.platform(), "processor": processor(), "load_before": load, "peer": pins(), "rows": table}, indent=1))


if __name__ == "__main__":
    main()
