"""The Fourier neural operator as its authors write it: the fast transform, and complex weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sciml_lib.models import FNO2d


def by_fft(model: FNO2d, tensors: Mapping[str, Tensor], fields: Tensor) -> Tensor:
    """One member as its authors write it: ``fields [B, C, n, n]`` to ``[B, n, n]``, with complex weights and ``rfft2``."""
    n, m, width = fields.shape[-1], model.modes, model.width

    def linear(name: str, h: Tensor) -> Tensor:
        return torch.einsum("oc,bcxy->boxy", tensors[f"{name}.weight"], h) + tensors[f"{name}.bias"][:, None, None]

    h = linear("lift", fields)
    for k in range(model.layers):
        real, imaginary = tensors[f"layer{k}.waves"].split(width, dim=1)  # [K, O, C]
        weight = torch.complex(real, imaginary).view(2, m, m, width, width)
        hat = torch.fft.rfft2(h, norm="ortho")
        out = torch.zeros_like(hat)
        out[:, :, :m, :m] = torch.einsum("xyoc,bcxy->boxy", weight[0], hat[:, :, :m, :m])
        out[:, :, -m:, :m] = torch.einsum("xyoc,bcxy->boxy", weight[1], hat[:, :, -m:, :m])
        h = linear(f"layer{k}", h) + torch.fft.irfft2(out, s=(n, n), norm="ortho")
        if k < model.layers - 1:
            h = torch.nn.functional.gelu(h)
    return linear("out", torch.nn.functional.gelu(linear("head", h)))[:, 0]
