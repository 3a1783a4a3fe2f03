"""Cards of others → devices: the laws that are known, numbers as ngspice and Verilog-A read them, refusals by name."""

import numpy as np
import pytest

import memspike as ms
from memspike.devices import description
from memspike.interop.card_files import verilog_value
from memspike.interop.spice_cards import device_from_card

VTEAM = """`include "disciplines.vams"
module my_vteam(p, n);
  inout p, n;
  parameter real ron = 50;      // ohm
  parameter real roff = 2K from (0:inf);
  parameter real won = 0;
  parameter real woff = 3n;
  parameter real kon = -10;
  parameter real koff = 5.0e-4;
  parameter real alphaon = 3;
  parameter real alphaoff = 1;
  parameter real von = -200m;
  parameter real voff = 0.02;
  /* parameter real von = 7; */
  analog I(p, n) <+ V(p, n) / (ron + (roff - ron) * x);
endmodule
"""
YAKOPCIC = """* a card of Xyce
.model mrm3 memristor level=3 a1=0.17 a2=0.17 b=0.05 vp=0.16 vn=0.15
+ ap=4000 an=4k xp=0.3 xn=0.5 alphap=1 alphan=5 xo=0.11 eta=1
"""
DRIFT = """* ions that drift, one window at work and one behind a comment
.SUBCKT memristor Plus Minus PARAMS:
+ Ron=1K Roff=100K Rinit=80K D=10N uv=10F p=2
Gx 0 x value={I(Emem)*uv*Ron/D^2*f(V(x),p)}
Emem plus aux value={-I(Emem)*V(x)*(Roff-Ron)}
.func f(x,p)={1-(2*x-1)^(2*p)} ; Joglekar
* .func f(x,i,p)={1-(x-stp(-i))^(2*p)}
.ENDS memristor
"""
STANFORD = """module rram_v_1_0_0(TE, BE);
  parameter integer model_switch = 0 from [0:1];
  parameter real g0 = 0.25e-9; parameter real V0 = 0.25; parameter real Vel0 = 10;
  parameter real I0 = 1000e-6; parameter real beta = 0.8; parameter real gamma0 = 16;
  parameter real T_crit = 450; parameter real deltaGap0 = 0.02; parameter real T_smth = 500;
  parameter real Ea = 0.6; parameter real a0 = 0.25e-9; parameter real T_ini = 273 + 25;
  parameter real F_min = 1.4e9; parameter real gap_ini = 2e-10;
  parameter real gap_min = 2e-10; parameter real gap_max = 17e-10;
  parameter real Rth = 2.1e3; parameter real tox = 12e-9;
endmodule
"""
KNOWM = ".subckt knowm_mms p n params: ron=500 roff=1500 von=0.27 voff=0.27 tau=1e-4 t=298.5 phi=1\n.ends\n"


@pytest.fixture
def card(tmp_path):
    """Write a file of models → what is made of it."""

    def made(text, **options):
        path = tmp_path / "card.txt"
        path.write_text(text)
        return device_from_card(path, **options)

    return made


@pytest.mark.parametrize(
    ("text", "law", "device"),
    [
        (VTEAM, "vteam", ms.devices.VTEAM(r_off=2e3)),
        (YAKOPCIC, "yakopcic", ms.devices.Yakopcic()),
        (STANFORD, "stanford-pku", ms.devices.StanfordPKU()),
        (KNOWM, "metastable-switch", description.find("knowm")),
        (
            DRIFT,
            "linear-ion-drift",
            ms.devices.LinearIonDrift(
                r_on=1e3, r_off=1e5, depth=10e-9, mobility=10e-15, x_0=20 / 99, window=ms.devices.Joglekar(p=2)
            ),
        ),
    ],
    ids=["vteam", "yakopcic", "stanford-pku", "knowm", "linear-ion-drift"],
)
def test_a_card_is_the_device_of_the_library(card, text, law, device):
    found = card(text)
    assert found.law == law
    assert type(found.device) is type(device)
    wanted = {p.path: np.asarray(p.value) for p in ms.parameters(device)}
    for p in ms.parameters(found.device):
        np.testing.assert_allclose(np.asarray(p.value), wanted[p.path], rtol=1e-5, err_msg=p.path)
    assert any("were not compared" in note for note in found.notes)


