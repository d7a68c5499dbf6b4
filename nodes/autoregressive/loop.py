"""The loop of the autoregressive sampler: logits, guidance, constraints, choice; one for every family and for text and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowmm.catalog import Context
from flowmm.sockets import Constraint


@dataclass(frozen=True, slots=True)
class Choice:
    """How an id is chosen from logits. temperature: 0 takes the likeliest. top_k, top_p: 0 and 1 keep all.

    repetition: divides the logits of ids a row already has (Keskar et al., 2019). guidance: above 1 leads from the second
    copy of the rows to the first; floor: before that, ids less likely than this share of the likeliest are out.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition: float = 1.0
    guidance: float = 1.0
    floor: float = 0.0


def write(
    begin: Callable[[], Any], step: Callable[[Any], Any], choice: Choice, generators: list, context: Context, *, most: int, least: int = 0,
    stops: tuple[int, ...] = (), constraint: Constraint | None = None, preview: Callable[[Any], Callable[[], Any]] | None = None,
) -> Any:  # fmt: skip
    """ids int64 [B, ≤ most] on the CPU, each row from its own generator; a row that ended is filled up with its last id.

    begin, step: as of a Writer. preview: shows ids so far.
    """
    import torch

    logits, guided = begin(), choice.guidance > 1
    rows = len(logits) // 2 if guided else len(logits)
    written = torch.empty(rows, most, dtype=torch.int64)
    ended = torch.zeros(rows, dtype=torch.bool)
    keep, mask = _processors(choice), _mask(constraint, stops, logits)
    for position in range(most):
        context.progress(position, most, preview(written[:, :position]) if preview else None)
        must = _forced(constraint, position)
        if must is None:
            scores = _guided(logits, choice) if guided else logits.float()
            scores = scores if mask is None else scores + mask
            if position < least and stops:
                scores = scores.index_fill(-1, torch.tensor(stops, device=scores.device), -torch.inf)
            chosen = _choose(keep(written[:, :position].to(scores.device), scores), choice, generators)
        else:
            chosen = torch.full((rows,), must)
        written[:, position] = torch.where(ended, written[:, position - 1], chosen) if position else chosen
        if stops:
            ended |= torch.isin(written[:, position], torch.tensor(stops))
            if ended.all():
                most = position + 1
                break
        if position + 1 < most:
            following = written[:, position].to(logits.device)
            logits = step(torch.cat([following, following]) if guided else following)
    context.progress(most, most)
    return written[:, :most]


def _forced(constraint: Constraint | None, position: int) -> int | None:
    """The id every row must have at this position; None where the model is free."""
    if constraint is not None and position < len(constraint.forced) and constraint.forced[position] >= 0:
        return constraint.forced[position]
    return None


def _guided(logits: Any, choice: Choice) -> Any:
    """In float32: from the unconditional rows towards the conditional ones and beyond."""
    import torch

    conditional, unconditional = logits.float().chunk(2)
    scores = unconditional + choice.guidance * (conditional - unconditional)
    if choice.floor > 0:
        # Guidance raises ids that only the unconditional rows find unlikely; those the prompt itself finds unlikely stay out.
        least = conditional.max(dim=-1, keepdim=True).values + torch.tensor(choice.floor).log()
        scores = scores.masked_fill(conditional < least, -torch.inf)
    return scores


def _mask(constraint: Constraint | None, stops: tuple[int, ...], like: Any) -> Any:
    """[N] to add to scores: -∞ for what may never be written; None where all may. Raises ValueError when nothing is left."""
    if constraint is None or not (constraint.allowed or constraint.banned):
        return None
    import torch

    mask = torch.zeros(like.shape[-1])
    if constraint.allowed:
        mask = torch.full_like(mask, -torch.inf).index_fill(0, torch.tensor(constraint.allowed + stops), 0.0)
    if constraint.banned:
        mask = mask.index_fill(0, torch.tensor(constraint.banned), -torch.inf)
    if mask.isinf().all():
        raise ValueError("the constraint bans every id, so nothing can be written; allow some")
    return mask.to(like.device)


def _processors(choice: Choice) -> Callable[[Any, Any], Any]:
    """transformers' own processors, in the order `generate` has them; temperature comes before what cuts the tail."""
    from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    kept = LogitsProcessorList()
    if choice.repetition != 1:
        kept.append(RepetitionPenaltyLogitsProcessor(choice.repetition))
    if choice.temperature > 0:
        if choice.temperature != 1:
            kept.append(TemperatureLogitsWarper(choice.temperature))
        if choice.top_k:
            kept.append(TopKLogitsWarper(choice.top_k))
        if choice.top_p < 1:
            kept.append(TopPLogitsWarper(choice.top_p))
    return kept


def _choose(scores: Any, choice: Choice, generators: list) -> Any:
    """One id a row: the likeliest, or drawn on the CPU by the row's own generator."""
    import torch

    if choice.temperature == 0:
        return scores.argmax(dim=-1).cpu()
    probabilities = scores.softmax(dim=-1).cpu()
    return torch.cat([torch.multinomial(row, 1, generator=generator) for row, generator in zip(probabilities, generators)])
