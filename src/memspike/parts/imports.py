"""Parts of users: files and modules that a command names, and entry points of installed packages.

What they register is known from then on, also to the processes that work beside this one, and a run folder says which
they were.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from memspike.parts.errors import InputError, nearest
from memspike.parts.place import MAIN, short
from memspike.parts.registry import REGISTRIES, Entry, Registry

GROUP = "memspike.parts"
# the key of a configuration file that names them
KEY = "imports"
# digits of a SHA-256
WHOLE = 64
# what was brought so far: files by their whole path, modules by their name, each with the module that it became
_brought: dict[str, ModuleType] = {}
_installed: dict[str, EntryPoint] = {}
_state = {"entry points": "not read"}


def _own() -> list[tuple[Registry, Entry]]:
    return [(registry, entry) for registry in REGISTRIES.values() for entry in registry.own()]


def _told(error: BaseException, file: str | None) -> str:
    """What went wrong in one sentence, with the last line of the user's file that had to do with it."""
    said = str(error).split("\n")[0].removesuffix(".")
    end = "" if said.endswith("?") else "."
    if isinstance(error, SyntaxError):
        return f"{short(error.filename or file or '?')}, line {error.lineno}: {error.msg}."
    line, trace = None, error.__traceback__
    while trace is not None:
        if file is not None and trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{short(file or '?')}, line {line}" if line else short(file or "?")
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"{where}: {kind}{said}{end}" if said else f"{where}: {type(error).__name__}."


def _executed(load: Callable[[], ModuleType], file: str | None, name: str) -> ModuleType:
    """A module with what it registers; nothing of it where it fails."""
    before, known = _own(), set(sys.modules)
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        for registry, entry in _own():
            if (registry, entry) not in before:
                registry.forget([entry])
        if name not in known:
            sys.modules.pop(name, None)
        raise InputError(_told(error, file)) from error


def _of_file(path: Path) -> ModuleType:
    """The module of a file, under the name of the file without its end."""
    name, whole = path.stem, str(path)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and module.__name__ not in MAIN and Path(file).resolve() == path:
            return module
    if name in sys.modules:
        other = getattr(sys.modules[name], "__file__", None)
        where = f", of {short(other)}" if other else ""
        raise InputError(f"{short(path)} has the name of a module that is there already{where}; rename the file.")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module, execute = importlib.util.module_from_spec(spec), spec.loader.exec_module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what lies beside it

    def load() -> ModuleType:
        sys.modules[name] = module
        execute(module)
        return module

    return _executed(load, whole, name)


