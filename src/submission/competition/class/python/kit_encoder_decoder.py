def pair(reader, text, choice):
    """Tokens of the prompt and of the choice, each tokenized by itself, as the kit does."""
    return reader.tokens(text) or [reader.start], reader.tokens(choice)
