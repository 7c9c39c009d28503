def task_vectors(group, name, base, inputs):
    """Task arithmetic: the experts' weighted differences from the base are added to it."""
    total = base * 0
    for number, tensor in enumerate(inputs):
        total += weighted_delta(group, name, number, tensor - base)
    return base + total / group["divisor"] * group["lambda"]
