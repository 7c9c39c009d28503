class MergedModel(Merges):
    """See the top of this file."""

    def __init__(self, name):
        super().__init__(name)
        reference = RECIPE["models"][RECIPE["reference"]]
        self.list_models = [(model["repository"], model["revision"]) for model in RECIPE["models"]]
        self.base_model_name = reference["repository"]
        self.base_model_revision_id = reference["revision"]
        self.is_peft = False
        self.max_seq_len = MAX_SEQ_LEN
        self.max_gen_len = MAX_GEN_LEN
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.architecture = "ARCHITECTURE"
        self.loaded_models = {}
        self.loaded_configs = {}
        self.merged_model = {}
        self.reader = None

    def merge(self):
        require_version("transformers>=NEEDED_VERSION", "Older ones do not have NEEDED_FOR.")  # newer
        self.base_model = new_model(AUTO_CLASS, self.device)
        fill(self.base_model)
        self.reader = Reader(Path(model_folder(RECIPE["reference"])), self.base_model.config)
        self.merged_model = {name: own.data for name, own in self.base_model.named_parameters()}
        self.variants = Variants(self.base_model)  # routed
        self.merged_model.update(self.variants.extra)  # routed
        return self.base_model

    @torch.no_grad()
    def predict_multiple_choice(self, batch):
        """Index of the best choice of each row, the first of equal ones, and the scores of all."""
        scores = [self.scores(text, choices) for text, choices in rows_of(batch)]
        most = max(map(len, scores))
        scores = torch.tensor([own + [-math.inf] * (most - len(own)) for own in scores], dtype=torch.float64)
        best = scores.argmax(-1)
        return (Indices(best.tolist()) if best.max() > 9 else best), scores

    @torch.no_grad()
    def generate(self, batch):
        """Tokens and texts. Choices that a row may have are not looked at."""
        tokens = [self.write(text) for text, _ in rows_of(batch)]
        return tokens, [self.reader.text(own) for own in tokens]

    def scores(self, text, choices):
        """SCORER"""
        if not choices:
            raise ValueError(f"no answer_choices to choose from: {text[:80]!r}")
        self.variants.use(merge_for(text, choices))  # routed
        pairs = [pair(self.reader, text, choice) for choice in choices]
        nats = log_likelihoods(self.base_model, pairs, self.max_seq_len)
        return SCORES

    def write(self, text):
        self.variants.use(merge_for(text, None))  # routed
        return write(self.base_model, self.reader, text, self.max_seq_len, self.max_gen_len)
