"""Small files in the layouts of instruments and people, written by the tests: name → bytes, and what is in them."""

import gzip
import io

import numpy as np

PULSES = 12
UP = [1e-6 + 9e-6 * (1 - np.exp(-np.arange(PULSES) / 4)) * (1 + 0.01 * k) for k in (0, 1)]
DOWN = [1e-6 + 9e-6 * np.exp(-np.arange(PULSES) / 4) * (1 + 0.01 * k) for k in (0, 1)]
RAMPS = [*UP, *DOWN]
VOLTS = np.concatenate([np.linspace(0, 1, 11), np.linspace(0.9, -1, 20), np.linspace(-0.9, 0, 10)])
AMPERES = 1e-5 * np.sinh(2 * VOLTS) + 3e-6


def lines(*rows, end="\n"):
    return end.join(rows) + end


def wide(names=("up1", "up2", "dn1", "dn2"), *, scale=1.0, separator=",", form="{:.6g}"):
    head = [separator.join(names)] if names else []
    return lines(*head, *(separator.join(form.format(scale * v) for v in row) for row in zip(*RAMPS, strict=True)))


def b1500(marker):
    setup = [
        "Channel.UnitType, SMU, SMU, SMU",
        "Channel.IName, I2, I1, I3",
        "Channel.VName, V2, V1, V3",
        "Channel.Func, CONST, VAR1, CONST",
        "Measurement.Primary.Compliance, 1E-05",
        *(f"Measurement.Parameter{k}, {k}" for k in range(150)),
    ]
    rows = [f"{v:.6g}, {i:.8E}, 0" for v, i in zip(VOLTS, AMPERES, strict=True)]
    if marker:
        head = ["Setup title,Sweep", 'Classic test name,"I/V Sweep"', *(s.replace(", ", ",") for s in setup)]
        return lines(*head, "AutoAnalysis.Marker.Data.StartCondition,", "V1,I1,V3", *(r.replace(" ", "") for r in rows))
    tagged = ["SetupTitle, Sweep", "PrimitiveTest, I/V Sweep", *(f"TestParameter, {s}" for s in setup)]
    tagged += ["TestParameter, AutoAnalysis.Marker.Data.StartCondition, ", "Dimension1, 41, 41", "DataName, V1, I1, V3"]
    return lines("", *tagged, *(f"DataValue, {row}" for row in rows))


def arc_one():
    rows = [
        "Session of a chip",
        "Sun 29 Nov 2026",
        "Wordline,Bitline,Resistance,Amplitude (V),Pulse width (s),Tag,ReadTag,ReadVoltage",
    ]
    for bit in (1, 2):
        rows.append(f"3,{bit},{1 / UP[0][0]:.7g},0.5,0,S R2 V=0.5,R2,0.5")
        for sign, ramp in ((1, UP[0]), (-1, DOWN[0])):
            for k, g in enumerate(ramp[1:]):
                rows.append(f"3,{bit},{1 / g:.7g},{sign * 1.5},1e-06,P,R2,0.5")
                if k == 3:
                    rows.append(f"3,{bit},{1 / g:.7g},0.5,0,S R2 V=0.5,R2,0.5")
    return lines(*rows, end="\r\n")


def arc_two():
    import h5py

    kinds = [
        ("current", "<f4"),
        ("voltage", "<f4"),
        ("pulse_width", "<f4"),
        ("read_voltage", "<f4"),
        ("op_type", "<u4"),
    ]
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        made = {name: file.create_group(name) for name in ("crossbar", "crosspoints", "synthetics")}
        series = made["crosspoints"].create_group("W01B02").create_dataset("timeseries", (100,), dtype=kinds)
        rows = [(0.2 * UP[0][0], 0.0, 0.0, 0.2, 1)]
        for sign, ramp in ((1, UP[0]), (-1, DOWN[0])):
            for g in ramp[1:]:
                rows += [(0.0, 1.2 * sign, 1e-7, 0.2, 2), (0.2 * g, 0.0, 0.0, 0.2, 1)]
        series[: len(rows)] = np.array(rows, dtype=kinds)
        series.attrs["NROWS"] = len(rows)
    return memory.getvalue()


def workbook(kind="xlsx"):
    pages = {
        name: [
            ["AV", "AI", "Time"],
            *([v, float(k) * i, 0.1 * n] for n, (v, i) in enumerate(zip(VOLTS, AMPERES, strict=True))),
        ]
        for k, name in enumerate(("Data", "Append1"), 1)
    }
    pages |= {"Calc": [["=A1", 1.0]], "Settings": [["Test Name", "sweep"], ["Compliance", 0.1]]}
    memory = io.BytesIO()
    if kind == "xls":
        import xlwt

        book = xlwt.Workbook()
        for name, rows in pages.items():
            page = book.add_sheet(name)
            for r, row in enumerate(rows):
                for c, cell in enumerate(row):
                    page.write(r, c, cell)
    else:
        import openpyxl

        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for name, rows in pages.items():
            page = book.create_sheet(name)
            for row in rows:
                page.append([str(c) if isinstance(c, str) and c.startswith("=") else c for c in row])
    book.save(memory)
    return memory.getvalue()


