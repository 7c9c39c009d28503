class Block(torch.nn.Module):
    """A Llama's feed-forward block under a Mixtral's names."""

    def __init__(self, config):
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.w1 = torch.nn.Linear(width, inner, bias=False)
        self.w3 = torch.nn.Linear(width, inner, bias=False)
        self.w2 = torch.nn.Linear(inner, width, bias=False)
        self.act = ACT2FN[config.hidden_act]

    def forward(self, x):
        return self.w2(self.act(self.w1(x)) * self.w3(x))


class Mixture(torch.nn.Module):
    """A few of several feed-forward blocks for each token, as a Mixtral has them."""

    def __init__(self, config):
        super().__init__()
        self.gate = torch.nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = torch.nn.ModuleList(Block(config) for _ in range(config.num_local_experts))
        self.top = config.num_experts_per_tok

    def forward(self, x):
        shares, chosen = self.gate(x).float().softmax(-1).topk(self.top)
        shares = (shares / shares.sum(-1, keepdim=True)).to(x.dtype)
        out = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows = (chosen == index).any(-1)
            share = torch.where(chosen == index, shares, 0).sum(-1, keepdim=True)
            out[rows] = out[rows] + share[rows] * expert(x[rows])
        return out


def new_model(kind, device):
    """The reference's network with mixtures in place of feed-forward blocks, its weights not set yet."""
    # A Mixtral's class has no layers without mixture, and other names in each version of transformers.
    changes = {key: value for key, value in RECIPE["config"].items() if key != "model_type"}
    config = network_config(RECIPE["reference"], changes)
    dense = changes.get("merge_search_dense_layers", [])
    with torch.device(device):
        model = kind.from_config(config, torch_dtype=getattr(torch, RECIPE["dtype"]))
        for index, layer in enumerate(model.model.layers):
            if index not in dense:
                # The second name is the one in checkpoints.
                layer.mlp = layer.block_sparse_moe = Mixture(config).to(model.dtype)
    return model.eval()
