import torch


def nuslerp(group, name, base, inputs):
    """From the first along the arc to the second, for the whole tensor or for each of its rows or columns."""
    first, second = group["weights"]
    t = second / (first + second) if abs(first + second) >= 1e-6 else 0.5
    vectors = differences(base, inputs)
    x, y = (lines(vector, group["axis"]) for vector in vectors)
    norms = [row_products(line, line).sqrt().clamp(min=1e-7) for line in (x, y)]
    cosine = (row_products(x, y) / (norms[0] * norms[1])).clamp(-1, 1)
    angle, straight = cosine.acos(), cosine.float().abs() == 1
    arcs = [torch.where(straight, share, (share * angle).sin() / angle.sin()) for share in (1 - t, t)]
    to_x, to_y = (arc.float().unsqueeze(-1) for arc in arcs)
    mixed = to_x * x + to_y * y
    mixed = (mixed.T if group["axis"] == "first" else mixed).reshape(vectors[0].shape)
    return mixed if base is None else mixed + base


def lines(tensor, axis):
    """A matrix whose rows are what counts as one vector."""
    if axis == "whole" or tensor.ndim == 0:
        return tensor.reshape(1, -1)
    return tensor.reshape(-1, tensor.shape[-1]) if axis == "last" else tensor.reshape(tensor.shape[0], -1).T
