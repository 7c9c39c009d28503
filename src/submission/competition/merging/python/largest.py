import numpy
import torch


def largest(values, count):
    """Where the `count` largest of numbers above 0 are, the first of equal ones."""
    if count <= 0 or count >= values.numel():
        return torch.full_like(values, count > 0, dtype=torch.bool)
    flat = values.flatten()
    rank = flat.numel() - count
    least = torch.from_numpy(numpy.partition(flat.numpy(), rank))[rank]
    kept = flat > least
    equal = (flat == least).nonzero().flatten()
    kept[equal[: count - int(kept.sum())]] = True
    return kept.view_as(values)
