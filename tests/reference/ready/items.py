"""Made-up items: messages of conversations, sums in words, puzzles."""

import hashlib

from sentences import KINDS, NAMES, PLACES, THINGS, WHEN, Writer

SCORES = "toxicity severe_toxicity obscene identity_attack insult threat sexual_explicit".split()


def hexadecimal(word: str, length: int) -> str:
    return hashlib.sha1(word.encode()).hexdigest()[:length]


class Tree:
    """Messages of one conversation, parents first."""

    def __init__(self, write: Writer, number: int, lang: str):
        self.write, self.lang, self.rows = write, lang, []
        self.id = self.grow(None, "prompter", None, number)

    def grow(self, parent: str | None, role: str, rank: int | None, salt: int) -> str:
        digits = hexadecimal(f"{self.lang} {salt} {len(self.rows)} {self.write.dice.random()}", 32)
        name = "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])
        tree = self.rows[0]["message_tree_id"] if self.rows else name
        scores = {"name": ["spam", "quality"], "value": [0.0, 0.75], "count": [3, 3]}
        row = {
            **{"message_id": name, "parent_id": parent, "user_id": hexadecimal(f"user {salt}", 32), "role": role},
            **{"created_date": "2023-02-05T14:23:50.983374+00:00", "text": self.write.text(3), "lang": self.lang},
            **{"review_count": 3, "review_result": True, "deleted": False, "rank": rank, "synthetic": False},
            **{"model_name": None, "message_tree_id": tree, "tree_state": "ready_for_export", "labels": scores},
            "detoxify": {name: 0.000244140625 for name in SCORES} if parent else None,
            "emojis": {"name": ["+1"], "count": [1]} if rank == 0 else None,
        }
        self.rows.append(row)
        return name

    def replies(self, parent: str, count: int, salt: int) -> str:
        """Ranked replies; the best one stands last, as rows of a tree are in no order of rank."""
        return [self.grow(parent, "assistant", rank, salt) for rank in reversed(range(count))][-1]


def conversations(seed: str, trees: int) -> list[dict]:
    write, rows = Writer(seed), []
    for number in range(trees):
        tree = Tree(write, number, "es" if number % 7 == 3 else "en")
        best = tree.replies(tree.id, 1 + number % 3, number)
        if number % 2 == 0:  # a second turn
            question = tree.grow(best, "prompter", None, number)
            tree.replies(question, 2, number)
        if number % 5 == 1:  # nobody has ranked this reply
            tree.grow(tree.id, "assistant", None, number)
        rows += tree.rows
    return rows


def biased(write: Writer, at: int) -> dict:
    """A row: even ones do not tell who it was, odd ones do."""
    place, thing = write.one(PLACES), write.thing()
    people = [(f"The grandmother from the {place}", "old"), (f"The granddaughter from the {place}", "nonOld")]
    options = [*people, ("Cannot be determined", "unknown")]
    write.dice.shuffle(options)
    right = "unknown" if at % 2 == 0 else "old"
    told = "" if at % 2 == 0 else " The grandmother was the one, as the granddaughter had left early."
    row = {f"ans{i}": text for i, (text, _) in enumerate(options)}
    return row | {
        **{"example_id": at, "question_index": at // 4 + 1, "question_polarity": ["neg", "nonneg"][at // 2 % 2]},
        **{"context_condition": ["ambig", "disambig"][at % 2], "category": "Age"},
        "answer_info": {f"ans{i}": [text, group] for i, (text, group) in enumerate(options)},
        "additional_metadata": {"subcategory": "None", "stereotyped_groups": ["old"], "version": "a", "source": ""},
        "context": f"A grandmother and her granddaughter met at the {place} on {write.one(WHEN)}. {write.sentence()}{told}",
        "question": f"Who could not find the {thing}?",
        "label": [group for _, group in options].index(right),
    }


def sum_in_words(write: Writer) -> dict:
    who, thing, each, count = write.one(NAMES), write.one(THINGS), write.dice.randint(120, 900), write.dice.randint(3, 9)
    whole, gone = each * count, write.dice.randint(10, 99)
    question = f"{write.text(2)} {who} buys {count} {write.one(KINDS)} {thing}s for ${each} each, and pays {gone} dollars less "
    question += f"because of a scratch. How many dollars does {who} pay?"
    answer = f"The {thing}s cost {count} * {each} = $<<{count}*{each}={whole}>>{whole}.\n"
    answer += f"{who} pays {whole} - {gone} = $<<{whole}-{gone}={whole - gone}>>{whole - gone}.\n#### {whole - gone:,}"
    return {"question": question, "answer": answer}


def boolean(write: Writer) -> dict:
    words = [write.one(["True", "False", "not True", "not False", "not ( True )"]) for _ in range(4)]
    text = "".join(f"{word} {write.one(['and', 'or'])} " for word in words) + write.one(["True", "False"])
    return {"input": f"{text} is", "target": str(bool(eval(text)))}  # noqa: S307: our own four words


def deduction(write: Writer) -> dict:
    things = write.dice.sample(THINGS, 3)
    order = write.dice.sample(things, 3)
    text = f"On a shelf there are three things: {', '.join(things)}. The {order[0]} is to the left of the {order[1]}. "
    text += f"The {order[2]} is the rightmost.\nOptions:\n"
    text += "\n".join(f"({letter}) The {thing} is the leftmost" for letter, thing in zip("ABC", things))
    return {"input": text, "target": f"({'ABC'[things.index(order[0])]})"}


def counting(write: Writer) -> dict:
    counts = [write.dice.randint(2, 6) for _ in range(4)]
    things = ", ".join(f"{count} {thing}s" for count, thing in zip(counts, write.dice.sample(THINGS, 4)))
    return {"input": f"I have {things}. How many objects do I have?", "target": str(sum(counts))}


def sorting(write: Writer) -> dict:
    words = write.dice.sample(THINGS + PLACES, 6)
    return {"input": f"Sort the following words alphabetically: List: {' '.join(words)}", "target": " ".join(sorted(words))}
