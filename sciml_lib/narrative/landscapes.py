"""Names that the chapters on landscapes take from here until their words have moved into them."""

from sciml_lib.analysis.cells import cell_name, first_seeds

__all__ = ["cell_name", "first_seeds"]
