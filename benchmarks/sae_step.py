"""Time of one training step of `topk` and `batch_topk`: sparse, as trained here, over dense, as it would be written plainly.

`python benchmarks/sae_step.py [--d 576] [--codes 9216] [--k 32] [--batch 2048] [--repeats 5]` takes the steps of both in turn, on
one thread, and prints medians and their ratio. Both have the matrix product of the pre-activations, the choice of codes,
and Adam; the dense one decodes all codes and lets every gradient be a full matrix product.
"""

import argparse
import statistics
import time

import torch

from shiftscope.models import Replica
from shiftscope.training.streamed import Learner
from shiftscope.variants.base import Streamed, Tensors
from shiftscope.variants.batch_topk import BatchTopK
from shiftscope.variants.topk import TopK


class DenseTopK(TopK):
    """`topk` without tricks."""

    def loss(self, weights: Tensors, inputs: torch.Tensor, step: int) -> torch.Tensor:
        """Mean squared error, without the dead latents' part."""
        found = weights["encoder_bias"].addmm(inputs - weights["decoder_bias"], weights["encoder"].T)
        codes = self._dense(found.relu())
        self._count(weights, (codes > 0).any(0), len(inputs))
        return (inputs - weights["decoder_bias"].addmm(codes, weights["decoder"])).square().mean()

    def _dense(self, found: torch.Tensor) -> torch.Tensor:
        values, columns = found.topk(self.k, dim=1, sorted=False)
        return torch.zeros_like(found).scatter(1, columns, values)


class DenseBatchTopK(DenseTopK):
    """`batch_topk` without tricks."""

    def _dense(self, found: torch.Tensor) -> torch.Tensor:
        values, places = found.flatten().topk(self.k * len(found), sorted=False)
        return torch.zeros_like(found).flatten().scatter(0, places, values).view_as(found)


def seconds(learner: Learner, inputs: torch.Tensor) -> float:
    start = time.perf_counter()
    learner.take(inputs, 1000)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("d", 576), ("codes", 9216), ("k", 32), ("batch", 2048), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    inputs = torch.randn(options.batch, options.d, generator=torch.Generator().manual_seed(0))
    pairs: dict[str, tuple[type[Streamed], type[Streamed]]] = {
        "topk": (TopK, DenseTopK),
        "batch_topk": (BatchTopK, DenseBatchTopK),
    }
    for name, kinds in pairs.items():
        learners = [Learner(kind(k=options.k), Replica(0, 0, 0), options.codes, options.d) for kind in kinds]
        times = [[seconds(one, inputs) for one in learners] for _ in range(options.repeats + 1)][1:]
        sparse, dense = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:10}  sparse {1e3 * sparse:7.0f} ms  dense {1e3 * dense:7.0f} ms  ratio {sparse / dense:.2f}")


if __name__ == "__main__":
    main()
