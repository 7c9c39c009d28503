def merged_tensors(merge):
    """Name and values of each tensor of a merge; of the merges behind the first only what differs from the first."""
    for group in RECIPE["merges"][merge]:
        models = ([group["base"]] if "base" in group else []) + group["inputs"]
        for layer in group.get("layers", [""]):
            to, *layers = layer if isinstance(layer, list) else [layer] * (1 + len(models))
            for pattern in RECIPE["names"][group["names"]]:
                patterns = group.get("read", [pattern] * len(models))
                sources = [read.replace("{}", str(number)) for read, number in zip(patterns, layers)]
                name = pattern.replace("{}", str(to))
                yield name, merged(group, name, zip(models, sources))


def merged(group, name, sources):
    """One tensor; what it is made of is read when it is needed."""
    tensors = (read_tensor(model, source) for model, source in sources)
    base = next(tensors) if "base" in group else None
    return OPERATIONS[group["operation"]](group, name, base, tensors)
