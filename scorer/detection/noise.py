"""How noisy each item is, shrunk towards the pooled noise, and the weights that follow: quiet items weigh more.

Ten passes say little about one item's variance, so half of the estimate comes from all items together.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["inverse_weights", "left_out_weights", "shrunk"]

Floats = npt.NDArray[np.float64]

PRIOR_FREEDOM = 9.0
"""Degrees of freedom that the pooled variance counts for."""


def shrunk(variances: Floats, freedom: Floats, pooled: float) -> Floats:
    """Per-item variance drawn towards the pooled one; freedom: degrees of freedom behind each variance."""
    combined: Floats = (PRIOR_FREEDOM * pooled + freedom * variances) / (PRIOR_FREEDOM + freedom)
    return combined


def inverse_weights(variances: Floats, freedom: Floats, pooled: float) -> Floats:
    """Weights proportional to 1 / shrunk variance, mean 1; [item]."""
    weights = 1.0 / shrunk(variances, freedom, pooled)
    normalised: Floats = weights / weights.mean()
    return normalised


def left_out_weights(residuals: Floats, counts: Floats, pooled: float) -> Floats:
    """The weight each item would have had without that pass; [item, pass].

    A residual times the weight that it helped to make small looks quieter than a future answer will be.
    """
    k = counts[:, None]
    squares = np.nansum(residuals**2, axis=1, keepdims=True)
    freedom = np.maximum(k - 2.0, 0.0)
    without = np.maximum(squares - residuals**2 * k / (k - 1.0), 0.0) / np.maximum(freedom, 1.0)
    full = 1.0 / shrunk(squares[:, 0] / (counts - 1.0), counts - 1.0, pooled)
    weights: Floats = 1.0 / shrunk(without, freedom, pooled) / full.mean()
    return weights
