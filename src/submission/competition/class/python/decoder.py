def log_likelihoods(model, pairs, longest):
    """Of each choice: the sum of log p(token | all before). Choices without tokens have none. Of what is too long the
    beginning is left out."""
    rows = [(context + answer)[-longest - 1 :] for context, answer in pairs]
    firsts = [max(len(row) - len(answer), 1) + SKIPPED for row, (_, answer) in zip(rows, pairs)]
    alike = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*rows))
    shared = min(sum(1 for _ in alike), min(firsts) - 1)
    past = read_once(model, rows[0][:shared], len(rows)) if shared else None
    logits = model(padded(rows, shared, model.device), past_key_values=past, use_cache=shared > 0).logits
    sums = []
    for row, first, own, (_, answer) in zip(rows, firsts, logits, pairs):
        nats = own[first - 1 - shared : len(row) - 1 - shared].float().log_softmax(-1)
        asked = torch.tensor(row[first:], dtype=torch.long, device=nats.device)
        sums.append(float(nats.gather(1, asked[:, None]).sum()) if answer else -math.inf)
    return sums


def padded(rows, shared, device):
    """What follows the shared beginning, but for the last token, behind which nothing is asked. Tokens look back only:
    it does not matter what fills the shorter rows."""
    width = max(map(len, rows)) - 1
    rows = [row[shared:-1] + [0] * (width - len(row) + 1) for row in rows]
    return torch.tensor(rows, device=device)


def read_once(model, tokens, count):
    """Keys and values of a beginning, for as many rows: a tuple until transformers 4.40 or so, an object since."""
    past = model(torch.tensor([tokens], device=model.device), use_cache=True).past_key_values
    if isinstance(past, tuple):
        return tuple(tuple(own.repeat(count, *[1] * (own.dim() - 1)) for own in layer) for layer in past)
    past.batch_repeat_interleave(count)
    return past


def write(model, reader, text, longest, limit):
    """The likeliest token, again and again. A prompt that leaves no room for them loses its beginning."""
    step, past, tokens = (reader.read(text) or [reader.start])[limit - longest :], None, []
    while len(tokens) < limit and reader.stops.isdisjoint(tokens[-1:]):
        out = model(torch.tensor([step], device=model.device), past_key_values=past, use_cache=True)
        step, past = [int(out.logits[0, -1].argmax())], out.past_key_values
        tokens += step
    return tokens