def smu():
    rows = [f"{0.1 * k:.3f},{v:.6g},{i:.6g},{v / i:.6g}," for k, (v, i) in enumerate(zip(VOLTS, AMPERES, strict=True))]
    return lines("Smu1.Time[1][1],Smu1.V[1][1],Smu1.I[1][1],Res,", *rows)


def potentiostat():
    rows = [
        f"{v:.5f};{k};{i:.6E};1;100 nA".replace(".", ",") for k, (v, i) in enumerate(zip(VOLTS, AMPERES, strict=True))
    ]
    return lines("Potential applied (V);Time (s);WE(1).Current (A);Scan;Current range", *rows)


def knowm():
    return lines(*(f"{v},{1e6 * i}" for v, i in zip(VOLTS, AMPERES, strict=True)))


def numpy_log():
    head = "# pulse_v,pulse_width,num_applied,meas_v,i_0,i_1,i_2"
    rows = []
    for sign, ramp in ((-1, UP[0]), (1, DOWN[0])):
        rows += [f"{sign * 3},5e-07,1,-0.1," + ",".join(f"{-0.1 * g * c:.6e}" for c in (1, 1.001, 0.999)) for g in ramp]
    return lines(head, *rows)


def pulse_log():
    head = [
        "Number of Pulses: 24",
        "Read Voltage (V):50.000000E-3",
        "ON Voltage (V):2.0",
        "tON (ms):1",
        "Temperature (K): 300.0",
    ]
    rows, time = ["Time stamp (s), Voltage (V), Current (A), Voltage (V), Current (A),Resistance (Ohm)"], 0.0
    for sign, ramp in ((1, UP[0]), (-1, DOWN[0])):
        for g in ramp:
            rows += [
                f"{time:.3f},{sign * 2.0:.6E},+001.4E-03,,,1.4E+3",
                f"{time + 0.1:.3f},0.000000E+0,-000.001E-03,,,0.0E+0",
                f"{time + 0.2:.3f},5.000000E-2,{0.05 * g + 1e-9:.6E},-5.000000E-2,{-0.05 * g + 1e-9:.6E},{1 / g:.6E}",
            ]
            time += 1.0
    return lines(*head, *rows)


def neurosim():
    rising = DOWN[0][::-1]
    rows = [
        f"{k}\t{u:.4e}\t" + (f"{k}\t{d:.4e}" if k < 10 else "\t")
        for k, (u, d) in enumerate(zip(UP[0], [*rising[:10], 0, 0], strict=True))
    ]
    return lines("Time[ns]_LTP\tConductance_LTP\tTime[ns]_LTD\tConductance_LTD", *rows)


def write_verify(columns=11):
    rows = []
    for k in range(20):
        low, final = 5e3 * (1 + k % 4), 5.5e3 * (1 + k % 4)
        if columns == 11:
            cells = [31 + k, 12, 4, 3, 1e10 if k == 7 else final, 1, low, 1.2 * low, k != 7, 2, 1]
        else:
            cells = [31 + k, 0.8, 2.4, final, 0, 1]
        rows.append("\t".join(f"{float(c):.3f}" for c in cells))
    return lines(*rows)


def normalised():
    series = np.concatenate([np.linspace(-1, 1, 20), np.linspace(0.9, -1, 19)])
    return lines(*(f"{v:.4f}" for v in series))


def endurance():
    return lines("Cycle,LRS (kOhm),HRS (MOhm)", *(f"{10**k},{10 + k},{2 - 0.1 * k:.2f}" for k in range(7)))


def retention():
    return lines("time (h);T (°C);G (uS)", *(f"{k};85;{(1 + k) ** -0.05:.5f}".replace(".", ",") for k in range(9)))


LAYOUTS = {
    "b1500.csv": lambda: b1500(marker=False),
    "easyexpert.csv": lambda: b1500(marker=True),
    "arc_one.csv": arc_one,
    "arc_one.csv.gz": lambda: gzip.compress(arc_one().encode()),
    "arc_two.h5": arc_two,
    "keithley.xlsx": workbook,
    "keithley.xls": lambda: workbook("xls"),
    "smu.csv": smu,
    "potentiostat.txt": potentiostat,
    "Memristor.csv": knowm,
    "numpy_log.csv": numpy_log,
    "pulse_log.dat": pulse_log,
    "neurosim.tsv": neurosim,
    "write_verify.csv": write_verify,
    "set.csv": lambda: write_verify(6),
    "aihwkit.csv": normalised,
    "endurance.csv": endurance,
    "retention.csv": retention,
    "wide.csv": lambda: wide(),
    "utf16.csv": lambda: wide().encode("utf-16"),
    "latin1.csv": lambda: wide(["G (µS)"] * 4, scale=1e6).encode("latin-1"),
    "thousands.csv": lambda: wide(["R (ohm)"] * 4, form='"{:,.1f}"', scale=1e10),
    "cells.csv": lambda: wide(form="{:.5f} uS", scale=1e6),
}


def data(name):
    made = LAYOUTS[name]()
    return made.encode() if isinstance(made, str) else made
