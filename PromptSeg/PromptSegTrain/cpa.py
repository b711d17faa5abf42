"""Contrastive prototype assignment: pixels of two views that show the same place are to belong to the same prototypes.

From "Prompt Tuning for Parameter-efficient Medical Image Segmentation" (Fischer, Bartler, Yang, arXiv 2211.09233). The
teacher's features of a slice are clustered by soft k-means; its clusters are the prototypes. Wherever a student sees
what the teacher sees, its assignment to the prototypes is to be the teacher's. No label is needed. Lengths are the
paper's, brought from its 1.25 mm to working pixels of 2 mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from PromptSegLib.datasets.contrastive_views import View, Views, apply, match, pixels

TEACHER_TEMPERATURE, STUDENT_TEMPERATURE = 0.033, 0.066
ITERATIONS = 3
SPACING = 4
"""Working pixels between the positions that are compared."""
SEED_SPACING = 12
"""Working pixels between the prototypes' first positions: 16 x 16 prototypes in a teacher's view, as in the paper."""
SIGMA = 34.0
"""How far a prototype reaches, in working pixels (paper: a full width at half maximum of 128 pixels, 160 mm)."""
TOLERANCE = 2.5
"""Working pixels between places that count as the same (paper: 4 pixels, 5 mm)."""


def prototypes(
    features: Tensor, places: Tensor, seeds: Tensor, weight: Tensor, sigma: float = SIGMA, iterations: int = ITERATIONS
) -> Tensor:
    """Soft k-means (arXiv 2211.09233) of unit vectors ``features`` (B, N, C) at ``places`` (B, N, 2): (B, P, C).

    The vectors at the indices ``seeds`` (P,) are the first prototypes C, their places the first centres c. Then, a few
    times::

        A = softmax_p(cos(F, C) / 0.033) * exp(-|x - c|^2 / 2 sigma^2) * weight
        C <- normalise(sum_n A F / sum_n A),  c <- sum_n A x / sum_n A

    ``weight`` (B, N) is 0 for places that are not to count. A prototype that nothing belongs to stays as it is.
    """
    centres, near = features[:, seeds], places[:, seeds]
    for _ in range(iterations):
        belongs = assignment(features, centres, TEACHER_TEMPERATURE).exp()
        belongs *= weight[..., None] * torch.exp(torch.cdist(places, near).square_() / (-2 * sigma**2))
        total = belongs.sum(1)[..., None]
        some = total > 1e-6
        by_prototype = belongs.transpose(1, 2)
        # The sum's length does not matter for its direction, so that it need not be divided.
        centres = torch.where(some, functional.normalize(by_prototype @ features, dim=-1), centres)
        near = torch.where(some, by_prototype @ places / total.clamp_min(1e-6), near)
    return centres


def assignment(features: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """Logarithm of softmax_p(cos(F, C) / temperature): unit vectors (B, N, C), (B, P, C) to (B, N, P)."""
    return (features @ centres.transpose(1, 2) / temperature).log_softmax(-1)


def assignment_loss(teacher: Tensor, student: Tensor, centres: Tensor, there: Tensor) -> Tensor:
    """-sum_p Q_t log Q_s, mean over the positions that are ``there`` (B, N), then over the images that have any.

    ``teacher`` and ``student`` (B, N, C) are unit vectors of the same places, ``centres`` (B, P, C) the prototypes;
    Q_t and Q_s are their assignments at temperatures 0.033 and 0.066. Gradients go to ``student`` alone.
    """
    with torch.no_grad():
        target = assignment(teacher, centres, TEACHER_TEMPERATURE).exp_()
    loss = -(target * assignment(student, centres.detach(), STUDENT_TEMPERATURE)).sum(-1)
    count = there.sum(1)
    each = (loss * there).sum(1) / count.clamp_min(1)
    return each.sum() / (count > 0).sum().clamp_min(1)


def cpa_loss(views: Views, teacher: Tensor, students: Sequence[Tensor], stride: int = 1) -> Tensor:
    """The loss of ``views``, summed over the students as in the paper: a scalar.

    ``teacher`` (B, H, W, C) and each of ``students`` are the views' feature maps, one pixel for ``stride`` x ``stride``
    of the view's, perhaps padded on the high side. Which of a student's pixels are compared is drawn anew each time,
    so that all of them learn.
    """
    step = max(1, SPACING // stride)
    with torch.no_grad():
        side, to_slice = _map_grid(views.teacher, stride)
        start = min(step, side) // 2
        sampled = _unit(teacher[:, start:side:step, start:side:step])
        places = apply(to_slice, pixels((side, side), teacher.device, (start, start), step))
        seeds = _seeds(len(range(start, side, step)), teacher.device)
        centres = prototypes(sampled, places, seeds, inside(places, views.sizes).float())
        full = teacher[:, :side, :side].flatten(1, 2)
    total = centres.new_zeros(())
    for view, maps in zip(views.students, students, strict=True):
        own_side, own_to_slice = _map_grid(view, stride)
        row, column = torch.randint(min(step, own_side), (2,)).tolist()
        own = _unit(maps[:, row:own_side:step, column:own_side:step])
        places = apply(own_to_slice, pixels((own_side, own_side), maps.device, (row, column), step))
        same, there = match(places, to_slice, (side, side), TOLERANCE)
        given = _unit(full.gather(1, same[..., None].expand(-1, -1, full.shape[-1])))
        total = total + assignment_loss(given, own, centres, there & inside(places, views.sizes))
    return total


def inside(places: Tensor, sizes: Tensor) -> Tensor:
    """Whether places (B, N, 2) are in slices of ``sizes`` (B, 2), not where only their border was continued."""
    return ((places >= -0.5) & (places <= sizes[:, None] - 0.5)).all(-1)


def _map_grid(view: View, stride: int) -> tuple[int, Tensor]:
    """Side of a view's feature map without padding, and where its pixels are in the slice (B, 2, 3)."""
    linear = view.to_slice[:, :, :2]
    # Pixel n of a map at stride s is the middle of the view's pixels s n to s n + s - 1.
    middle = linear.sum(-1) * (stride - 1) / 2 + view.to_slice[:, :, 2]
    return -(-view.images.shape[1] // stride), torch.cat([linear * stride, middle[..., None]], -1)


def _seeds(side: int, device: torch.device) -> Tensor:
    """Indices of the first prototypes among side x side positions."""
    every = SEED_SPACING // SPACING
    line = torch.arange(min(every // 2, side - 1), side, every, device=device)
    return (line[:, None] * side + line).flatten()


def _unit(maps: Tensor) -> Tensor:
    """Feature maps (B, ..., C) as unit vectors (B, N, C) in float32."""
    return functional.normalize(maps.flatten(1, -2).float(), dim=-1, eps=1e-4)
