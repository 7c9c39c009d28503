def log_likelihoods(model, pairs, longest):
    """Of each choice: the sum of log p(token | prompt, all before). Choices without tokens have none. Of a prompt
    that is too long the beginning is left out."""
    encoded = encode(model, pairs[0][0], longest).expand(len(pairs), -1, -1)
    rows = [[decoder_start(model)] + answer[:-1] for _, answer in pairs]
    width = max(map(len, rows))
    # A decoder looks back only, so that it does not matter what fills the shorter rows.
    inputs = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=model.device)
    logits = model(encoder_outputs=BaseModelOutput(encoded), decoder_input_ids=inputs, use_cache=False).logits
    sums = []
    for own, (_, answer) in zip(logits, pairs):
        nats = own[: len(answer)].float().log_softmax(-1)
        asked = torch.tensor(answer, dtype=torch.long, device=nats.device)
        sums.append(float(nats.gather(1, asked[:, None]).sum()) if answer else -math.inf)
    return sums


def encode(model, tokens, longest):
    return model.get_encoder()(torch.tensor([tokens[-longest:]], device=model.device)).last_hidden_state


def decoder_start(model):
    start = getattr(model.config, "decoder_start_token_id", None)
    return model.config.pad_token_id if start is None else start


def write(model, reader, text, longest, limit):
    """The likeliest token, again and again. Of a prompt that is too long the beginning is left out."""
    encoded = BaseModelOutput(encode(model, reader.tokens(text) or [reader.start], longest))
    step, past, tokens = [decoder_start(model)], None, []
    while len(tokens) < limit and reader.stops.isdisjoint(tokens[-1:]):
        inputs = torch.tensor([step], device=model.device)
        out = model(encoder_outputs=encoded, decoder_input_ids=inputs, past_key_values=past, use_cache=True)
        step, past = [int(out.logits[0, -1].argmax())], out.past_key_values
        tokens += step
    return tokens
