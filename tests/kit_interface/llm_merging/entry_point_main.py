"""The command line of June to August 2024: python … -m NAME --dataset_filepaths FILE... --eval_types TYPE..."""

import argparse
from importlib.metadata import entry_points

from llm_merging.entry_point_evaluation import evaluate_model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", "--merging_method", required=True)
    parser.add_argument("--dataset_filepaths", nargs="+", required=True)
    parser.add_argument("--eval_types", nargs="+", required=True)
    args = parser.parse_args()
    methods = {point.name: point.load() for point in entry_points(group="llm_merging.merging.Merges")}
    method = methods[args.merging_method](args.merging_method)
    method.merge()
    evaluate_model(method, args.dataset_filepaths, args.eval_types)


if __name__ == "__main__":
    main()
