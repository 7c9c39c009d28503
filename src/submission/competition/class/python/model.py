def new_model(kind, device):
    """The reference's network, its weights not set yet."""
    config = network_config(RECIPE["reference"], RECIPE["config"])
    with torch.device(device):
        return kind.from_config(config, torch_dtype=getattr(torch, RECIPE["dtype"])).eval()


def named_tensors(model):
    """Weights by all their names (tied ones have several), and buffers: a BART keeps a bias in one."""
    return dict(model.named_buffers(remove_duplicate=False)) | dict(model.named_parameters(remove_duplicate=False))


def spelled(model, parameters, name):
    """A tensor's name in the model: checkpoints may lack the word that a class with a head puts in front."""
    full = f"{model.base_model_prefix}.{name}"
    found = next((own for own in (name, full) if own in parameters), None)
    if found is None:
        raise ValueError(f"the merge has a tensor {name}, and {type(model).__name__} has not")
    return found


def fill(model):
    """Sets every weight, one merged tensor at a time."""
    parameters = named_tensors(model)
    given = set()
    for name, tensor in merged_tensors(0):
        parameter = parameters[spelled(model, parameters, name)]
        parameter.data.copy_(tensor)
        given.add(id(parameter))
    missing = [name for name, parameter in model.named_parameters() if id(parameter) not in given]
    if missing:
        raise ValueError(f"the merge has no tensor for {', '.join(missing)}")
