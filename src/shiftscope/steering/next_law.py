"""The law of the next token after texts while a vector is added at a layer, and texts that are written so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shiftscope.activations.tokens import context_length, tokenize
from shiftscope.steering.apply import steered
from shiftscope.steering.likelihood import check_linear

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LONGEST = 20
"""tokens that are written at most"""
KEPT = 32
"""sets of texts whose logits are in memory"""


class NextLaw:
    """A language model that reads texts up to their last token, whose activations `[n, d]` at `layer` are known.

    After the final norm logits are the unembedding of the activation plus the vector, so no text is read again; behind a block
    every text is read anew for each vector.

    Raises:
        ShiftScopeError: the model does more to its logits than to unembed the final norm.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, layer: str, batch_tokens: int
    ) -> None:
        self.model, self.tokenizer, self.layer, self.batch_tokens = model, tokenizer, layer, batch_tokens
        self._kept: dict[bytes, torch.Tensor] = {}
        self._last: tuple[np.ndarray, torch.Tensor] | None = None
        if layer == "final_norm":
            import torch

            with torch.inference_mode():
                check_linear(model, tokenizer("a")["input_ids"] or [0])

    def log_law(
        self, texts: Sequence[str], activations: np.ndarray, vector: np.ndarray | None = None, dose: float = 1.0
    ) -> np.ndarray:
        """Log-probabilities of the next token `[n, tokens]` float32, with `dose` times `vector` `[d]` added; None adds nothing."""
        import torch

        with torch.inference_mode():
            if self.layer == "final_norm":
                logits = self._logits(activations)
                if vector is not None:
                    logits = logits + dose * self._unembedded(vector)
                return logits.log_softmax(-1).cpu().numpy()
            found: dict[int, np.ndarray] = {}
            add = torch.zeros(activations.shape[1]) if vector is None else dose * torch.from_numpy(vector)
            for rows, ids in self._batches(texts):
                with steered(self.model, self.layer, add.to(self.model.device)):
                    logits = self.model(input_ids=ids, use_cache=False).logits[:, -1]
                found.update(zip(rows, logits.float().log_softmax(-1).cpu().numpy(), strict=True))
        return np.stack([found[row] for row in range(len(texts))])

    def _logits(self, activations: np.ndarray) -> torch.Tensor:
        """Of activations `[n, d]`; many vectors are added to the same few, so they are kept."""
        import torch

        key = activations.tobytes()
        if key not in self._kept:
            head = self.model.get_output_embeddings()
            self._kept[key] = head(torch.from_numpy(activations).to(head.weight)).float()
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]

    def _unembedded(self, vector: np.ndarray) -> torch.Tensor:
        """What a vector `[d]` adds to logits `[tokens]`; it is added in several doses, so the last is kept."""
        import torch

        if self._last is None or not np.array_equal(self._last[0], vector):
            weight = self.model.get_output_embeddings().weight
            self._last = vector, (weight @ torch.from_numpy(vector).to(weight)).float()
        return self._last[1]

    def write(self, texts: Sequence[str], vector: np.ndarray | None, seed: int) -> list[str]:
        """What the model writes after each text with `vector` added at every token, drawn at temperature 1.

        At most `LONGEST` tokens; the end of the document, where it writes one, ends in a line feed.
        """
        import torch

        found: dict[int, str] = {}
        width = self.model.get_output_embeddings().weight.shape[1]
        add = torch.zeros(width) if vector is None else torch.from_numpy(vector.astype(np.float32))
        end = self.tokenizer.eos_token_id
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for rows, ids in self._batches(texts):
                with steered(self.model, self.layer, add.to(self.model.device)):
                    written = self.model.generate(
                        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, top_k=0, top_p=1.0,
                        max_new_tokens=LONGEST, pad_token_id=end,
                    )[:, ids.shape[1] :]  # fmt: skip
                for row, tokens in zip(rows, written.tolist(), strict=True):
                    ended = end in tokens
                    tokens = tokens[: tokens.index(end)] if ended else tokens
                    found[row] = self.tokenizer.decode(tokens).strip() + ("\n" if ended else "")
        return [found[row] for row in range(len(texts))]

    def _batches(self, texts: Sequence[str]) -> list[tuple[list[int], torch.Tensor]]:
        """Rows of texts with equally many tokens, and their ids, so that nothing is padded."""
        import torch

        by_length: dict[int, list[tuple[int, list[int]]]] = {}
        where = [f"text {number + 1}" for number in range(len(texts))]
        read = tokenize(self.tokenizer, list(texts), context_length(self.model), where)
        for row, ids in enumerate(read):
            by_length.setdefault(len(ids), []).append((row, ids))
        found = []
        for length, members in by_length.items():
            step = max(1, self.batch_tokens // length)
            for start in range(0, len(members), step):
                rows, ids = zip(*members[start : start + step], strict=True)
                found.append((list(rows), torch.tensor(ids, device=self.model.device)))
        return found
