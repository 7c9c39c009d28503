def ramplus_tl(group, name, base, inputs):
    """RAM with an expert's own changes amplified, the more so the more it shares with others."""
    deltas, epsilon = [tensor - base for tensor in inputs], group["epsilon"]
    counts, factors = update_counts(deltas, epsilon), []
    for delta in deltas:
        changed = delta.abs() > epsilon
        alone = int((changed & (counts == 1)).sum())
        ratio = (int(changed.sum()) - alone) / max(alone, epsilon)
        factors.append(1 + group["r"] * min(ratio, group["alpha"]))
    return add_updates(base, deltas, factors, epsilon)
