class Reader:
    """A model's tokenizer as its tokenizer.json says, which classes of transformers follow in some versions only, and the
    tokens that its settings name."""

    def __init__(self, folder, config):
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
        return self.tokenizer.encode(text, add_special_tokens=special).ids

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
    settings = json.loads(path.read_text(encoding="utf-8"))
    # The tokenizers library of transformers 4.39 knows pairs to merge by the blank between them only.
    merges = settings["model"].get("merges", [])
    if all(isinstance(pair, list) and " " not in "".join(pair) for pair in merges):
        settings["model"]["merges"] = [" ".join(pair) for pair in merges]
    tokenizer = Tokenizer.from_str(json.dumps(settings))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
