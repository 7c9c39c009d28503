def nearswap(group, name, base, inputs):
    """The expert's elements where they are nearer to the base's than t, and a share of t of the way where not."""
    tensor = next(inputs)
    share = (group["t"] / (base - tensor).abs().clamp(min=1e-6)).clamp(0, 1)
    return share * tensor + (1 - share) * base
