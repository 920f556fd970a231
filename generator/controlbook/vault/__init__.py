# SPDX-License-Identifier: Apache-2.0
"""The store of immutable objects: one module per kind."""
