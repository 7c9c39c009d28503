import torch


def keep_ranked(group, name, number, delta):
    """Each element with a probability that rises with the rank of its size in the row (DELLA)."""
    density, epsilon = group["density"][number], group["epsilon"][number]
    probability = density + 0.0 * delta.double()
    width = delta.shape[-1] if delta.ndim else 1
    if width > 1:
        ranks = torch.arange(width) * (1 << 16) // max(width, 1 << 16)
        order = delta.abs().view(-1, width).sort(stable=True).indices
        shares = (ranks.double() / ranks[-1]).expand(order.shape)
        places = torch.empty_like(shares).scatter_(1, order, shares)
        probability = (density - epsilon + 2.0 * epsilon * places).view_as(delta)
    mask = random_mask(group, name, number, threshold(probability.flatten().numpy()))
    return torch.from_numpy(mask).view_as(delta), probability
