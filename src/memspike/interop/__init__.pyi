from .nir_export import Exported as Exported
from .nir_export import nir_of_run as nir_of_run
from .nir_export import to_nir as to_nir
from .nir_file import read_nir as read_nir
from .nir_file import write_nir as write_nir
from .nir_import import Imported as Imported
from .nir_import import from_nir as from_nir
