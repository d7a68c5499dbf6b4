"""Looking on while a graph writes: the logits the sampler chose from, and the ids it wrote."""

import torch


class Told:
    """ids, mask: [B, L] of the last run; logits: float32 [B, L, N]. A row's values after its end mean nothing."""

    ids = mask = logits = None

    def equals(self, ids, logits, stops):
        """Bit for bit what a library wrote: its ids after the prompt, and its logits; stops: the id that ends a row."""
        ends = (ids == stops).long()
        kept = (ends.cumsum(-1) - ends) == 0
        assert torch.equal(self.mask.bool(), kept)
        assert torch.equal(self.ids[kept], ids[kept])
        if logits is not None:
            assert torch.equal(self.logits[kept], logits[kept])
            assert logits[kept].std() > 0.5


def watch(monkeypatch):
    """Records every run of `sample_text` in this process. At temperature 0 what is chosen from are the logits themselves."""
    from flowmm.nodes.autoregressive import loop, sampling

    told, seen = Told(), []
    choose, write, until = loop._choose, sampling.write, sampling._until

    def choosing(scores, choice, generators):
        seen.append(scores.clone())
        return choose(scores, choice, generators)

    def writing(*args, **options):
        seen.clear()
        told.ids = write(*args, **options)
        told.logits = torch.stack(seen, dim=1) if seen else None
        return told.ids

    def masking(ids, stops):
        told.mask = until(ids, stops)
        return told.mask

    monkeypatch.setattr(loop, "_choose", choosing)
    monkeypatch.setattr(sampling, "write", writing)
    monkeypatch.setattr(sampling, "_until", masking)
    return told
