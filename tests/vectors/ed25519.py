#!/usr/bin/env python3
"""The published Ed25519 vectors as lines for the C test: name, public key, signature, message, verdict; an empty field is -.

Usage: tests/vectors/ed25519.py wycheproof|speccheck      from the repository's root
They lie beside the repository, in ../shared/vectors/, and are never part of it: without them, nothing is printed."""
import json
import os
import sys


def wycheproof(vectors):
    for group in vectors["testGroups"]:
        for test in group["tests"]:
            yield test["tcId"], group["publicKey"]["pk"], test["sig"], test["msg"], test["result"]


def speccheck(vectors):
    """Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", table 5, row libsodium: number 3 alone is accepted."""
    for number, case in enumerate(vectors):
        yield number, case["pub_key"], case["signature"], case["message"], "valid" if number == 3 else "invalid"


FILES = {"wycheproof": ("wycheproof_ed25519.json", wycheproof), "speccheck": ("ed25519_speccheck_cases.json", speccheck)}
name, lines = FILES[sys.argv[1]]
path = os.path.join("..", "shared", "vectors", name)
if os.path.exists(path):
    with open(path, encoding="utf-8") as file:
        for line in lines(json.load(file)):
            print(*(field if field != "" else "-" for field in line))
