def ram(group, name, base, inputs):
    """What one expert changed is kept whole, what several changed is averaged."""
    deltas = [tensor - base for tensor in inputs]
    return add_updates(base, deltas, [1.0] * len(deltas), group["epsilon"])
