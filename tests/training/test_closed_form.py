from helpers.shifts import random_pairs
from helpers.tiny_models import trained

from shiftscope.models import Replica
from shiftscope.variants.pca import Pca


def test_closed_forms_are_fitted_in_the_order_asked_for():
    pairs = random_pairs(3, 8)
    replicas = [Replica(0, 1, 0), Replica(0, 0, 0)]
    results = trained([Pca()], replicas, pairs, 3)
    for replica, result in zip(replicas, results, strict=True):
        assert (result.arrays["decoder"] == Pca().fit(pairs[replica.data_seed], 3, 0)["decoder"]).all()
