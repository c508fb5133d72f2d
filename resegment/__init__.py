"""Event-driven dynamic segmentation for B2B go-to-market teams."""

from importlib.util import find_spec

__version__ = "0.1.0"


def tell_release() -> str:
    """Return the version, and whether Python takes the core compiled or from its source."""
    core = find_spec("resegment.segmentation.evaluation.fold")
    pure = core is None or (core.origin or "").endswith(".py")
    return f"{__version__} ({'pure Python' if pure else 'compiled core'})"
