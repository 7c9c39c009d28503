class Reader:
    """A model's tokenizer as its tokenizer.json says, which classes of transformers follow in some versions only, and
    the tokens that its settings name."""

    def __init__(self, folder, config):
        model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        self.ignores_merges = bool(model.get("ignore_merges"))
        self.tokenizer = open_tokenizer(folder / "tokenizer.json")
        settings = folder / "tokenizer_config.json"
        settings = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
        self.tokenizer_class = settings.get("tokenizer_class")
        eos = settings.get("eos_token")
        eos = eos.get("content") if isinstance(eos, dict) else eos
        ends = config.eos_token_id
        ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
        named = self.tokenizer.token_to_id(eos) if eos else None
        bos = getattr(config, "bos_token_id", None)
        self.start = bos if bos is not None else next(iter(ends), None)
        self.eos = named if named is not None else next(iter(ends), None)
        self.stops = {*ends, self.eos}

    def tokens(self, text, special=True):
        encoding = self.tokenizer.encode(text, add_special_tokens=special)
        if not self.ignores_merges:
            return encoding.ids
        # Words of the vocabulary are taken whole; the tokenizers library of transformers 4.39 does not know that yet.
        ids = []
        for word, own in itertools.groupby(zip(encoding.word_ids, encoding.ids), lambda pair: pair[0]):
            own = [token for _, token in own]
            whole = None if word is None else "".join(map(self.tokenizer.id_to_token, own))
            whole = None if whole is None else self.tokenizer.token_to_id(whole)
            ids += own if whole is None else [whole]
        return ids

    def read(self, text):
        """With the tokenizer's special tokens, unless the text itself begins with the first of them."""
        start = None if self.start is None else self.tokenizer.id_to_token(self.start)
        return self.tokens(text, special=start is None or not text.startswith(start))

    def text(self, tokens):
        """Without special tokens, cut where the end token is spelled out."""
        eos = None if self.eos is None else self.tokenizer.id_to_token(self.eos)
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text.split(eos)[0] if eos else text


def open_tokenizer(path):
    settings = json.loads(path.read_text(encoding="utf-8"), object_hook=as_before)
    tokenizer = Tokenizer.from_str(json.dumps(settings))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def as_before(part):
    """What the tokenizers library of transformers 4.39 knows in its older form only: pairs to merge, and whether a
    blank comes first."""
    merges = part.get("merges")
    if isinstance(merges, list) and all(isinstance(pair, list) and " " not in "".join(pair) for pair in merges):
        part["merges"] = [" ".join(pair) for pair in merges]
    if part.get("type") == "Metaspace":
        part.setdefault("add_prefix_space", part.get("prepend_scheme") != "never")
    return part
