"""Extends griffe, which reads the docstrings for `make docs`."""

import inspect
import re
from functools import reduce
from importlib import import_module
from typing import Any

import griffe


class Reference(griffe.Extension):
    """Shows the values of defaults, and links methods that a docstring names."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Changes one function or method."""
        if func.docstring is not None:
            link = r"[`\1`][binance_small_liability.\1]"
            text = re.sub(r"`(SmallLiabilityClient\.\w+)`", link, func.docstring.value)
            func.docstring.value = text
        computed = [each for each in func.parameters if isinstance(each.default, griffe.Expr)]
        if not computed:  # to import every module takes 0.5 s
            return
        module = func.module.path
        names = func.path.removeprefix(f"{module}.").split(".")
        try:
            found: Any = reduce(getattr, names, import_module(module))
            parameters = inspect.signature(found).parameters
        except (AttributeError, TypeError, ValueError):  # such as an overload
            return
        for each in computed:
            if each.name in parameters:
                each.default = repr(parameters[each.name].default)
