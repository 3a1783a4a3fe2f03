"""A device from the parameters of somebody else's card: `.model` or `.subckt` of SPICE, module of Verilog-A."""

import re
from pathlib import Path
from typing import NamedTuple

from memspike.devices.base import AbstractStateDevice
from memspike.interop.card_files import Card, read_cards
from memspike.interop.card_laws import ABSENT, LAWS, Law, read
from memspike.parts.errors import InputError, unknown


class DeviceCard(NamedTuple):
    """A device, the name of its law, the card that it is from, and what was left out or comes from the library."""

    device: AbstractStateDevice
    law: str
    card: str
    notes: tuple[str, ...]


def _law_of(card: Card) -> Law:
    """The law that a card says it has; InputError for one that is not known."""
    said = f"The {card.kind} '{card.name}' in {card.where}"
    laws = ", ".join(law.name for law in LAWS)
    if card.kind == ".model" and card.type == "memristor":
        level = card.parameters.get("level")
        if level is None:
            raise InputError(
                f"{said} is ngspice's memristor, the law of Pershin and Di Ventra, which is not in memspike."
            )
        found = next((law for law in LAWS if law.level == level.value), None)
        if found is None:
            other = ABSENT.get(int(level.value), "unknown")
            raise InputError(f"{said} is of level {level.value:g} ({other}), which is not in memspike; known: {laws}.")
        return found
    name = card.type if card.kind == ".model" else card.name
    if re.search(r"memristorp|pershin", name):
        raise InputError(f"{said} is of the law of Pershin and Di Ventra, which is not in memspike; known: {laws}.")
    found = next((law for law in LAWS if re.search(law.names, name)), None)
    if found is None:
        raise InputError(f"{said} does not say by its name which law it has; known: {laws}. Say it with --law.")
    return found


def device_from_card(path: str | Path, law: str | None = None, name: str | None = None) -> DeviceCard:
    """The device of a card in a file of SPICE or Verilog-A.

    The law is what the name of the subcircuit, module or model type says, or `law`; `name` chooses one card of several.
    The equations of a card are not compared with those of the law, except the window of ion drift, and the
    notes say so. Numbers are as ngspice, or Verilog-A, reads them.

    InputError by name for a law, a parameter or a value that is not known, and for one that the card leaves out.
    """
    path = Path(path)
    cards = read_cards(path)
    names = [card.name for card in cards]
    if name is not None:
        cards = [card for card in cards if card.name == name.lower()]
        if not cards:
            raise unknown(f"card in {path.name}", name, names)
    if len(cards) > 1:
        raise InputError(f"{path.name} has {len(cards)} cards: {', '.join(names)}; say which one with --name.")
    card = cards[0]
    known = {one.name: one for one in LAWS}
    if law is not None and law not in known:
        raise unknown("law", law, known)
    wanted = known[law] if law is not None else _law_of(card)
    device, notes = read(wanted, card)
    notes.append(f"the equations of the {card.kind} were not compared with those of {wanted.name}")
    return DeviceCard(device, wanted.name, f"{card.kind} {card.name} in {card.where}", tuple(notes))
