def read_tensor(model, name):
    """A model's tensor."""
    return stored_tensor(model_folder(model), name)
