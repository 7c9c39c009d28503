"""The program's task folders (`task.toml`, one JSON-lines file per split), read as lm-eval reads a task."""

import json
import pathlib
import tomllib
from dataclasses import dataclass

from lm_eval.api.instance import Instance
from lm_eval.utils import apply_template


@dataclass
class Doc:
    index: int
    context: str
    choices: list
    target: int


class TaskFolder:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        definition = tomllib.loads((self.folder / "task.toml").read_text(encoding="utf-8"))
        self.name, self.metric = definition["task"], definition["metric"]
        self.delimiter = definition.get("target_delimiter", " ")
        self.add_bos_token = definition.get("add_bos_token", False)
        self.definition = definition

    def docs(self, split, limit=None):
        """The first `limit` documents of a split (all, if None)."""
        text = (self.folder / self.definition["splits"][split]).read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.split("\n") if line.strip()]
        return [self.doc(index, fields) for index, fields in enumerate(lines[:limit])]

    def doc(self, index, fields):
        template, choices = self.definition["doc_to_text"], self.definition["doc_to_choice"]
        # lm-eval's doc_to_text and doc_to_choice take the bare name of a column, or a template, or a list
        context = str(fields[template]) if template in fields else apply_template(template, fields)
        return Doc(index, context, fields[choices] if isinstance(choices, str) else choices,
                   fields[self.definition["doc_to_target"]])

    def requests(self, docs):
        """One per choice, as `ConfigurableTask.construct_requests` of lm-eval makes them."""
        return [Instance(request_type="loglikelihood", doc={}, idx=index, arguments=(doc.context, self.delimiter + choice))
                for doc in docs for index, choice in enumerate(doc.choices)]

    def metric_scores(self, doc, log_likelihoods):
        """What the prediction is the argmax of: nats, or nats per character."""
        if self.metric == "acc":
            return log_likelihoods
        return [value / len(choice) for value, choice in zip(log_likelihoods, doc.choices)]
