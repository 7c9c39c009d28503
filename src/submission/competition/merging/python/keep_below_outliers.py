def keep_below_outliers(group, name, number, delta):
    """A share of the largest below the very largest (model breadcrumbs)."""
    count = delta.numel()
    kept = int(group["density"][number] * count)
    among = min(kept + int(group["gamma"][number] * count), count)
    size = delta.abs()
    return largest(size, among) & ~largest(size, among - kept), 1.0
