import torch


def weighted_delta(group, name, number, delta):
    """An expert's part: some elements left out, the others scaled up for them."""
    if "keep" in group:
        delta = sparse(group, name, number, delta)
    return delta * group["weights"][number]


def sparse(group, name, number, delta):
    """What is kept of a difference from the base."""
    density = group["density"][number]
    if density >= 1:
        return delta
    if density <= 0:
        return delta * 0
    kept, probability = KEEPING[group["keep"]](group, name, number, delta)
    rest = torch.where(kept, delta, 0.0)
    if group.get("rescale") == "probability":
        return rest * torch.as_tensor(1 / probability, dtype=torch.float32)
    if group.get("rescale") == "norm":
        before, after = (x.abs().sum(dtype=torch.float64).item() for x in (delta, rest))
        return rest * (before / after if min(before, after) >= 1e-7 else 1.0)
    return rest
