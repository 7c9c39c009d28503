def keep_largest(group, name, number, delta):
    """A share of the largest, at least one element."""
    count = max(int(group["density"][number] * delta.numel()), 1)
    return largest(delta.abs(), count), 1.0
