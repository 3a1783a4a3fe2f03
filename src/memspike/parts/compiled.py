"""Compiled programs kept from one run to the next, in a folder of the user's cache."""

import hashlib
import os
import platform
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "MEMSPIKE_CACHE"
# a full disk or a damaged file costs a compilation; nothing that a user must act on
NO_MATTER = "Error (reading|writing) persistent compilation cache"
OPTIONS = {"jax_persistent_cache_min_compile_time_secs": 0.0, "jax_persistent_cache_min_entry_size_bytes": -1}

# half the time of a compilation for programs that run slower; later versions of JAX would stop at the second flag
_QUICK = "--xla_backend_optimization_level=0"
_QUICK_BEFORE_0_11 = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def quick() -> dict[str, str]:
    """Environment variables for programs that calculate less long than they are compiled.

    They count in a process that has not begun to compile; $XLA_FLAGS of the user comes first. Numbers stay the same
    to rounding.
    """
    old = tuple(int(x) for x in version("jaxlib").split(".")[:2]) < (0, 11)
    given = os.environ.get("XLA_FLAGS", "")
    return {"XLA_FLAGS": " ".join(filter(None, (given, _QUICK, _QUICK_BEFORE_0_11 if old else "")))}


def processor() -> str:
    """A short name of this kind of processor: programs compiled for one kind may not run on another."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    kind = {line for line in lines if line.startswith(("model name", "flags", "Features"))} or {platform.processor()}
    return hashlib.sha256("".join(sorted({platform.machine(), *kind})).encode()).hexdigest()[:12]


def folder() -> Path | None:
    """Where programs of this version on this kind of processor are kept; None where that is switched off.

    $MEMSPIKE_CACHE names the folder of all kinds and versions, and 0 switches off; otherwise it is in the cache
    folder of the user.
    """
    import platformdirs

    from memspike import __version__

    given = os.environ.get(FOLDER_VARIABLE)
    if given == "0":
        return None
    root = Path(given) if given else Path(platformdirs.user_cache_dir("memspike")) / "compiled"
    return root / f"memspike-{__version__}-jaxlib-{version('jaxlib')}-{processor()}"


def usable(path: Path) -> bool:
    """Whether files can be written to a folder, which is made if it is missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _setting(name: str) -> Any:
    import jax

    return getattr(jax.config, name)


def keep() -> Path | None:
    """Let JAX keep what it compiles from here on, and take what was kept → the folder, or None.

    Call it before the first program is compiled; later it changes nothing. A folder that the user gave to JAX
    ($JAX_COMPILATION_CACHE_DIR) stays as it is. Where the folder cannot be written nothing is kept.
    """
    import jax

    if not _setting("jax_enable_compilation_cache"):
        return None
    if given := _setting("jax_compilation_cache_dir"):
        return Path(given)
    path = folder()
    if path is None or not usable(path):
        return None
    jax.config.update("jax_compilation_cache_dir", str(path))
    for option, value in OPTIONS.items():
        if option.upper() not in os.environ:
            jax.config.update(option, value)
    warnings.filterwarnings("ignore", message=NO_MATTER)
    return path
