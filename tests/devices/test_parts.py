"""Every part of devices, cells, arrays and neurons: documented, checked when it is made."""

import dataclasses
import importlib
import pkgutil
import subprocess
import sys
from dataclasses import MISSING

import pytest

from memspike import arrays, cells, devices, neurons, testing
from memspike.arrays import ADC, DAC, SenseAmplifier, Tiles, costs, rows
from memspike.cells import RangeReference, SingleReference, Stack
from memspike.devices import SoftBounds
from memspike.devices.part import AbstractPart
from memspike.devices.pcm import Cubic, InversePower, Switched
from memspike.devices.variation.fabricate import Absolute, AnyOf, LogNormal, OfLabel, Relative, Weibull
from memspike.neurons import SpikeObserver
from memspike.neurons.netlist.elements import Capacitor, CurrentSource, Resistor, VoltageSource, VoltageSwitch
from memspike.parts.errors import InputError

# parts that cannot be made without arguments
SAMPLES = {
    ADC: lambda: ADC(8, 1e-6),
    DAC: lambda: DAC(8, 1.0),
    SenseAmplifier: lambda: SenseAmplifier(1e4),
    Tiles: lambda: Tiles(64, 64),
    RangeReference: lambda: RangeReference(SoftBounds()),
    SingleReference: lambda: SingleReference(SoftBounds(), 5e-6),
    Stack: lambda: Stack(SoftBounds(), 5e-6),
    Switched: lambda: Switched(Cubic(), InversePower()),
    AnyOf: lambda: AnyOf(3),
    Resistor: lambda: Resistor(1e3),
    Capacitor: lambda: Capacitor(1e-9),
    CurrentSource: lambda: CurrentSource(1e-6),
    VoltageSource: lambda: VoltageSource(1.0),
    VoltageSwitch: lambda: VoltageSwitch(0.5, 0.1, 1e3, 1e6),
    **{kind: lambda kind=kind: kind(0.1) for kind in (Absolute, LogNormal, OfLabel, Relative, Weibull)},
}


for package in (devices, cells, arrays, neurons):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def finals(base):
    for sub in base.__subclasses__():
        ours = sub.__module__.startswith("memspike.") and "testing" not in sub.__module__
        if ours and not sub.__abstractmethods__ and not sub.__name__.startswith("Abstract"):
            yield sub
        yield from finals(sub)


def made(cls):
    """A part of this class: of its defaults, or around a device where it needs one alone."""
    needed = [f.name for f in dataclasses.fields(cls) if f.init and f.default is f.default_factory is MISSING]
    return SAMPLES.get(cls, lambda: cls(SoftBounds()) if needed == ["device"] else cls())()


PARTS = sorted(set(finals(AbstractPart)), key=lambda cls: cls.__qualname__)


@pytest.mark.parametrize("cls", PARTS, ids=lambda cls: cls.__qualname__)
def test_every_field_is_documented_and_every_number_checked(x64, cls):
    testing.check_parameters(made(cls))


def test_there_are_many_parts():
    assert len(PARTS) > 70
    assert {costs.Costs, rows.DynamicalRows, SpikeObserver} <= set(PARTS)


@pytest.mark.parametrize(
    "call",
    [
        "neurons.LIF(refractory=2.5)",
        "neurons.ALIF(refractory=float('nan'))",
        "neurons.LIF(soft=1)",
        "arrays.Tiles(True, 3)",
        "arrays.ADC(8, 1e-6, bipolar=None)",
        "cells.BitSliced(digits=1.5)",
        "devices.VTEAM(substeps=float('inf'))",
        "devices.Relative(float('nan'))",
    ],
)
def test_wrong_kinds_are_refused_when_a_part_is_made(call):
    """In a program of its own: here the type checker of the tests would speak first."""
    code = f"from memspike import arrays, cells, devices, neurons\ntry:\n {call}\nexcept ValueError as e:\n print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stdout.strip().endswith("is needed.")


def test_the_sentence_names_field_value_and_what_is_allowed():
    for make, said in (
        (lambda: Tiles(0, 3), "Tiles.rows"),
        (lambda: costs.Costs(columns_per_adc=0), "Costs.columns_per_adc"),
    ):
        with pytest.raises(InputError, match=rf"^{said} is 0 \(.*\); a whole number from 1 to \d+ is needed\.$"):
            make()
