import torch


def update_counts(deltas, epsilon):
    """For each element, how many of the experts changed it."""
    return sum((delta.abs() > epsilon).float() for delta in deltas)


def add_updates(base, deltas, factors, epsilon):
    """Changes of one expert alone enter times its factor, those of several as their mean."""
    counts, total = update_counts(deltas, epsilon), base * 0
    for delta, factor in zip(deltas, factors):
        share = torch.where(counts == 1, delta * factor, delta / counts.clamp(min=1))
        total += torch.where(delta.abs() > epsilon, share, 0.0)
    return total + base
