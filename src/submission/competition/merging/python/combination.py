import torch


def differences(base, inputs):
    """What the inputs differ by from the base, or the inputs themselves without one."""
    return list(inputs) if base is None else [tensor - base for tensor in inputs]


def combination(coefficients, vectors, base):
    """Sum of the vectors times their coefficients, on top of the base if there is one."""
    total = vectors[0] * 0
    for coefficient, vector in zip(coefficients, vectors):
        total += vector * float(coefficient)
    return total if base is None else total.add_(base)


def gram(vectors):
    """Scalar products of all pairs."""
    return torch.tensor([[dot(x, y) for y in vectors] for x in vectors], dtype=torch.float64)


def length(products, coefficients):
    """Length of a combination of vectors with these scalar products."""
    return (coefficients @ products @ coefficients).clamp(min=0).sqrt().item()
