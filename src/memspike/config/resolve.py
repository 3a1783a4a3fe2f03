"""From a name or a TOML file and `--set key=value` to checked settings."""

import copy
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from memspike.config.gains import with_gains
from memspike.parts import table
from memspike.parts.errors import InputError, unknown
from memspike.parts.fields import fields_of
from memspike.parts.imports import KEY, bring_recorded
from memspike.parts.registry import DEVICES
from memspike.parts.table import BEFORE, Recipe
from memspike.parts.written import keys_of, plain

LAYERED = ("neuron", "synapse", "array")
DEVICE_KEYS = ("device", "m1", "m2")


def parse_value(text: str) -> Any:
    """A TOML value, a list of such, or the text itself (names and quantities like 50us)."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return [parse_value(part) for part in inner.split(",")] if inner else []
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def merged(old: Any, new: Any, *, keeps: bool = True) -> Any:
    """What `new` makes of `old`: tables key by key; tables with numbers as keys change lists.

    Another type keeps the keys that it shares with the old one, unless it is that of a device, whose presets are whole.
    """
    if isinstance(new, str) and isinstance(old, Mapping):
        new = {"type": new}
    if not isinstance(new, Mapping):
        return copy.deepcopy(new)
    if isinstance(old, list) and new and all(str(k).isdigit() for k in new):
        return _rows(old, new)
    old = {"type": old} if isinstance(old, str) else old
    if not isinstance(old, Mapping):
        return copy.deepcopy(dict(new))
    if new.get("type", old.get("type")) != old.get("type"):
        if not keeps:
            return copy.deepcopy(dict(new))
        before = {k: v for k, v in old.items() if k not in ("type", BEFORE)}
        old = {BEFORE: {**old.get(BEFORE, {}), **before}}
    found = dict(old)
    for key, value in new.items():
        found[key] = merged(_entry(found, key), value, keeps=key not in DEVICE_KEYS)
    return found


def _entry(table: Mapping[str, Any], key: str) -> Any:
    """What a table has under a key, or the one that it replaced."""
    return table.get(key, table.get(BEFORE, {}).get(key))


def _rows(old: list[Any], new: Mapping[str, Any]) -> list[Any]:
    """A list in which some entries have changed; one more may be added at its end."""
    rows = copy.deepcopy(old)
    for k, value in sorted(new.items(), key=lambda item: int(item[0])):
        if int(k) > len(rows):
            raise InputError(
                f"Entry {k} does not exist in a list of {len(rows)}; allowed: 0 to {len(rows)}, the next one."
            )
        rows.extend([{}] * (int(k) + 1 - len(rows)))
        before = rows[int(k)]
        rows[int(k)] = merged({"size": before} if isinstance(before, int) else before, value)
    return rows


def put(tables: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Tables with another value of a dotted key."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return merged(tables, value)


def _full_key(given: str, known: list[str], sections: list[str]) -> str:
    """A dotted key as it is, or the one key whose last parts it is: of several the one that is least deep."""
    if given.split(".")[0] in sections:
        return given
    same_end = [key for key in known if key.endswith(f".{given}")]
    least = min((key.count(".") for key in same_end), default=0)
    same_end = [key for key in same_end if key.count(".") == least]
    if len(same_end) == 1:
        return same_end[0]
    if same_end:
        raise InputError(f"The key '{given}' is ambiguous; allowed: {', '.join(sorted(same_end))}.")
    short = [key.rsplit(".", 1)[-1] for key in known] if "." not in given else known
    raise unknown("key", given, [*sections, *short], "see: memspike show EXPERIMENT")


def _file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"The experiment file {path} does not exist.")
    try:
        tree = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from None
    if not isinstance(tree.get("experiment"), str):
        raise InputError(f'{path} needs a line like: experiment = "memprop-digits".')
    return tree


def preset_of(device: Any) -> str:
    """The registered name of the innermost device of a table that has one, or ''."""
    found = ""
    while isinstance(device, Mapping):
        name = device.get("type")
        found = name if isinstance(name, str) and name in DEVICES else found
        device = device.get("device")
    return device if isinstance(device, str) and device in DEVICES else found


def completed(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tables in which layers have what the run gives all of them, and the preset of the device is written down."""
    found = copy.deepcopy(dict(tables))
    network = found.get("network")
    layers = network.get("layers") if isinstance(network, Mapping) else None
    if isinstance(layers, list):
        found["network"] = dict(network or {}) | {"layers": [_layer(one, found) for one in layers]}
    synapse, made = found.get("synapse"), found.get("fabrication")
    device = _entry(synapse, "device") if isinstance(synapse, Mapping) else None
    if device is not None and isinstance(made, Mapping | None) and "preset" not in (made or {}):
        found["fabrication"] = dict(made or {}) | {"preset": preset_of(device)}
        spread = file_spread(device) if (made or {}).get("published") is True else {}
        if spread and isinstance((made or {}).get("spread", {}), Mapping):
            found["fabrication"]["spread"] = spread | dict((made or {}).get("spread", {}))
    return found


