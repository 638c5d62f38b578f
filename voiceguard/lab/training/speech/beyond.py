"""Speech beyond the speakers there are: whatever the teacher makes of it is to be learnt too.

In: windows of drawn voices. Out: some of them by voices that nobody has, mixed with others, or
through a telephone; and crops that teacher and student hear alike. A student that agrees with its
teacher on these is the teacher's function, not a table of its speakers.

Source: L. Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR
2022, section 3 (mixtures as inputs, and the same view for both).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voiceguard.lab.training.corruption.augment import AugmentConfig, speech_rms
from voiceguard.lab.training.speech.voices import bent, coloured

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from voiceguard.lab.training.config import MatchingConfig
    from voiceguard.lab.training.corruption.augment import Augmenter

_NUM_KNOTS = 5
_JOINED_AT = (0.25, 0.75)
"""Of a crop: where one voice ends and another begins."""
TELEPHONE = AugmentConfig(
    p_clean=0.0, p_room=0.0, p_noise=0.0, p_clipping=0.0, p_band_limit=1.0, p_codec=0.7
)
"""A telephone's band or a lower one, and mostly a codec."""


class Beyond:
    """What the recipe's ``matching`` says.

    Args:
        config: How often what is done.
        augmenter: Corrupts; of noises and rooms it has what the run has.
    """

    def __init__(self, config: MatchingConfig, augmenter: Augmenter) -> None:
        self._config = config
        self._telephone = augmenter.by(TELEPHONE)
        self._corrupt = augmenter.by(config.corruption)

    @torch.no_grad()
    def windows(self, windows: Tensor, rng: np.random.Generator) -> Tensor:
        """Some windows changed, each kind drawn anew: a bent one may be coloured as well.

        Args:
            windows: ``(num, num_samples)`` in [-1, 1]; it is left as it is.
            rng: Draws.
        """
        config, num = self._config, len(windows)
        made = windows.clone()

        def change(share: float, by: Callable[[Tensor, Tensor, int], Tensor]) -> None:
            if count := round(share * num):
                rows, others = (torch.from_numpy(rng.permutation(num)[:count]) for _ in range(2))
                rows, others = rows.to(made.device), others.to(made.device)
                made[rows] = by(made[rows], made[others], count)

        def drawn(limits: tuple[float, float], *shape: int) -> Tensor:
            return self._drawn(rng.uniform(*limits, size=shape), made)

        bend = (-config.bend, config.bend)
        change(config.coloured_share, lambda x, y, n: coloured(x, y, drawn(config.colour, n)))
        change(config.bent_share, lambda x, _, n: bent(x, drawn(bend, n, _NUM_KNOTS)))
        change(config.mixed_share, lambda x, y, n: mixed(x, y, drawn(config.mixed_db, n)))
        change(config.telephone_share, lambda x, *_: self._telephone(x, rng))
        return made

    @torch.no_grad()
    def crops(self, crops: Tensor, speakers: Tensor, rng: np.random.Generator) -> Tensor:
        """As both are to hear them: some mixed, some one voice after another, all corrupted.

        Args:
            crops: ``(num, num_samples)``; they are left as they are.
            speakers: ``(num,)`` integers.
            rng: Draws.
        """
        config = self._config
        num, num_samples = crops.shape
        num_mixed, num_joined = (
            int(share * num) for share in (config.alike_mixed_share, config.alike_joined_share)
        )
        made, others = crops.clone(), crops.roll(num // 2 + 1, dims=0)
        first, last = slice(num_mixed), slice(num_mixed, num_mixed + num_joined)
        levels_db = self._drawn(rng.uniform(*config.mixed_db, size=num_mixed), crops)
        made[first] = mixed(made[first], others[first], levels_db)
        at = self._drawn(num_samples * rng.uniform(*_JOINED_AT, size=(num_joined, 1)), crops)
        is_second = torch.arange(num_samples, device=crops.device) >= at
        made[last] = torch.where(is_second, others[last], made[last])
        return self._corrupt(made, rng, speakers=speakers)

    @staticmethod
    def _drawn(values: NDArray[np.float64], like: Tensor) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(like.device)


def mixed(samples: Tensor, others: Tensor, levels_db: Tensor) -> Tensor:
    """Both voices at once.

    Args:
        samples: ``(batch, num_samples)`` in [-1, 1].
        others: Likewise.
        levels_db: ``(batch,)``, of the other speech against the first.

    Returns:
        ``(batch, num_samples)`` in [-1, 1].
    """
    gain = speech_rms(samples) / speech_rms(others).clamp_min(1e-5)
    both = samples + others * gain * 10 ** (levels_db[:, None] / 20)
    return both / both.abs().amax(dim=1, keepdim=True).clamp(min=1.0)
