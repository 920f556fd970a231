# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the files that people write, for editors and other tools."""
