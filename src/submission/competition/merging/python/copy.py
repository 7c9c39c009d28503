def copy(group, name, base, inputs):
    """A model's tensor as it is."""
    return next(inputs).clone()
