"""`ops` is no part of the package: it is found in the checkout, which is not on the path."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "ops"

if "ops" not in sys.modules:
    spec = spec_from_file_location("ops", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["ops"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["ops"])
