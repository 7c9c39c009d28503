def rows_of(batch):
    """Text and choices of each row. Whatever else a kit's loader puts into a batch stays unread: `target` may be a
    number, `eval_type` may be missing."""
    count = len(batch["input"])
    choices = batch.get("answer_choices") or [None] * count
    return [(text_of(text), choices_of(own)) for text, own in zip(batch["input"], choices)]


def text_of(value):
    """A text that pandas may have read as a number, or as NaN where there is none."""
    return "" if value is None or value != value else str(value)


def choices_of(value):
    """A list, or a string as a CSV has it: "['A', 'B']", "None", nothing."""
    if isinstance(value, str):
        value = ast.literal_eval(value.strip() or "None")
    return [str(choice) for choice in value] if isinstance(value, (list, tuple)) else []


class Whole(str):
    """HEAD's kit spreads a prediction over the batch letter by letter and so makes a 1 of "12": this has one letter."""

    def __iter__(self):
        return iter([str(self)])


class Index(int):
    def __str__(self):
        return Whole(int(self))


class Indices(list):
    """Stands for a tensor of indices where one of them has two digits."""

    def cpu(self):
        return self

    def numpy(self):
        return self

    def tolist(self):
        return [Index(index) for index in self]
