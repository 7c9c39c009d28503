import math

import torch


def multislerp(group, name, base, inputs):
    """In the direction of the weighted mean of the directions, as long as the weighted mean of the lengths."""
    inputs = list(inputs)
    if len(inputs) == 1:
        return inputs[0].clone()
    vectors = differences(base, inputs)
    products = gram(vectors)
    weights = torch.tensor(group["weights"], dtype=torch.float64)
    weights = weights / weights.sum() if group["normalize"] else weights
    norms = products.diagonal().sqrt()
    mean, eps = weights / (norms + group["eps"]), group["eps"]
    size = length(products, mean)
    if size >= eps and size > 0:
        return combination(mean * ((weights @ norms).item() / size * math.cos(eps)), vectors, base)
    if len(vectors) > 2 and norms.any():
        raise ValueError(f"the directions of the models cancel in {name}")
    return combination(weights, vectors, base)
