def network_config(model, changes):
    """A model's settings with others, as any version of transformers reads them."""
    settings = json.loads((Path(model_folder(model)) / "config.json").read_text(encoding="utf-8"))
    rotation = settings.get("rope_parameters") or {}
    if "rope_theta" in rotation and not settings.get("rope_scaling"):
        # Versions before 5 look for it here, and quietly take 10000 where it is not.
        settings["rope_theta"] = rotation["rope_theta"]
    return AutoConfig.for_model(**{**settings, **changes})
