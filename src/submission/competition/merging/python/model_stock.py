import torch


def model_stock(group, name, base, inputs):
    """As far from the base to the experts' mean as the angles between them say, for the tensor or for each row."""
    width = max(base.shape[-1] if group["filter_wise"] and base.ndim else base.numel(), 1)
    origin = base.reshape(-1, width)
    experts = [tensor.reshape(-1, width) for tensor in inputs]
    deltas = [expert - origin for expert in experts]
    cosine, pairs, count = torch.zeros(len(origin), dtype=torch.float64), 0, len(experts)
    squares = [row_products(delta, delta) for delta in deltas]
    for i in range(count):
        for j in range(i + 1, count):
            norms = (squares[i] * squares[j]).sqrt().clamp(min=1e-6)
            cosine += (row_products(deltas[i], deltas[j]) / norms).clamp(-1, 1)
            pairs += 1
    cosine /= max(pairs, 1)
    divisor = 1 + (count - 1) * cosine
    ratio = torch.where(divisor.abs() < 1e-6, 0.0, count * cosine / divisor).float().unsqueeze(-1)
    return (ratio * (sum(experts) / count) + (1 - ratio) * origin).view_as(base)
