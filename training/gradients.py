"""One gradient, whatever the layout: its norm, its clipping, and the table that two stages own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

from pangu_settings import UserError


def local_part(tensor: Tensor) -> Tensor:
    """Returns what this rank holds of a tensor; changing it changes the tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def check_gradients(parameters: dict[str, nn.Parameter], schedule: str) -> None:
    """Makes sure that no parameter was left out of the backward pass.

    Raises:
      UserError: names a parameter that has no gradient.
    """
    missing = [name for name, parameter in parameters.items() if parameter.grad is None]
    if missing:
        raise UserError(
            f"{len(missing)} parameters have no gradient after the first step, '{missing[0]}' "
            f"among them: layout.schedule {schedule} loses gradients in this layout; take 1F1B"
        )


def place_as_parameters(parameters: Iterable[nn.Parameter]) -> None:
    """Brings each gradient into the placement of its parameter.

    Without shards a gradient may be a sum that is still spread over the ranks.
    """
    for parameter in parameters:
        gradient = parameter.grad
        if not isinstance(gradient, DTensor) or not isinstance(parameter, DTensor):
            continue
        if gradient.placements != parameter.placements:
            parameter.grad = gradient.redistribute(placements=parameter.placements)


def squared_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Returns this rank's share of the squared norm of the gradient, a float64 scalar.

    Summed over all ranks it is the squared norm of the whole: what several ranks hold as copies
    is divided among them.
    """
    by_copies: dict[int, list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        assert parameter.grad is not None
        copies = 1
        if isinstance(parameter, DTensor):
            for dimension, placement in enumerate(parameter.placements):
                if isinstance(placement, Replicate):
                    copies *= parameter.device_mesh.size(dimension)
        by_copies[copies].append(local_part(parameter.grad))
    norms = [_squared_norm(gradients) / copies for copies, gradients in by_copies.items()]
    return torch.stack(norms).sum()


def _squared_norm(gradients: list[Tensor]) -> Tensor:
    if gradients[0].device.type == "cpu":
        # torch's norm of a million numbers is off by 2e-5 on CPUs, and slower.
        flat = [gradient.flatten() for gradient in gradients]
        return torch.stack([torch.dot(one, one).double() for one in flat]).sum()
    return nn.utils.get_total_norm(gradients).double().square()


def clip(parameters: Iterable[nn.Parameter], largest: float, norm: Tensor) -> None:
    """Scales the gradient down to a norm of `largest` where `norm`, its own, is larger."""
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    gradients = [local_part(p.grad) for p in parameters if p.grad is not None]
    torch._foreach_mul_(gradients, scale.to(gradients[0].dtype))


def exchange_and_add(gradient: Tensor, peer: int, group: dist.ProcessGroup) -> None:
    """Adds the same gradient of another rank, which calls this at the same time, in place.

    Both ranks end up with the same bits, since a sum of two does not depend on their order.

    Args:
      gradient: placed as its parameter, on both ranks alike.
      peer: global number of the other rank.
      group: that both belong to.
    """
    own = local_part(gradient)
    received = torch.empty_like(own)
    send = dist.P2POp(dist.isend, own, peer, group)
    receive = dist.P2POp(dist.irecv, received, peer, group)
    for work in dist.batch_isend_irecv([send, receive]):
        work.wait()
    own += received
