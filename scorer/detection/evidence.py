"""Evidence that a stream fell below what was promised, as a Shiryaev-Roberts e-detector built from bets.

Each stake makes a process whose mean, under the null, grows by at most one a batch, whatever the order of the items; so
the first time it reaches c batches comes, on average, after c batches or later. Stakes cannot be known beforehand:
several run side by side and are averaged. Shin, Ramdas & Rinaldo, E-detectors (arXiv 2203.03532); Waudby-Smith &
Ramdas, Estimating means of bounded random variables by betting (arXiv 2010.09686). Arrays carry any leading axes.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["LOG_CEILING", "LOG_FLOOR", "STAKES", "grow", "log10_evidence"]

Floats = npt.NDArray[np.float64]

STAKES: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
LOG_FLOOR = -50.0
"""Natural logarithm at which a process counts as empty; a finite number, so that a state stays plain JSON."""
LOG_CEILING = 70.0
"""Natural logarithm at which a process stops: 10^30. Otherwise a month of clear evidence takes a month to clear."""


def grow(log_evidence: Floats, gains: Floats, weights: Floats, caps: Floats, stakes: Floats) -> Floats:
    """One batch: M <- (1 + M) * prod(1 + stake_i * gain_i), with stake_i = min(stake * weight_i, cap_i).

    log_evidence: [..., stake]. gains, weights, caps: [..., answer]; gain is positive where the answer speaks against
    the null, and an answer without a value has the gain 0. cap * gain must stay above -1.
    """
    bets = np.minimum(stakes[:, None] * weights[..., None, :], caps[..., None, :])
    growth = np.log1p(bets * gains[..., None, :]).sum(axis=-1)
    grown: Floats = np.clip(np.logaddexp(0.0, log_evidence) + growth, LOG_FLOOR, LOG_CEILING)
    return grown


def log10_evidence(log_evidence: Floats) -> Floats:
    """The common logarithm of the mean over stakes; [..., stake] -> [...]."""
    top = log_evidence.max(axis=-1)
    mean = np.exp(log_evidence - top[..., None]).mean(axis=-1)
    combined: Floats = (top + np.log(mean)) / np.log(10.0)
    return combined
