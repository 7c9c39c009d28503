"""The documents of docs/tasks: self-made, nasty, drawn with fixed seeds.

    python docs_data.py        writes docs/tasks/*.jsonl, but for last_word.jsonl, which docs.py makes of the models' own words
"""

import json
import random

from docs_models import HERE, WORDS

TASKS = HERE / "docs" / "tasks"
COUNT = 25
ODD = ["🙂", "e\u0301tude", "naïve — yes", "½ € 3", "\u200bzero", "\u00a0fixed", "ﬁne", "Ⅳ", "ß", "\\n", "{{braces}}", "<s>", "\"quoted\"", "a\tb", "#5"]


def phrase(draw, low=2, high=6):
    return " ".join(draw.choices(WORDS, k=draw.randint(low, high)))


def different(draw, count, make):
    found = []
    while len(found) < count:
        text = make(draw)
        if text and text not in found:
            found.append(text)
    return found


def odd(draw):
    return f"{phrase(draw, 1, 3)} {draw.choice(ODD)}" if draw.random() < 0.3 else phrase(draw, 1, 4)


def list_choices(draw, i):
    return {"statement": f"{phrase(draw)}. {odd(draw)}", "question": phrase(draw), "label": draw.randrange(3)}


def field_choices(draw, i):
    endings = different(draw, 2 + i % 4, odd)
    if i % 6 == 5:
        endings[1] = f"{endings[0]}\n{phrase(draw, 1, 2)}"
    prompt = phrase(draw, 150, 160) if i == 11 else f"{odd(draw)}\n\n{phrase(draw)}"
    return {"prompt": prompt, "endings": endings, "gold": draw.randrange(len(endings))}


def jinja_choices(draw, i):
    texts = different(draw, 3 + i % 2, odd)
    labels = ["A", "B", "C", "D"][:len(texts)]
    return {"question": f" {odd(draw)} ", "choices": {"text": texts, "label": labels}, "answerKey": draw.choice(labels)}


ENDS = [" ", "  ", "\n", "\t", " \n ", "", "\u00a0", ".\n\n", ": ", " the"]


def trailing_blank(draw, i):
    choices = [f" {ending}" for ending in different(draw, 3, lambda draw: phrase(draw, 1, 2))]
    if i % 4 == 3:
        choices = [choice.strip() for choice in choices]
    return {"prompt": phrase(draw) + ENDS[i % len(ENDS)], "choices": choices, "gold": draw.randrange(3)}


def empty_prompt(draw, i):
    first = phrase(draw, 1, 2)
    choices = [first, first + " " + phrase(draw, 1, 1), first + "s", odd(draw)] if i % 3 == 0 else different(draw, 4, odd)
    return {"prompt": phrase(draw) if i % 5 == 4 else "", "choices": choices, "gold": str(draw.randrange(4))}


def shots(draw, i):
    ends = [f"{end}{draw.choice('.?!')}" for end in different(draw, 2 + i % 3, odd)]
    start = f"{phrase(draw)}\n{phrase(draw, 1, 2)}" if i % 4 == 1 else phrase(draw)
    return {"topic": draw.choice(["rivers", "東京", "the {{sea}}"]), "start": start, "ends": ends, "right": draw.randrange(len(ends))}


def generated(draw, i):
    return {"question": f"{odd(draw)}?", "answer": draw.choice("aeioAEI"), "references": draw.sample("abcdefghilmnoprstuwy", 6)}


def pages(draw, i):
    words = [1, 2, 12, 30, 330][i % 5]
    page = " ".join(odd(draw) for _ in range(max(1, words // 3)))
    return {"page": page + ("\n\n" + phrase(draw) if i % 2 else "")}


FILES = {
    "list_choices": (list_choices, COUNT), "field_choices": (field_choices, COUNT), "jinja_choices": (jinja_choices, COUNT),
    "trailing_blank": (trailing_blank, COUNT), "empty_prompt": (empty_prompt, COUNT), "shots_train": (shots, 6),
    "shots_validation": (shots, COUNT), "generated": (generated, COUNT), "generated_train": (generated, 4), "pages": (pages, 15),
}


def write(name, docs):
    lines = [json.dumps(doc, ensure_ascii=False) + "\n" for doc in docs]
    (TASKS / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def main():
    for seed, (name, (make, count)) in enumerate(FILES.items()):
        draw = random.Random(seed)
        write(name, [make(draw, i) for i in range(count)])


if __name__ == "__main__":
    main()
