"""Storage: named arrays <-> one file, written as they grow, mapped and checked as they are read."""
