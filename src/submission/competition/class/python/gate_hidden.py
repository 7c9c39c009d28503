class FirstLayers:
    """The first layers of a model that is not merged."""

    def __init__(self, device):
        self.layer = RECIPE["router"]["gate"]["features"]["hidden"]["layer"]
        base = RECIPE["router"]["base"]
        # A list of the layers' kinds would have to be cut too; without one they follow from the family.
        config = network_config(base, {"num_hidden_layers": max(self.layer, 1), "layer_types": None})
        with torch.device(device):
            self.model = AutoModel.from_config(config, torch_dtype=torch.float32).eval()
        # States behind the last layer come through the norm.
        self.model.norm = torch.nn.Identity()
        for name, parameter in self.model.named_parameters():
            parameter.data.copy_(read_tensor(base, f"{self.model.base_model_prefix}.{name}"))
        self.reader = Reader(Path(model_folder(base)), config)

    def states(self, text):
        """At the input of the layer, each divided by its root mean square."""
        tokens = self.reader.read(text.rstrip()) or [self.reader.start]
        tokens = torch.tensor([tokens[-self.model.config.max_position_embeddings :]], device=self.model.device)
        states = self.model(tokens, output_hidden_states=True).hidden_states[self.layer][0]
        states = states.double().cpu().numpy()
        return states / numpy.maximum(numpy.sqrt((states**2).mean(1, keepdims=True)), 1e-300)


@functools.cache
def first_layers():
    return FirstLayers("cuda" if torch.cuda.is_available() else "cpu")


def features(text, choices):
    states = first_layers().states(text)
    return states.mean(0) if RECIPE["router"]["gate"]["features"]["hidden"]["pool"] == "mean" else states[-1]
