"""Hamming: packed codes and a code -> the nearest rows, exactly."""
