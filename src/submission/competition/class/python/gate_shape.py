def features(text, choices):
    """A choice or a text, the prompt's length, the number of choices."""
    choice = float(choices is not None)
    return numpy.array([choice, 1 - choice, numpy.log2(1 + len(text)), len(choices or [])])
