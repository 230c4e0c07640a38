"""How each coding tool is pointed at bm: rows of data."""
