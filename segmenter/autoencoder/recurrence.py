"""A gated recurrence whose gates read the input alone, so that only a cheap scan runs in sequence.

The matrix products of all steps are one product each, on a processor or an accelerator alike; a
classical GRU needs one small product per step, ten times slower on two cores.

References
----------
Feng, Tung, Ahmed, Bengio, Hajimirsadeghi: "Were RNNs All We Needed?" (2024), section 3.1, minGRU.
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Scan(torch.autograd.Function):
    """``state[t] = keep[t] * state[t - 1] + new[t]`` along the first axis; the start state is 0.

    The gradient is the same recurrence run backwards, so no graph is built per step.
    """

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor) -> Tensor:  # noqa: ANN401 - torch's signature
        states = torch.empty_like(new)
        state = torch.zeros_like(new[0])
        # Cut into steps at once: half of the time of a short batch is indexing otherwise.
        for fresh, kept, place in zip(new.unbind(), keep.unbind(), states.unbind(), strict=True):
            state = torch.addcmul(fresh, kept, state, out=place)
        ctx.save_for_backward(keep, states)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        keep, states = ctx.saved_tensors
        to_new = torch.empty_like(gradient)
        to_new[-1] = gradient[-1]
        for step in range(len(gradient) - 2, -1, -1):
            torch.addcmul(gradient[step], keep[step + 1], to_new[step + 1], out=to_new[step])
        to_keep = torch.zeros_like(keep)
        torch.mul(to_new[1:], states[:-1], out=to_keep[1:])
        return to_keep, to_new


class GatedRecurrence(nn.Module):
    """One layer of the recurrence.

    Parameters
    ----------
    input_size, hidden_size
        Widths of a step's input and state.

    Notes
    -----
    A state lies between the smallest and the greatest candidate so far, that is within plus and
    minus one. Steps after the end of a history do not touch the states before it.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gate_and_candidate = nn.Linear(input_size, 2 * hidden_size)
        # Gates start nearly closed, at different speeds: memories of 2 to about 60 steps.
        bias = torch.linspace(-4.0, 0.0, hidden_size)
        with torch.no_grad():
            self.gate_and_candidate.bias[:hidden_size] = bias

    def forward(self, steps: Tensor) -> Tensor:
        """States float32 [B, T, hidden_size] of steps float32 [B, T, input_size]."""
        keep, new = self._gates(steps.transpose(0, 1))
        states: Tensor = _Scan.apply(keep, new)
        return states.transpose(0, 1)

    def advance(self, state: Tensor, step: Tensor) -> Tensor:
        """State float32 [B, hidden_size] after one more step float32 [B, input_size]."""
        keep, new = self._gates(step)
        return torch.addcmul(new, keep, state)

    def _gates(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept of the state before, and what is added to it, of each step."""
        gate, candidate = self.gate_and_candidate(steps).chunk(2, dim=-1)
        # Under mixed precision the products are short floats; sums over many steps must not be.
        opening = torch.sigmoid(gate.float())
        return 1 - opening, opening * torch.tanh(candidate.float())
