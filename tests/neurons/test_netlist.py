"""tmp"""
import pytest
import memspike as ms
from memspike.neurons.netlist.neuron import Netlist
@pytest.mark.parametrize("n",[Netlist,ms.neurons.mif])
def test_c(n):
    ms.testing.check_neuron(n())
