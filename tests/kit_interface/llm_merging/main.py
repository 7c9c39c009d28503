"""HEAD's command line: python llm_merging/main.py -m NAME --dataset_filepaths FILE... --output_folder FOLDER"""

import argparse
import os

from llm_merging.evaluation import evaluate_model
from llm_merging.merging import *  # noqa: F403  as HEAD does: an entry names its class alone


def all_merge_handlers():
    """Classes by the name on the command line."""
    return {
        # Submissions are registered here.
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", "--merging_method", required=True)
    parser.add_argument("--dataset_filepaths", nargs="+", required=True)
    parser.add_argument("--output_folder", default="../output")
    args = parser.parse_args()
    os.makedirs(args.output_folder, exist_ok=True)
    method = all_merge_handlers()[args.merging_method](args.merging_method)
    method.merge()
    evaluate_model(method, args.dataset_filepaths, args.output_folder)


if __name__ == "__main__":
    main()
