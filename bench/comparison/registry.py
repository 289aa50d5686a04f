"""Finds contenders and measurements: each file of their folders, in the order they ask for."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from comparison import contenders, measurements
from comparison.contender import Contender
from comparison.measurement import GROUPS, Measurement


def all_contenders() -> list[type[Contender]]:
    """Every contender there is."""
    found = [contender for module in _modules(contenders) for contender in module.CONTENDERS]
    return sorted(found, key=lambda contender: contender.rank)


def all_measurements() -> list[Measurement]:
    """Every measurement there is, by group."""
    groups = list(GROUPS)
    found = [measurement for module in _modules(measurements) for measurement in module.MEASUREMENTS]
    return sorted(found, key=lambda measurement: (groups.index(measurement.group), measurement.rank))


def contender_named(name: str) -> type[Contender]:
    """The contender of this name."""
    return next(contender for contender in all_contenders() if contender.name == name)


def measurement_named(name: str) -> Measurement:
    """The measurement of this name."""
    return next(measurement for measurement in all_measurements() if measurement.name == name)


def _modules(package: ModuleType) -> list[ModuleType]:
    return [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]
