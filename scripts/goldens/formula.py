"""Numbers that a formula gives, for values too many to be stored; test/support/formula.ts has the same formula."""
import numpy as np


def uniform(name, count):
    """Numbers in [0, 1): FNV-1a of the name, then MurmurHash3's finaliser of each position."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64) / 2**24


def between(name, shape, low, high):
    values = low + uniform(name, int(np.prod(shape))) * (high - low)
    return values.astype(np.float32).reshape(tuple(shape))
