"""Self-made rows in the kit's format, written as pandas would: python make_rows.py writes rows.csv."""

import csv
import pathlib

LETTERS = ["A", "B", "C", "D"]
CONTEXT = "The baker carries a heavy basket over the old bridge, because the market opens in the morning."
ROWS = [
    (f"{CONTEXT}\nWhere does the baker go?\nA. home\nB. to the market\nC. to the river\nD. nowhere\nAnswer:", 1, LETTERS),
    (f"{CONTEXT}\nQuestion: What is in the basket?\nAnswer:", 2, ["letters", "salt", "bread", "a lantern"]),
    (f"{CONTEXT}\nWhy does the baker walk?", 0, ["Because the market opens.", "Because the boat is slow.", "None of the above choices ."]),
    ("Is the river cold in winter?\nAnswer: ", 0, ["yes", "no"]),
    ("True or False: the sailor is never on the boat. ", 1, ["True", "False", "True, False"]),
    ('"It isn\'t far," said the teacher.\n\n"Where to?"', 2, ["the farmer's \"new\" garden", "the king's tower", "Straße, größer"]),
    ("Größe, 東京 and ½ of an apple cost 3 €.", 1, ["東京", "½", "€ 3", "größer 🙂"]),
    ("Which one? 10 or 11?", 9, [str(n) for n in range(3, 14)]),
    ("A short text.", 0, ["A", "An apple", "B"]),
    ("-", 1, ["pear and apple", "bread and butter"]),
    ("  Two blanks before.\n\nAnd lines.\n", 1, ["line\nline", "next line", "C"]),
    ("def f(x):\n\treturn [y for y in x if y]", 3, ["prints string 'b'", "fails", "swaps a with c", "[1, 2]", "None"]),
    ("The farmer asks the doctor and the doctor answers", "the farmer goes home", None),
    ("Write a letter to the queen, with butter and honey. Today or tomorrow?\n", "", None),
    ("These two are: ", "Similar", ["Similar", "Dissimilar"]),
]


def main():
    path = pathlib.Path(__file__).resolve().parent / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "input", "target", "answer_choices", "eval_type"])
        for id, (text, target, choices) in enumerate(ROWS):
            kind = "generation" if isinstance(target, str) else "multiple_choice"
            writer.writerow([id, text, target, choices, kind])


if __name__ == "__main__":
    main()
