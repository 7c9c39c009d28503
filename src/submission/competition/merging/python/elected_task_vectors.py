import torch


def elected_task_vectors(group, name, base, inputs):
    """TIES: of the weighted differences only those that have the sign of their sum."""
    deltas = [weighted_delta(group, name, number, tensor - base) for number, tensor in enumerate(inputs)]
    elected, total, divisor = base * 0, base * 0, base * 0
    for delta in deltas:
        elected += delta
    for delta, weight in zip(deltas, group["weights"]):
        agrees = torch.where(elected >= 0, delta, -delta) > 0
        total += torch.where(agrees, delta, 0.0)
        divisor += agrees.float() * weight
    if group["normalize"]:
        total /= torch.where(divisor != 0, divisor, 1.0)
    return base + total * group["lambda"]
