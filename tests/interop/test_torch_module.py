"""The door to PyTorch: gradients are JAX's, memory is not shared, nothing is narrowed in silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.networks import Clock, Recurrent, feedforward
from memspike.neurons import LIF
from memspike.parts.errors import InputError

torch = pytest.importorskip("torch")

from memspike.interop import to_jax, to_torch, torch_module  # noqa: E402

DT, STEPS = 5e-5, 30


@pytest.mark.parametrize(
    "network", [feedforward((6, 5, 3)), Recurrent((6, 5, 3), LIF(tau=1e-3, theta=0.3))], ids=["mif", "lif"]
)
def test_outputs_and_gradients_are_those_of_jax(network):
    weights = tuple(jnp.clip(0.5 * w, -1, 1) for w in network.init_weights(key=jax.random.key(0)))
    module = torch_module(network, weights, DT)
    x = torch.rand(STEPS, 4, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = module(x)
    slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    y.backward(slope)

    def run(weights, x):
        return network.run(network.programmed(weights, None), x, Clock(DT, (STEPS,))).output

    wanted, pull = jax.vjp(run, weights, jnp.asarray(x.detach().numpy()))
    of_weights, of_x = pull(jnp.asarray(slope.numpy()))
    assert np.allclose(y.detach().numpy(), wanted, rtol=1e-5, atol=1e-7)
    pairs = [(x.grad, of_x), *((p.grad, g) for p, g in zip(module.parameters(), of_weights, strict=True))]
    for ours, theirs in pairs:
        assert np.abs(theirs).max() > 0
        assert np.abs(ours.numpy() - np.asarray(theirs)).max() <= 1e-5 * np.abs(theirs).max()
    with torch.no_grad():
        assert torch.allclose(module(x), y)


def test_an_optimizer_of_torch_lowers_a_loss():
    network = feedforward((6, 3))
    module = torch_module(network, (jnp.full((6, 3), 0.1),), DT)
    x, optimizer = torch.full((STEPS, 2, 6), 0.05), torch.optim.Adam(module.parameters(), 0.05)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = ((module(x)[-1] - 0.02) ** 2).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_memory_is_cloned_in_both_directions():
    tensor = torch.arange(6.0).reshape(2, 3)
    array = to_jax(tensor)
    tensor += 1
    assert array[0, 0] == 0
    back = to_torch(array)
    back += 1
    assert array[0, 0] == 0


@pytest.mark.parametrize(
    "view", [lambda t: t.T, lambda t: t[:, ::2], lambda t: t[0].expand(4, 6), lambda t: t.flip(0)[1:]]
)
def test_strides_of_any_kind_are_made_compact(view):
    tensor = view(torch.arange(24.0).reshape(4, 6))
    assert np.array_equal(to_jax(tensor), tensor.numpy())


@pytest.mark.parametrize("kind", [torch.float64, torch.int64])
def test_wide_tensors_are_refused_and_not_narrowed(kind):
    with pytest.raises(InputError, match=r"narrow to 32 bits.*float\(\)"):
        to_jax(torch.ones(2, dtype=kind), "x")


def test_wide_tensors_pass_where_jax_has_64_bits(x64):
    assert to_jax(torch.full((2,), 0.1, dtype=torch.float64))[0] == 0.1


def test_what_is_missing_or_no_number_is_said():
    network = feedforward((6, 3))
    with pytest.raises(InputError, match="weights, one array"):
        torch_module(network)
    with pytest.raises(InputError, match="shapes"):
        torch_module(network, (jnp.ones((5, 3)),), DT)
    module = torch_module(network, (jnp.ones((6, 3)),), DT)
    with pytest.raises(InputError, match="x is int32"):
        module(torch.ones(STEPS, 6, dtype=torch.int32))
