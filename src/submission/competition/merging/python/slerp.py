import math


def slerp(group, name, base, inputs):
    """From the base along the arc to the other, each tensor one vector; nearly parallel ones along the chord."""
    tensor, t = next(inputs), group["t"]
    norms = [math.sqrt(dot(x, x)) for x in (base, tensor)]
    norms = [norm if norm > 1e-8 else 1.0 for norm in norms]
    cosine = max(-1.0, min(1.0, dot(base, tensor) / (norms[0] * norms[1])))
    if abs(cosine) > 0.9995:
        return base * (1 - t) + tensor * t
    angle = math.acos(cosine)
    to_base, to_tensor = (math.sin(share * angle) / math.sin(angle) for share in (1 - t, t))
    return base * to_base + tensor * to_tensor
