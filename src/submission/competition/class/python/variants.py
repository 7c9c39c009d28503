class Variants:
    """Several merges as one network: what they have alike is in memory once, the rest is swapped in."""

    def __init__(self, model):
        self.model, self.layers = model, model.model.layers  # unlike
        self.parameters = named_tensors(model)
        self.current = 0
        own = [{}] + [self.differing(model, merge) for merge in range(1, len(RECIPE["merges"]))]
        first = {name: self.parameters[name].data for names in own for name in names}
        self.weights = [{**first, **weights} for weights in own]
        self.extra = {f"{merge}.{name}": own[merge][name] for merge in range(len(own)) for name in own[merge]}

    def differing(self, model, merge):
        weights = {}
        for name, tensor in merged_tensors(merge):
            name = spelled(model, self.parameters, name)
            like = self.parameters[name]
            weights[name] = tensor.to(like.device, like.dtype, copy=True).contiguous()
        return weights

    def use(self, merge):
        if merge != self.current:
            for name, weight in self.weights[merge].items():
                self.parameters[name].data = weight
            self.model.model.layers = self.layers[: RECIPE["layers"][merge]]  # unlike
            self.model.config.num_hidden_layers = RECIPE["layers"][merge]  # unlike
            self.current = merge
