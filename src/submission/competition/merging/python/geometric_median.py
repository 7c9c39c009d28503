import torch


def geometric_median(group, name, base, inputs):
    """The point whose weighted distances to the models sum to the least (Weiszfeld; Vardi and Zhang 2000)."""
    points = list(inputs)
    products = gram([point - points[0] for point in points])
    norms = products.diagonal()
    squares = (norms[:, None] + norms[None, :] - 2 * products).clamp(min=0)
    weights = torch.tensor(group["weights"], dtype=torch.float64)
    median = weiszfeld(squares, weights / weights.sum(), group)
    return combination(median * group["lambda"], differences(base, points), base)


def weiszfeld(squares, weights, group):
    """Coefficients of the median of points with these squared distances."""
    for i, vertex in enumerate(torch.eye(len(weights), dtype=torch.float64)):
        _, force, held = pull(squares, weights, vertex)
        if weights[i] > 0 and force < (1 - 1e-9) * held:
            return vertex
    point, spread = weights, squares.max().sqrt().item()
    for _ in range(group["max_iter"]):
        target, force, held = pull(squares, weights, point)
        stay = min(held / force, 1.0) if held > 0 and force > 0 else float(held > 0)
        step = (1 - stay) * target + stay * point
        moved, point = distance(squares, step - point), step
        if moved <= group["tol"] * spread:
            break
    return point


def pull(squares, weights, point):
    """Where the points elsewhere draw to, how strongly, and the weight of those at the point itself."""
    means = squares @ point
    distances = (means - means @ point / 2).clamp(min=0).sqrt()
    here = distances <= 1e-7 * squares.max().sqrt()
    shares = torch.where(here, 0.0, weights / distances)
    held, total = weights[here].sum().item(), shares.sum().item()
    if total == 0:
        return point, 0.0, held
    return shares / total, total * distance(squares, shares / total - point), held


def distance(squares, difference):
    """Length of a difference of two points, by their coefficients."""
    return (-(difference @ squares @ difference) / 2).clamp(min=0).sqrt().item()
