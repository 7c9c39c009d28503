import numpy
import torch


def keep_random(group, name, number, delta):
    """Each element with the same probability (DARE)."""
    density = group["density"][number]
    thresholds = numpy.broadcast_to(threshold(numpy.float64(density)), delta.numel())
    return torch.from_numpy(random_mask(group, name, number, thresholds)).view_as(delta), density
