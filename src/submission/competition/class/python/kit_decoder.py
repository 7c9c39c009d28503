# Classes that heed the kit's wish for choices without BOS and with EOS; the others do as their tokenizer.json says.
HEED_EOS = ("LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer")


def pair(reader, text, choice):
    """Tokens of the prompt and of the choice, each tokenized by itself, as the kit does."""
    prompt = reader.tokens(text) or [reader.start]
    if str(reader.tokenizer_class).removesuffix("Fast") in HEED_EOS:
        return prompt, reader.tokens(choice, special=False) + [reader.eos]
    return prompt, reader.tokens(choice)