def _of_name(name: str) -> ModuleType:
    """A module by its name, also from the working directory."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    top = name.split(".")[0]
    spec = importlib.util.find_spec(top) if top and top not in sys.modules else None
    if spec is None and top not in sys.modules:
        beside = f"{name}.py"
        closest = f" Did you mean '{beside}'?" if os.path.isfile(beside) else ""
        raise InputError(f"There is no module '{name}' to import; give a file (.py) or the name of a module.{closest}")
    return _executed(lambda: importlib.import_module(name), spec and spec.origin, name)


def _has_parts(module: ModuleType) -> bool:
    """Whether classes of parts are among its names, which need no registration."""
    equinox = sys.modules.get("equinox")
    values = [] if equinox is None else vars(module).values()
    return any(
        isinstance(v, type) and equinox is not None and issubclass(v, equinox.Module) and _is_own(v) for v in values
    )


def _is_own(cls: Any) -> bool:
    return cls.__module__.split(".")[0] not in ("memspike", "equinox")


def bring(what: str) -> None:
    """Import a file (its path ends with .py), or a module by its name, once.

    InputError in one sentence, with file and line, where that fails or nothing is registered; then nothing of it stays.
    """
    path = Path(what).expanduser()
    is_file = what.endswith(".py") or os.sep in what
    name = str(path.resolve()) if is_file else what
    if name in _brought:
        return
    if is_file and not path.is_file():
        if path.is_dir():
            raise InputError(f"{what} is a folder; a file (.py) or the name of a module is needed.")
        near = nearest(path.name, (p.name for p in path.parent.glob("*.py"))) if path.parent.is_dir() else []
        closest = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        raise InputError(f"The file {what} to import does not exist.{closest}")
    known = set(sys.modules)
    module = _of_file(path.resolve()) if is_file else _of_name(what)
    registered = any(f"{e.place.module}.".startswith(f"{module.__name__}.") for _, e in _own())
    if not registered and not _has_parts(module):
        if module.__name__ not in known:
            sys.modules.pop(module.__name__, None)
        raise InputError(
            f"{what} registers nothing; name its parts with memspike.register, "
            'such as @memspike.register("device", "mine", "what it is").'
        )
    _brought[name] = module


def bring_all(given: Iterable[str]) -> None:
    """`bring` of each."""
    for one in given:
        bring(one)


def bring_recorded(given: Any, file: Path) -> None:
    """Bring what a configuration file names under `imports`; paths are as seen from the file.

    InputError where a file is not there any more, unless one of that name was brought from elsewhere.
    """
    if not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
        raise InputError(f'{KEY} in {file} is {given!r}; a list such as ["my_parts.py"] is needed.')
    for one in given:
        if not one.endswith(".py"):
            bring(one)
            continue
        path = file.parent / Path(one).expanduser()
        if path.is_file():
            bring(str(path))
        elif path.stem not in {module.__name__ for module in _brought.values()}:
            raise InputError(
                f"{file} was made with parts of {path}, which is not there any more; say where it is now with "
                f"--import, or import it first in Python."
            )


def bring_of_run(folder: Path) -> None:
    """Bring what the configuration of a run folder names, if there is one."""
    file = folder / "config.toml"
    try:
        tables = tomllib.loads(file.read_text()) if file.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return  # who needs the configuration says what is wrong with it
    if KEY in tables:
        bring_recorded(tables[KEY], file)


def recorded() -> list[str]:
    """What a run in this process must be told to find all parts again: whole paths of files, names of modules.

    Installed packages are found without it; what only a main program or a notebook defines cannot be found again.
    """
    found = dict.fromkeys(_brought)
    known = {module.__name__ for module in _brought.values()} | {p.module for p in _installed.values()}
    for _, entry in _own():
        module = entry.place.module
        roots = {module.rsplit(".", k)[0] for k in range(module.count(".") + 1)}
        if module in MAIN or entry.place.fleeting or roots & known:
            continue
        found[module if "." in module else str(Path(entry.place.file).resolve())] = None
    return sorted(found)


def versions() -> dict[str, str]:
    """What the parts of users are: of a file or module the SHA-256 of its file, by its name, of a package its version.

    Files that these import in turn are not looked at.
    """
    found: dict[str, str] = {}
    for name in recorded():
        file = name if name.endswith(".py") else getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).is_file():
            found[Path(name).name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    for point in _installed.values():
        if point.dist is not None:
            found[point.dist.name] = f"version {point.dist.version}"
    return found


def check_unchanged(before: Any, folder: Path) -> None:
    """InputError where parts are not those any more with which the run in a folder was started.

    `before` are the `versions` of that time; of what was not known then nothing is said.
    """
    if not isinstance(before, dict):
        return
    now = versions()
    for name, old in before.items():
        if name in now and now[name] != old:
            what = "its content is another" if len(old) == WHOLE else f"{old} then, {now[name]} now"
            raise InputError(
                f"{name} has changed since {folder} was started ({what}); give it back as it was, choose another "
                f"--out, or, to go on with the changed parts, delete {name} from the parts in its environment.json."
            )


def bring_installed() -> None:
    """Import what installed packages offer under the entry point `memspike.parts`, once.

    InputError with the name of the package where one fails.
    """
    if _state["entry points"] != "not read":
        return
    _state["entry points"] = "being read"
    try:
        for point in entry_points(group=GROUP):
            package = point.dist.name if point.dist else "?"
            spec = importlib.util.find_spec(point.module.split(".")[0])
            try:
                _executed(lambda p=point: importlib.import_module(p.module), spec and spec.origin, point.module)
            except InputError as error:
                said = str(error).rstrip(".")
                raise InputError(f"The installed package '{package}' brings parts that fail: {said}.") from error
            _installed[f"{package}: {point.value}"] = point
        _state["entry points"] = "read"
    finally:
        if _state["entry points"] == "being read":
            _state["entry points"] = "not read"


def offered() -> list[str]:
    """What was brought so far: package and module of entry points, files and modules of commands."""
    return [*_installed, *(short(name) for name in _brought)]
