#!/usr/bin/env python3
"""Writes test/goldens/*.safetensors: an outside opinion on the engine's operations, from PyTorch.

Needs torch, torchvision and numpy (Debian: python3-torch, python3-torchvision): python3 scripts/make_goldens.py [folder]
The files are committed; test/goldens/README.md says what is in them. Everything is computed in float64 from inputs that
are float32 numbers, and stored as float32. Where float32 arithmetic itself could not reproduce a golden to well within
the tests' tolerances (a near tie, a kink), the script refuses to write it.
"""
import os
import sys

import torch

sys.dont_write_bytecode = True  # no __pycache__ in the tree

from goldens import affinity, designs, networks, operations, segsort, torchvision_models  # noqa: E402
from goldens.common import Writer  # noqa: E402

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "goldens")


def main():
    torch.set_num_threads(1)  # one order of summation
    torch.use_deterministic_algorithms(True)
    writer = Writer(sys.argv[1] if len(sys.argv) > 1 else FOLDER)
    for module in (operations, networks, designs, torchvision_models, segsort, affinity):
        for family in module.FAMILIES:
            family(writer)
    writer.finish()


if __name__ == "__main__":
    main()
