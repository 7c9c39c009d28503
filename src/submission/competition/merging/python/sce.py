import torch


def sce(group, name, base, inputs):
    """Mean of the differences from the base weighted by their squares, over those that have the sign of their sum."""
    deltas = [tensor - base for tensor in inputs]
    if group["select_topk"] < 1:
        kept = most_varied(deltas, group["select_topk"])
        deltas = [torch.where(kept, delta, 0.0) for delta in deltas]
    energies = torch.tensor([dot(delta, delta) / max(delta.numel(), 1) for delta in deltas], dtype=torch.float32)
    equal = torch.full_like(energies, 1 / len(deltas))
    weights = energies / energies.sum() if energies.sum() >= 1e-6 else equal
    elected, total, divisor = base * 0, base * 0, base * 0
    for delta in deltas:
        elected += delta
    for delta, weight in zip(deltas, weights.tolist()):
        weight = (torch.where(elected >= 0, delta, -delta) > 0).float() * weight
        total += delta * weight
        divisor += weight
    return base + total / divisor.clamp(min=1e-6)


def most_varied(deltas, share):
    """Where the deltas differ most from each other: a share of the elements that differ at all."""
    parts = zip(*(delta.flatten().split(1 << 22) for delta in deltas))
    variances = torch.cat([variance(part) for part in parts]).view_as(deltas[0])
    varied, share = (torch.tensor(x, dtype=torch.float32) for x in (int((variances != 0).sum()), max(share, 0.0)))
    return largest(variances, min(int(varied * share), int((variances != 0).sum())))


def variance(tensors):
    mean = sum(tensor.double() for tensor in tensors) / len(tensors)
    return (sum((tensor.double() - mean) ** 2 for tensor in tensors) / len(tensors)).float()
