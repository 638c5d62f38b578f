"""What the encoder is asked for: the teacher's geometry and frames, and to tell voices apart.

In: a batch of embeddings, or frames, with targets and labels. Out: one number, and its parts by
name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, log_softmax, normalize, softmax

if TYPE_CHECKING:
    from voiceguard.lab.training.config import TrainingConfig


class AamSoftmax(nn.Module):
    """Additive-angular-margin softmax with sub-centers and inter-top-k penalty.

    Source: J. Deng et al., "ArcFace", CVPR 2019, equation 3, and "Sub-center ArcFace", ECCV 2020;
    M. Zhao et al., "The SpeakIn system for VoxSRC 2021", section 3.2.

    Args:
        dim: Of the embeddings.
        num_classes: Voices.
        config: Scale, sub-centers and inter-top-k.
    """

    def __init__(self, dim: int, num_classes: int, config: TrainingConfig) -> None:
        super().__init__()
        self.scale = config.aam_scale
        self.sub_centers = config.sub_centers
        self.top_k = min(config.inter_top_k, num_classes - 1)
        self.top_k_margin = config.inter_top_k_margin
        self.centers = nn.Parameter(torch.empty(num_classes * config.sub_centers, dim))
        nn.init.xavier_normal_(self.centers)

    @torch.no_grad()
    def begin_at(self, embeddings: Tensor) -> None:
        """Puts the centres where the classes are: for weights that know voices already.

        Args:
            embeddings: ``(num_classes, dim)``.
        """
        begun = normalize(embeddings).repeat_interleave(self.sub_centers, dim=0)
        # Sub-centers that begin in one place would stay together.
        apart = 0.0 if self.sub_centers == 1 else 0.01
        self.centers.copy_(begun + apart * torch.randn_like(begun))

    def forward(self, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
        """Mean loss over the batch.

        Args:
            embeddings: ``(batch, dim)``, of any norm.
            labels: ``(batch,)`` of int64.
            margin: Radians added to the angle to the right class.
        """
        cosine = linear(normalize(embeddings), normalize(self.centers))
        cosine = cosine.view(len(labels), -1, self.sub_centers).amax(dim=2)  # (batch, classes)
        right = cosine.gather(1, labels.unsqueeze(1))  # (batch, 1)
        sine = (1 - right.square()).clamp_min(1e-7).sqrt()
        moved = right * math.cos(margin) - sine * math.sin(margin)
        # Beyond pi - margin the sum of angles would wrap around: go on straight instead.
        moved = torch.where(right > -math.cos(margin), moved, right - margin * math.sin(margin))
        logits = cosine
        if self.top_k and self.top_k_margin:
            others = cosine.scatter(1, labels.unsqueeze(1), -2.0)
            nearest = others.topk(self.top_k, dim=1).indices
            harder = torch.full(nearest.shape, self.top_k_margin, device=cosine.device)
            logits = cosine.scatter_add(1, nearest, harder.to(cosine.dtype))
        logits = logits.scatter(1, labels.unsqueeze(1), moved)
        return cross_entropy(self.scale * logits, labels)


class Objective(nn.Module):
    """The weighted sum of the recipe's losses, with the heads that only training needs.

    Args:
        dim: Of the embeddings.
        teacher_dim: Of the teacher's; None without a teacher.
        num_classes: Voices.
        config: The recipe.
    """

    def __init__(
        self, dim: int, teacher_dim: int | None, num_classes: int, config: TrainingConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.head = None if teacher_dim is None else nn.Linear(dim, teacher_dim)
        self.aam = AamSoftmax(dim, num_classes, config) if config.aam_weight else None

    def forward(
        self,
        embeddings: Tensor,
        targets: Tensor | None,
        labels: Tensor,
        margin: float,
        others: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and its parts unweighted.

        Args:
            embeddings: ``(batch, dim)``.
            targets: ``(batch, teacher_dim)``, the teacher's, centred and of norm 1: raw ones lie
                in one cone, and a constant would nearly match them.
            labels: ``(batch,)`` of int64.
            margin: Of the softmax, in radians.
            others: ``(num_others, teacher_dim)``, targets of other crops, to be told apart from.
        """
        config = self.config
        parts: dict[str, Tensor] = {}
        loss = embeddings.new_zeros(())
        if self.head is not None and targets is not None:
            guessed = normalize(self.head(embeddings))
            parts["distillation"] = (1 - (guessed * targets).sum(dim=1)).mean()
            unit = normalize(embeddings)
            parts["similarity"] = (unit @ unit.T - targets @ targets.T).square().mean()
            loss = (
                config.distillation_weight * parts["distillation"]
                + config.similarity_weight * parts["similarity"]
            )
            if config.contrast_weight:
                anchors = targets if others is None else torch.cat([targets, others])
                parts["contrast"] = contrast(guessed, targets, anchors, config.contrast_scale)
                loss = loss + config.contrast_weight * parts["contrast"]
        if self.aam is not None:
            parts["aam"] = self.aam(embeddings, labels, margin)
            loss = loss + config.aam_weight * parts["aam"]
        return loss, parts


class FrameMatch(nn.Module):
    """The teacher's frames as targets: what it heard in each 20 ms, a linear layer finds in ours.

    A target for every 20 ms says more of a short crop than one for the whole does.

    Source: A. Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, equation 3, with a
    linear regressor.

    Args:
        num_channels: Of the student's frames.
        teacher_channels: Of the teacher's.
    """

    def __init__(self, num_channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.guess = nn.Linear(num_channels, teacher_channels)

    def forward(self, frames: Tensor, targets: Tensor) -> Tensor:
        """Mean squared difference of what is guessed from what the teacher heard.

        Args:
            frames: ``(batch, num_channels, num_frames)``, centred on every 160th sample.
            targets: ``(batch, num_targets, teacher_channels)``, one for 320 samples: target j is
                centred 40 samples behind the student's frame 2 j + 1.
        """
        inner = frames[:, :, 1::2][:, :, : targets.shape[1]].transpose(1, 2)
        loss: Tensor = (self.guess(inner).float() - targets.float()).square().mean()
        return loss


def contrast(guessed: Tensor, targets: Tensor, anchors: Tensor, scale: float) -> Tensor:
    """How much less clearly than the teacher an embedding says which of many voices it is.

    The Kullback-Leibler divergence of softmaxes over anchors. Unlike a mean over all pairs it is
    made of the few voices that an embedding is nearly mistaken for: what strict thresholds are.

    Args:
        guessed: ``(batch, dim)`` of norm 1.
        targets: Likewise, the teacher's for the same crops.
        anchors: ``(num_anchors, dim)`` of norm 1, the targets among them.
        scale: Of the cosines; the greater, the fewer voices count.

    Source: Z. Fang et al., "SEED: Self-supervised Distillation for Visual Representation", ICLR
    2021, equations 2 to 5; without its queue where a teacher's embeddings are known beforehand.
    """
    wanted = scale * targets @ anchors.T
    heard = log_softmax(scale * guessed @ anchors.T, dim=1)
    per_crop = (softmax(wanted, dim=1) * (log_softmax(wanted, dim=1) - heard)).sum(dim=1)
    return per_crop.mean()
