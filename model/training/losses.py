"""What training minimises."""

from typing import Any

import keras
from keras import ops

from model.training.dataset import GROUP_ROWS, LOSSY_A_GROUP, TRUE_A_GROUP

RANKING_WEIGHT = 0.5
RANKING_MARGIN = 2.0  # logits between a recording and its decode
FAMILY_WEIGHT = 0.3
BITRATE_WEIGHT = 0.2
LABEL_SMOOTHING = 0.02


@keras.saving.register_keras_serializable("lossgate")
def lossy_loss(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy in which both truths weigh the same, plus a ranking within each group.

    Args:
        y_true: (groups * GROUP_ROWS,), true recordings first in every group.
        y_pred: logits, the same shape.

    Returns:
        A scalar.
    """
    truth = ops.reshape(y_true, (-1,))
    logits = ops.reshape(y_pred, (-1,))
    smooth = truth * (1.0 - 2.0 * LABEL_SMOOTHING) + LABEL_SMOOTHING
    entropy = ops.softplus(logits) - smooth * logits
    weight = ops.where(ops.cast(truth, "bool"), 0.5 * GROUP_ROWS / LOSSY_A_GROUP, 0.5 * GROUP_ROWS / TRUE_A_GROUP)
    groups = ops.reshape(logits, (-1, GROUP_ROWS))
    true, lossy = groups[:, :TRUE_A_GROUP, None], groups[:, None, TRUE_A_GROUP:]
    ranking = ops.softplus(RANKING_MARGIN - (lossy - true))
    return ops.mean(weight * entropy) + RANKING_WEIGHT * ops.mean(ranking)


@keras.saving.register_keras_serializable("lossgate")
def masked_cross_entropy(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy over the rows that have a class; all-zero rows add nothing."""
    log_probabilities = ops.log_softmax(y_pred, axis=-1)
    rows = ops.maximum(ops.sum(y_true), 1.0)
    return -ops.sum(y_true * log_probabilities) / rows


LOSSES = {
    "lossy_logit": lossy_loss,
    "family_logits": masked_cross_entropy,
    "bitrate_logits": masked_cross_entropy,
}
LOSS_WEIGHTS = {"lossy_logit": 1.0, "family_logits": FAMILY_WEIGHT, "bitrate_logits": BITRATE_WEIGHT}
