"""ArC TWO: HDF5 data sets of arc2control, the biasing history of each crosspoint."""

import io
from typing import Any

import numpy as np

from memspike.fitting.instruments.extras import extra
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, RawColumn
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_FIELDS = ("current", "voltage", "pulse_width", "read_voltage", "op_type")
_PULSE = 0b10  # bit of op_type: a pulse was applied


def _histories(source: Source) -> list[tuple[str, Any]]:
    """(crosspoint, rows) of each `timeseries`; InputError for another HDF5 file."""
    h5py = extra("h5py", source.name)
    found = []
    try:
        with h5py.File(io.BytesIO(source.data), "r") as file:
            for name, point in file["crosspoints"].items():
                series = point["timeseries"]
                used = int(series.attrs["NROWS"])
                rows = series[: max(0, used)]
                if not {*_FIELDS} <= {*(rows.dtype.names or ())}:
                    raise KeyError(name)
                found.append((str(name), rows))
    except Exception as error:  # a damaged file fails in many ways inside the HDF5 library
        raise InputError(
            f"{source.name} is no data set of ArC TWO that can be read ({str(error).splitlines()[0][:80]})."
            if str(error)
            else f"{source.name} is no data set of ArC TWO that can be read."
        ) from None
    return [(name, rows) for name, rows in found if len(rows)]


def _read(source: Source, options: Options) -> Raw:
    found = _histories(source)
    if not found:
        raise InputError(f"{source.name} is a data set of ArC TWO without reads or pulses.")
    rows = np.concatenate([rows for _, rows in found])
    pulsed = (rows["op_type"].astype(int) & _PULSE) > 0
    reads = (rows["op_type"].astype(int) & 1) > 0
    columns = [
        RawColumn("crosspoint", [name for name, own in found for _ in own], "device"),
        RawColumn("current", np.where(reads, rows["current"], np.nan).tolist(), "current", "A"),
        RawColumn("voltage", np.where(pulsed, rows["voltage"], 0.0).tolist(), "write voltage", "V"),
        RawColumn("pulse_width", np.where(pulsed, rows["pulse_width"], np.nan).tolist(), "width", "s"),
        RawColumn("read_voltage", rows["read_voltage"].tolist(), "read voltage", "V"),
    ]
    return Raw(FORM.name, columns, tuple(range(1, len(rows) + 1)))


FORM = Form(
    "ArC TWO",
    "an HDF5 file with `crosspoints/W…B…/timeseries`",
    "currents and read voltages, crosspoint by crosspoint; pulses told by `op_type` (needs h5py)",
    "[arc-instruments/arc2control](https://github.com/arc-instruments/arc2control) 08ccd278",
    lambda source: source.is_a("hdf5"),
    _read,
)
