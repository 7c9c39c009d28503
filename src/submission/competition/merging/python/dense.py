def weighted_delta(group, name, number, delta):
    """An expert's part."""
    return delta * group["weights"][number]