def test_what_is_left_out_is_told(card):
    notes = " ".join(card(STANFORD).notes)
    assert "deltagap0 is left out: noise of the dynamic model" in notes
    assert "gap_ini is left out: the initial state" in notes
    assert "smoothing, edge_width, substeps are the library's" in notes


def test_numbers_of_verilog_are_not_those_of_spice(card):
    """M is 1e6 there and 1e-3 here, and mil is no suffix where ngspice evaluates a parameter."""
    assert verilog_value("1M", "it") == 1e6
    assert verilog_value("2*(1m + 3)", "it") == pytest.approx(6.002)
    with pytest.raises(ms.InputError, match="no sum or product of numbers"):
        verilog_value("`P_Q", "it")
    subckt = KNOWM.replace("tau=1e-4", "tau=1mil")
    assert float(card(subckt).device.tau) == pytest.approx(1e-3)
    model = YAKOPCIC.replace("b=0.05", "b=50M")
    assert float(card(model).device.b) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (YAKOPCIC.replace("vn=0.15", ""), "does not say vn, which yakopcic needs"),
        (YAKOPCIC.replace("eta=1", "eta=-1"), "eta of the .model 'mrm3' in line 2 of card.txt is -1; 1 is needed"),
        (YAKOPCIC.replace("eta=1", "etta=1"), "etta of the .model 'mrm3' in line 2 of card.txt is no parameter"),
        (YAKOPCIC.replace("level=3", "level=2"), "is of level 2 (TEAM, which follows the current)"),
        (YAKOPCIC.replace("level=3", ""), "the law of Pershin and Di Ventra, which is not in memspike"),
        (YAKOPCIC.replace("a1=0.17", "a1=0.17x5"), "'a1' in line 2 of card.txt is '0.17x5'"),
        (YAKOPCIC.replace("a1=0.17", "a1={amp}"), "'a1' in line 2 of card.txt is 'amp'"),
        (YAKOPCIC.replace("a1=0.17", "a1=0.17 a1=0.2"), "'a1' of mrm3 is given again"),
        (".model d1 d(is=1e-14)\n", "does not say by its name which law it has"),
        (DRIFT.replace("1-(2*x-1)^(2*p)", "x*(1-x)"), "has no window that is known"),
        (DRIFT.replace("Roff=100K", "Roff=1K"), "its initial resistance says no state"),
        (DRIFT.replace("Roff=100K", ""), "does not say roff, x0, which linear-ion-drift needs"),
        (DRIFT.replace("p=2", ""), "does not say p, the exponent of its window"),
        (DRIFT + "X1 a b memristor ron=2k\n", "gives parameters of its own to a subcircuit"),
        (STANFORD.replace("model_switch = 0", "model_switch = 1"), "0 is needed: the dynamic model has noise"),
        (KNOWM.replace("phi=1", "phi=0.8"), "phi of the .subckt 'knowm_mms' in line 1 of card.txt is 0.8"),
        (VTEAM.replace("kon = -10", "kon = 10"), "VTEAM.k_on"),
        (KNOWM + YAKOPCIC, "has 2 cards: knowm_mms, mrm3; say which one with --name"),
        ("a text\n", "has no .model and no .subckt card"),
    ],
)
def test_what_is_not_known_is_refused_by_name(card, text, said):
    with pytest.raises(ms.InputError) as refused:
        card(text)
    assert said in str(refused.value)


def test_the_law_and_the_card_can_be_said(card):
    assert card(KNOWM + YAKOPCIC, name="mrm3").law == "yakopcic"
    assert card(KNOWM.replace("knowm_mms", "thing"), law="metastable-switch").law == "metastable-switch"
    with pytest.raises(ms.InputError, match="Did you mean 'vteam'"):
        card(VTEAM, law="vtem")


def test_the_verb_writes_a_device(call, tmp_path):
    (tmp_path / "card.sp").write_text(YAKOPCIC)
    out = tmp_path / "mine.toml"
    status, said, _ = call("import-device", tmp_path / "card.sp", "--out", out)
    assert status == 0
    assert "yakopcic from .model mrm3 in line 2 of card.sp" in said
    assert isinstance(description.find(str(out)), ms.devices.Yakopcic)
    status, _, error = call("import-device", tmp_path / "card.sp", "--out", out)
    assert (status, "exists" in error) == (2, True)
    status, _, error = call("import-device", tmp_path / "none.sp", "--out", tmp_path / "other.toml")
    assert (status, "does not exist" in error) == (2, True)
    assert not (tmp_path / "other.toml").exists()