def file_spread(device: Any, inside: str = "") -> dict[str, Any]:
    """The spread in the TOML file that a device, or the one inside it, comes from; paths as seen from outside."""
    name = device.get("type") if isinstance(device, Mapping) else device
    if isinstance(name, str) and name.endswith(".toml"):
        entries = table.read_table(Path(name)).get(table.SPREAD, {})
        return {" ".join(inside + path for path in paths.split()): how for paths, how in dict(entries).items()}
    return file_spread(device.get("device"), f"{inside}device.") if isinstance(device, Mapping) else {}


def _layer(layer: Any, tables: Mapping[str, Any]) -> Any:
    if not isinstance(layer, Mapping):
        return layer
    own = dict(layer)
    run = {name: tables.get(name, {}) for name in LAYERED}
    learning = tables.get("learning", {})
    run["scheme"] = learning.get("scheme", {}) if isinstance(learning, Mapping) else {}
    for name, whole in run.items():
        if isinstance(own.get(name), Mapping) and "type" not in own[name]:
            own[name] = merged(whole, own[name])
    return own


def checked(root: type, tables: Mapping[str, Any]) -> Any:
    """The settings of tables; InputError in one sentence for what is wrong with them."""
    known = fields_of(root)
    for key in tables:
        if key not in known:
            raise unknown("key", key, known)
    values = completed(tables)
    return with_gains(root(**{k: table.convert(v, known[k], k, table.default_of(known[k])) for k, v in values.items()}))


def written(settings: Any, tables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Settings as the tables of a file, which says none where other `tables` that it lies on have a value."""
    found = plain(settings)
    found.pop("type")
    _say_none(found, settings, tables or {})
    return found


def _say_none(found: dict[str, Any], part: Any, tables: Mapping[str, Any]) -> None:
    """The word none for every key of the tables that is None in the part and so not in `found`."""
    options = part.options() if isinstance(part, Recipe) else None
    for name, usual in tables.items():
        value = getattr(part, name, usual) if options is None else options.get(name, usual)
        if value is None:
            found[name] = "none"
        elif isinstance(usual, Mapping) and isinstance(found.get(name), dict):
            _say_none(found[name], value, usual)


class Resolver:
    """The keys of an experiment: later changes win."""

    def __init__(self, root: type, tables: Mapping[str, Any]):
        self.root, self.tables = root, dict(tables)

    def change(self, key: str, value: Any) -> None:
        """Give a key another value; a key may be the last parts of one that is unique."""
        sections = list(fields_of(self.root))
        whole = key.split(".")[0] in sections
        known = [] if whole else [k.path for k in keys_of(checked(self.root, self.tables))]
        full = _full_key(key, known, sections)
        if full == "experiment":
            raise InputError("The key 'experiment' is the name of the run and cannot be set.")
        self.tables = put(self.tables, full, value)
        if preset_of(put({}, full, value).get("synapse", {})):  # another preset brings its own spread
            self.tables["fabrication"] = {k: v for k, v in self.tables.get("fabrication", {}).items() if k != "preset"}

    def settings(self) -> Any:
        """The settings, checked."""
        return checked(self.root, self.tables)


def assignments(overrides: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Keys and values of texts like key=value."""
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item} has no '='; write --set key=value.")
        yield key.strip(), parse_value(value)


def read_file(name_or_file: str) -> tuple[str, dict[str, Any]]:
    """The name of an experiment and the tables that a file adds to it; parts of users that it names are imported."""
    if not name_or_file.endswith(".toml"):
        return name_or_file, {}
    file = Path(name_or_file)
    tree = _file(file)
    if KEY in tree:
        bring_recorded(tree.pop(KEY), file)
    return tree.pop("experiment"), tree
