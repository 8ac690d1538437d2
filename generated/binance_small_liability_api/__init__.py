# Generated from openapi.yaml by `make generate`. Do not edit.
"""The wire client of the contract: records and operations.

PYTEST_DONT_REWRITE
"""
