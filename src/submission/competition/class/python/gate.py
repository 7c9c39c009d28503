def merge_for(text, choices):
    """The merge that reads a prompt; `choices` is None where a text is asked for."""
    gate, x = RECIPE["router"]["gate"], features(text, choices)
    vectors = numpy.array([term["vector"] for term in gate["terms"]])
    if gate["kind"] == "centroid":
        scores = -((x - vectors) ** 2).sum(1)
    else:
        scores = vectors @ x + numpy.array([term["bias"] for term in gate["terms"]])
    return RECIPE["router"]["routes"][gate["terms"][int(numpy.argmax(scores))]["class"]]
