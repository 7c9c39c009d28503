def linear(group, name, base, inputs):
    """Weighted sum, divided by the sum of the weights where that is asked for."""
    total = next(inputs) * group["weights"][0]
    for weight, tensor in zip(group["weights"][1:], inputs):
        total += tensor * weight
    return total.div_(group["divisor"])
