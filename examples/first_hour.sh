#!/usr/bin/env bash
# The first hour with memspike: a training, data of your own, a device and a neuron of your own, two settings swept by a
# loop, conductances for the laboratory, the trained chips in Python, a figure for a paper. It writes in this folder.
set -euo pipefail

# 1. Digits on RRAM pairs and MIF neurons; the page of the run is runs/memprop-digits/report.html.
memspike run memprop-digits --quick

# 2. Data of your own: arrays in an npz file, here waves that rise or fall, of unequal length, told apart by any names.
python - <<'PYTHON'
import numpy as np

rng = np.random.default_rng(0)
names = np.array(["rise", "fall"] * 60)
lengths = rng.integers(6, 11, 120)
x = np.zeros((120, 10, 4))
for k, n in enumerate(lengths):
    place = np.linspace(0, 3, n)[:: 1 if names[k] == "rise" else -1]
    x[k, :n] = np.exp(-((np.arange(4) - place[:, None]) ** 2)) + 0.1 * rng.normal(size=(n, 4))
np.savez("waves.npz", x=x, y=names, lengths=lengths)
PYTHON
memspike data look waves.npz
own="--set data.name=waves.npz --set network.layers=[16] --set encoder=channels --set training.batch=16"
memspike run memprop-digits $own --set training.epochs=30 --out runs/waves

# 3. A device and a neuron of your own, in one file; --import brings them into every command.
cat > my_parts.py <<'PYTHON'
import memspike as ms


@ms.register("device", "two-level", "soft bounds from 2 to 40 µS, 60 pulses from end to end", "a data sheet")
def two_level() -> ms.devices.SoftBounds:
    return ms.devices.SoftBounds(g_min=2e-6, g_max=40e-6, pulses_up=60, pulses_down=60)


@ms.register("neuron", "eager", "a MIF neuron whose memristor switches at 90 mV", "an example")
def eager() -> ms.neurons.MIF:
    return ms.neurons.MIF(m1=ms.devices.MetastableSwitch(v_on=90e-3))
PYTHON
memspike show two-level --import my_parts.py --quiet

# 4. Two settings swept by a loop: the device and the scheme that writes it, with the neuron of step 3.
for device in two-level taox-hfox; do
  for scheme in mixed-precision sign; do
    memspike run memprop-digits $own --set training.epochs=10 --import my_parts.py --set neuron=eager --quiet \
      --set evaluation.chips=0 --set evaluation.fine_dt=none \
      --set "synapse.device=$device" --set "learning.scheme=$scheme" --out "runs/$device-$scheme"
  done
done
memspike compare runs/two-level-mixed-precision runs/two-level-sign runs/taox-hfox-mixed-precision runs/taox-hfox-sign \
  --out comparison

# 5. Conductances and pulses for the laboratory, and the trained chips in Python.
memspike export runs/two-level-mixed-precision --out for-the-lab
python - <<'PYTHON'
import numpy as np

import memspike as ms

run = ms.load("runs/two-level-mixed-precision")
print("accuracy", run.accuracy(), "first examples", run.predict(run.test_examples[:3]), run.labels[:3])
for name, g in run.conductances().items():
    print(name, g.shape, f"{1e6 * np.min(g):.1f} to {1e6 * np.max(g):.1f} µS")
PYTHON

# 6. Figures for a paper.
memspike report runs/waves --format svg --width 85mm --out figures
