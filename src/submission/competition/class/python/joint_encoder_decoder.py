def pair(reader, text, choice):
    """Tokens that the encoder and the decoder read: lm-eval's rule, by which blanks at the prompt's end belong to the
    choice."""
    prompt = text.rstrip()
    blanks = text[len(prompt) :]
    context = reader.read(prompt) if text else []
    return context or [reader.start], reader.tokens(blanks + choice, special=False)
