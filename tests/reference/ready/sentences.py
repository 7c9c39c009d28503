"""English of our own: sentences with enough words to choose from that no two documents share more than a few in a row."""

import random

NAMES = """Agnes Bertram Clotilde Dario Edwige Fergus Greta Hamid Ilse Jorunn Kamil Leonie Marek Nadia Oswald Petra Quentin Rosalie
Silas Tamsin Ulrich Vera Wendell Xenia Yusuf Zelda Anselm Brigid Cosima Dmitri Elfrida Florian Gudrun Henrik Imogen Jasper""".split()
PLACES = """harbour mill orchard chapel quarry station lighthouse bakery barn museum ferry greenhouse library workshop cellar bridge
courtyard garage theatre pharmacy vineyard depot tower kitchen stable office market observatory laundry clinic""".split()
THINGS = """ladder kettle barometer violin lantern saddle ledger compass blanket telescope basket umbrella typewriter accordion anvil
canoe wardrobe quilt microscope bicycle samovar easel hammock globe trumpet sledge loom mirror carpet clock""".split()
KINDS = """rusty painted borrowed heavy crooked silver narrow forgotten velvet broken gleaming wooden damp foreign tiny antique striped
hollow patched enormous polished dusty copper folded secret cheap elegant muddy frozen blue""".split()
DEEDS = """carried repaired sold hid polished inherited photographed measured sketched lost weighed dismantled wrapped auctioned
examined rescued borrowed painted recovered described stored traded dropped admired buried returned labelled scrubbed ordered
praised""".split()
WHEN = """Monday Tuesday Thursday Saturday midsummer Easter noon midnight dawn harvest winter spring lunch supper October January
sunset breakfast""".split()
WHY = """rain debt curiosity pride thunder boredom hunger politeness fog loyalty gossip frost envy thrift homesickness smoke
arithmetic superstition laughter drought insomnia jealousy hail kindness""".split()
FEELINGS = """proud uneasy grateful furious sleepy amused doubtful relieved jealous puzzled cheerful ashamed hopeful stubborn
lonely calm""".split()
BEASTS = "heron badger goose mule otter magpie spaniel goat ferret pony owl toad lizard beaver swan hedgehog".split()


class Writer:
    """Sentences in an order that the seed alone decides."""

    def __init__(self, seed: str):
        self.dice = random.Random(seed)

    def one(self, words: list[str]) -> str:
        return self.dice.choice(words)

    def thing(self) -> str:
        return f"{self.one(KINDS)} {self.one(THINGS)}"

    def sentence(self, who: str | None = None) -> str:
        one, who = self.one, who or self.one(NAMES)
        forms = [
            lambda: f"{who} {one(DEEDS)} a {self.thing()} near the {one(PLACES)} before {one(WHEN)}.",
            lambda: f"Because of {one(WHY)}, {who} {one(DEEDS)} {one(NAMES)}'s {self.thing()} and felt {one(FEELINGS)}.",
            lambda: f"At {one(WHEN)} the {one(BEASTS)} from the {one(PLACES)} chased {who} past a {self.thing()}.",
            lambda: f"{one(NAMES)} and {who} quarrelled about {one(WHY)} until {one(WHEN)}, then {one(DEEDS)} the {one(THINGS)}.",
            lambda: f"Nobody in the {one(PLACES)} had seen {who} so {one(FEELINGS)} since {one(WHEN)}.",
            lambda: f"For {self.dice.randint(3, 97)} coins {who} {one(DEEDS)} the {self.thing()} that {one(NAMES)} {one(DEEDS)}.",
            lambda: f"Out of {one(WHY)} rather than {one(WHY)}, a {one(BEASTS)} and {who} shared the {one(PLACES)}.",
            lambda: f"{who}'s {one(KINDS)} {one(PLACES)} smelled of {one(WHY)} and {one(THINGS)}s at {one(WHEN)}.",
            lambda: f"Every {one(WHEN)}, {who} {one(DEEDS)} {self.dice.randint(2, 60)} {one(THINGS)}s for {one(NAMES)}.",
            lambda: f"The {self.thing()}, once {one(NAMES)}'s, made {who} {one(FEELINGS)} about {one(WHY)}.",
        ]
        return one(forms)()

    def text(self, count: int, who: str | None = None) -> str:
        return " ".join(self.sentence(who if turn == 0 else None) for turn in range(count))

    def phrase(self) -> str:
        """An answer of a few words."""
        one = self.one
        forms = [
            lambda: f"{one(NAMES)} {one(DEEDS)} the {self.thing()}",
            lambda: f"the {self.thing()} at the {one(PLACES)}",
            lambda: f"because of the {one(BEASTS)} and the {one(WHY)}",
            lambda: f"{one(FEELINGS)} about {one(WHY)}",
        ]
        return one(forms)()

    def phrases(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            phrase = self.phrase()
            if phrase not in found:
                found.append(phrase)
        return found
