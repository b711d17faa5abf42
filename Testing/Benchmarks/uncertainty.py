"""Which map of uncertainty finds real errors best: candidates, and the area under the risk-coverage curve.

Voxels come in the order of confidence, the highest first; the risk at a coverage is the share of wrong ones among those
seen so far (El-Yaniv and Wiener, JMLR 11, 2010; Geifman and El-Yaniv, NeurIPS 2017). A smaller area is better: errors
come last. What a segmentation gives as its uncertainty is the candidate that was best, :meth:`LogitMap.uncertainty`.
"""

from __future__ import annotations

import numpy as np

from PromptSegLib.prior import SCALE
from PromptSegLib.segment.result import FILL, LogitMap, entropy

CANDIDATES = ("entropy", "disagreement", "sum", "greater", "uncertainty")


def candidates(logits: LogitMap, index: int) -> dict[str, np.ndarray]:
    """Maps of one slice on the working grid, (rows, columns) float32 from 0 (sure) to 1, by name.

    *entropy* of the final logits in bits; *disagreement* of the network with the drawn contours, or with the final
    result where there is no contour; their mean (*sum*) and their maximum (*greater*); and what ships, *uncertainty*:
    entropy of the contours' probabilities with the network's, trusted as far as the chosen weight says.
    """

    def share(values: np.ndarray | None) -> np.ndarray:
        scaled = np.full(logits.work.size, FILL * SCALE, np.float32) if values is None else values
        return 1 / (1 + np.exp(-scaled.astype(np.float32) / SCALE))

    final = share(logits.slices.get(index))
    network = share(logits.network[index]) if index in logits.network else final
    contour = logits.prior.contours.get(index)
    uncertain = entropy(final)
    apart = np.abs(network - (final if contour is None else contour > 0)).astype(np.float32)
    shipped = logits.uncertainty(index)
    return {
        "entropy": uncertain,
        "disagreement": apart,
        "sum": (uncertain + apart) / 2,
        "greater": np.maximum(uncertain, apart),
        "uncertainty": np.zeros_like(uncertain) if shipped is None else shipped,
    }


def risk_coverage(uncertainty: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and risk, both (n,) from 0..1, of voxels with these ``uncertainty`` values, ``wrong`` or not.

    Voxels of equal uncertainty come together, so that the order of voxels does not matter.
    """
    _, place, counts = np.unique(np.asarray(uncertainty).ravel(), return_inverse=True, return_counts=True)
    errors = np.bincount(place.ravel(), np.asarray(wrong).ravel().astype(np.float64), minlength=len(counts))
    seen = np.cumsum(counts)
    return seen / max(1, int(seen[-1]) if len(seen) else 1), np.cumsum(errors) / seen


def area(coverage: np.ndarray, risk: np.ndarray) -> float:
    """Area under a risk-coverage curve; before its first point the risk is that of the first point."""
    if not len(coverage):
        return float("nan")
    first = float(coverage[0] * risk[0])
    return first + float((np.diff(coverage) * (risk[1:] + risk[:-1]) / 2).sum())
