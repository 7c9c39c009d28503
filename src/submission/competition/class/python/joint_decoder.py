def pair(reader, text, choice):
    """Tokens of the prompt, and of the choice all that goes beyond them when both are tokenized together: lm-eval's
    rule, by which blanks at the prompt's end belong to the choice."""
    context = reader.read(text.rstrip()) if text else []
    whole = reader.read(text + choice) if text else reader.tokens(choice, special=False)
    if context:
        return context, whole[len(context) :]
    return [reader.start], whole[1:] if whole[:1] == [reader.start] else whole
