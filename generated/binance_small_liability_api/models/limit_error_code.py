# Generated from openapi.yaml by `make generate`. Do not edit.
from enum import IntEnum


class LimitErrorCode(IntEnum):
    VALUE_NEGATIVE_1003 = -1003

    def __str__(self) -> str:
        return str(self.value)
