import math

import torch


def karcher(group, name, base, inputs):
    """In the direction whose squared angles to all sum to the least, as long as they are on average."""
    vectors = list(inputs)
    if len(vectors) == 1:
        return vectors[0].clone()
    products = gram(vectors)
    norms = products.diagonal().sqrt()
    inverse = torch.where(norms > group["tol"], 1 / norms, 0.0)
    mean = karcher_mean(products * inverse.outer(inverse), (inverse > 0).double(), group)
    return combination(mean * inverse * norms.mean(), vectors, None)


def karcher_mean(products, valid, group):
    """Coefficients of unit vectors with these scalar products."""
    tol, weights = group["tol"], valid / valid.sum().clamp(min=1)
    mean = unit(products, weights, tol)
    if length(products, weights) < tol:
        mean = (torch.arange(len(weights)) == weights.argmax()).double() * valid
    for _ in range(group["max_iter"]):
        tangent = torch.zeros_like(mean)
        for i in weights.nonzero().flatten().tolist():
            cosine = (products[i] @ mean).clamp(-1, 1).item()
            angle = math.acos(cosine)
            if tol <= angle <= math.pi - 1e-6:
                pull = weights[i] * angle / max(math.sin(angle), 2.3e-308)
                tangent[i] += pull
                tangent -= pull * cosine * mean
        step = length(products, tangent)
        if step < tol or step == 0:
            break
        mean = unit(products, math.cos(step) * mean + math.sin(step) / step * tangent, tol)
    return mean


def unit(products, coefficients, tol):
    size = length(products, coefficients)
    return coefficients / size if size > tol else coefficients
