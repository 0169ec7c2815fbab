"""Comparison: folders of runs -> a table of what differs between them and of what each has found."""
